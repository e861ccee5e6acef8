/** What a plugin's config becomes when it is put in force: everything that need not be worked out for each request. */
import type { Answer } from '../../pdk/kong.ts'
import type { Config as ConfigOf } from '../../schema/infer.ts'
import { challenge, refusing } from './answers.ts'
import { extensionOf, type Extension } from './extension.ts'
import { locationsOf, type Locations } from './locations.ts'
import { refusals, type Refusal } from './refusals.ts'
import type { schema } from './schema.ts'
import { timeErrors, type TimePolicy } from './times.ts'
import type { TokenMemory, TokenSpace } from './tokens.ts'
import type { Policy } from './verification.ts'

/** The plugin's checked config. */
export type Config = ConfigOf<typeof schema>

export interface Ready {
  readonly locations: Locations
  readonly runsOnPreflight: boolean
  readonly anonymous: string | null
  readonly policy: Policy
  readonly times: TimePolicy
  readonly tokens: TokenSpace
  readonly answers: Readonly<Record<Refusal, Answer>>
  readonly timeAnswers: readonly (Answer | undefined)[]
  /** What is done beside Kong's; undefined where the config asks for none of it. */
  readonly extension: Extension | undefined
  /** The clock, in whole seconds since 1970. */
  readonly now: () => number
}

/** Prepares the config of the plugin with this id. */
export function prepare(config: Config, plugin: string, memory: TokenMemory, now: () => number): Ready {
  const claim = config.key_claim_name ?? 'iss'
  return {
    locations: locationsOf(config),
    runsOnPreflight: config.run_on_preflight,
    anonymous: config.anonymous,
    policy: policyOf(config),
    times: timePolicyOf(config),
    tokens: memory.space(),
    ...answersOf(claim, config.realm),
    extension: extensionOf(config, plugin),
    now,
  }
}

/** What is allowed but hardly meant: Kong's schema forbids it and Kong does not notice, so that configurations hold it. */
export function oddityOf({ maximum_expiration, claims_to_verify }: Config): string | undefined {
  if ((maximum_expiration ?? 0) === 0 || claims_to_verify?.includes('exp')) return undefined
  return 'maximum_expiration is set, but claims_to_verify lacks exp: a token that has expired is let through'
}

export function policyOf(config: Config): Policy {
  return { keyClaimName: config.key_claim_name ?? 'iss', secretIsBase64: config.secret_is_base64 }
}

export function timePolicyOf(config: Config): TimePolicy {
  const claims = config.claims_to_verify ?? []
  const maximumExpiration = config.maximum_expiration ?? 0
  const exp = claims.includes('exp')
  const nbf = claims.includes('nbf')
  // It is among what is only looked at, and it would let in what Kong does not.
  const leeway = config.mode === 'observe' ? 0 : (config.leeway ?? 0)
  return { exp, nbf, maximumExpiration, leeway, any: exp || nbf || maximumExpiration > 0 }
}

/** Every answer the config can give, made once: RFC 6750 3 wants no error in the challenge of a request without a token. */
function answersOf(claim: string, realm: string | null): Pick<Ready, 'answers' | 'timeAnswers'> {
  const bare = challenge(realm)
  const invalid = challenge(realm, 'error="invalid_token"')
  const entries = Object.entries(refusals).map(([name, { message }]) => [
    name,
    refusing(401, { message: message(claim) }, name === 'no token' ? bare : invalid),
  ])
  return {
    answers: Object.fromEntries(entries) as Record<Refusal, Answer>,
    timeAnswers: timeErrors.map((errors) => errors && refusing(401, errors, invalid)),
  }
}
