/** How old a token may be, by the time at which it was issued. Source: RFC 7519 section 4.1.6. */
import type { Answer } from '../../pdk/kong.ts'
import { invalidToken, type Refuse } from './answers.ts'
import { claimAt } from './claims.ts'
import type { Config } from './ready.ts'
import type { Token } from './token.ts'

/** Gives the answer to a token issued at `iat` (NaN where it does not say so); times in seconds since 1970. */
export type AgeRule = (iat: number, now: number) => Answer | undefined

export function ageRuleOf({ maximum_age: most, leeway = 0 }: Config, refuse: Refuse): AgeRule | undefined {
  if (most === undefined) return undefined
  const absent = refuse('age', 401, { iat: 'must be a number' }, invalidToken)
  const early = refuse('age', 401, { iat: 'token not issued yet' }, invalidToken)
  const old = refuse('age', 401, { iat: 'token too old' }, invalidToken)
  return (iat, now) => {
    if (Number.isNaN(iat)) return absent
    if (iat > now + leeway) return early
    return now - iat > most + leeway ? old : undefined
  }
}

/** When a token was issued, in seconds since 1970; NaN where it does not say so. */
export function iatOf({ claims }: Pick<Token, 'claims'>): number {
  const iat = claimAt(claims, ['iat'])
  return typeof iat === 'number' && Number.isFinite(iat) ? iat : NaN
}
