/**
 * The claims of time: evaluated the first time a token is seen and on every later one alike.
 * Source: RFC 7519 sections 4.1.4 and 4.1.5; Kong's docs, "JWT", `claims_to_verify` and `maximum_expiration`.
 */
import type { JsonObject } from './token.ts'

/** Which times a config asks for. */
export interface TimePolicy {
  readonly exp: boolean
  readonly nbf: boolean
  /** The longest that `exp` may lie ahead, in seconds; 0 for any. */
  readonly maximumExpiration: number
  /** How many seconds the clocks may differ. */
  readonly leeway: number
  /** Whether any of the three is asked for. */
  readonly any: boolean
  /** Whether `exp` is looked at where a token has one, though it need not. */
  readonly endIfAny?: boolean
}

/** A token's times in seconds since 1970; NaN where it has none that is a finite number. */
export interface Times {
  readonly exp: number
  readonly nbf: number
}

/** What is wrong with a token's times, as bits: 0 is nothing, every other value has a row in `timeErrors`. */
export type TimeFault = number

const EXPIRED = 1
const EXP_NOT_A_NUMBER = 2
const EARLY = 4
const NBF_NOT_A_NUMBER = 8
const EXCEEDS = 16

const texts: readonly (readonly [bit: TimeFault, claim: 'exp' | 'nbf', text: string])[] = [
  [EXPIRED, 'exp', 'token expired'],
  [EXP_NOT_A_NUMBER, 'exp', 'must be a number'],
  [EARLY, 'nbf', 'token not valid yet'],
  [NBF_NOT_A_NUMBER, 'nbf', 'must be a number'],
  [EXCEEDS, 'exp', 'exceeds maximum allowed expiration'],
]

/** The answer's body for every fault, at the fault's index; undefined at 0 and where bits exclude each other. */
export const timeErrors: readonly (Readonly<Record<string, string>> | undefined)[] = Array.from(
  { length: EXCEEDS + 1 },
  (_, fault) => {
    const rows = texts.filter(([bit]) => (fault & bit) !== 0)
    return rows.length === 0 ? undefined : Object.fromEntries(rows.map(([, claim, text]) => [claim, text]))
  },
)

/** Reads the times out of claims. */
export function timesOf(claims: JsonObject): Times {
  return { exp: finite(claims, 'exp'), nbf: finite(claims, 'nbf') }
}

/** Compares a token's times with the clock (whole seconds since 1970, as Kong counts). */
export function timeFault(policy: TimePolicy, { exp, nbf }: Times, now: number): TimeFault {
  let fault = 0
  if (policy.exp) fault = Number.isNaN(exp) ? EXP_NOT_A_NUMBER : exp + policy.leeway <= now ? EXPIRED : 0
  if (policy.nbf) fault |= Number.isNaN(nbf) ? NBF_NOT_A_NUMBER : nbf > now + policy.leeway ? EARLY : 0
  if (fault !== 0 || policy.maximumExpiration === 0) return fault
  // Written so that a token without `exp` exceeds, too.
  return exp - now <= policy.maximumExpiration + policy.leeway ? 0 : EXCEEDS
}

/** Which times of an issuer's token are looked at: its end always, its beginning where it says one. */
export const issuersTimes = (times: TimePolicy, claims: JsonObject): TimePolicy => ({
  ...times,
  exp: true,
  nbf: times.nbf || Object.hasOwn(claims, 'nbf'),
  any: true,
})

/** JSON's 1e400 reads as infinity, which would be a token for ever. */
function finite(claims: JsonObject, claim: 'exp' | 'nbf'): number {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined
  return typeof value === 'number' && Number.isFinite(value) ? value : NaN
}
