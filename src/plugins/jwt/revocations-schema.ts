import { createHash } from 'node:crypto'
import type { Schema } from '../../schema/field.ts'
import { auto_timestamp_s, uuid } from '../../schema/typedefs.ts'

/** What a revocation speaks of, and of which issuer's. */
export type RevokedTokens = readonly [what: 'jti' | 'sub' | 'iss' | 'credential', value: string, iss: string | null]

/** The text that a revocation is found by: as long for every value, so that none is too long to be remembered as absent. */
export const revocationKey = (tokens: RevokedTokens): string =>
  createHash('sha256').update(JSON.stringify(tokens)).digest('base64url')

const kinds = ['jti', 'sub', 'credential', 'iss'] as const

/** Tokens taken back. Ours: Kong's open edition knows none. */
export const jwt_revocations = {
  name: 'jwt_revocations',
  admin_api_name: 'jwt-revocations',
  db_export: false,
  $own: true,
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { jti: { type: 'string', len_min: 1, description: 'The one token with this `jti`.' } },
    { sub: { type: 'string', len_min: 1, description: 'All tokens of this subject.' } },
    { credential: { type: 'string', len_min: 1, description: 'All tokens of the jwt credential with this key.' } },
    { iss: { type: 'string', len_min: 1, description: 'Only tokens of this issuer; alone: all of them.' } },
    {
      before: {
        type: 'number',
        between: [0, 100_000_000_000],
        description: 'Only tokens issued before that time, in seconds since 1970; now, but for a `jti`.',
      },
    },
    { key: { type: 'string', unique: true, description: 'What it is found by; follows from the others.' } },
    {
      ttl: {
        type: 'integer',
        between: [1, 3_153_600_000],
        description: 'After how many seconds it may be forgotten: when the last of its tokens has ended.',
      },
    },
  ],
  entity_checks: [
    { at_least_one_of: ['jti', 'sub', 'credential', 'iss'] },
    { mutually_exclusive: ['jti', 'sub', 'credential'] },
  ],
  $derive: (entity) => {
    const what = kinds.find((name) => typeof entity[name] === 'string')!
    const iss = what === 'jti' || what === 'sub' ? entity['iss'] : null
    return {
      key: revocationKey([what, String(entity[what]), typeof iss === 'string' ? iss : null]),
      before: entity['before'] ?? (what === 'jti' ? null : Math.floor(Date.now() / 1000)),
    }
  },
} as const satisfies Schema
