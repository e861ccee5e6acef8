/**
 * Tokens that were taken back before their end: one by its `jti`, those of a session by its `sid`, or all of a subject, an
 * issuer or a credential that were issued before a time. They stand in the store, so that every worker of every node knows them when the write is answered.
 */
import type { EntityReader } from '../../pdk/entities.ts'
import { claimAt, textOf } from './claims.ts'
import { revocationKey, type RevokedTokens } from './revocations-schema.ts'
import type { JsonObject } from './token.ts'

/** The keys of all revocations that a token may be under. */
export function revocationKeysOf(claims: JsonObject, credential: string | undefined): readonly string[] {
  const text = (name: string) => textOf(claimAt(claims, [name]))
  const iss = text('iss')
  const ofIssuer = iss === undefined ? [null] : [null, iss]
  const subjects: RevokedTokens[] = [
    ...(['jti', 'sub', 'sid'] as const).flatMap((what) => {
      const value = text(what)
      return value === undefined ? [] : ofIssuer.map((one): RevokedTokens => [what, value, one])
    }),
    ...(iss === undefined ? [] : [['iss', iss, null] as const]),
    ...(credential === undefined ? [] : [['credential', credential, null] as const]),
  ]
  return subjects.map(revocationKey)
}

/**
 * Whether a token issued at `iat` (NaN where it does not say) was taken back. `latest` is until when a token may say that it was
 * issued, by the clock and its leeway. Times are in seconds since 1970.
 */
export function isRevoked(entities: EntityReader, keys: readonly string[], iat: number, latest: number): boolean {
  for (const key of keys) {
    const found = entities.by('jwt_revocations', 'key', key)
    if (!found) continue
    const { before } = found.entity
    // Written so that a token that does not say when it was issued is taken back, too, as is one of a time to come: else whoever
    // makes tokens in advance would keep those.
    if (typeof before !== 'number' || !(iat >= before && iat <= latest)) return true
  }
  return false
}
