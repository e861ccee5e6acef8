import { createHash } from 'node:crypto'
import type { Schema } from '../../schema/field.ts'
import { auto_timestamp_s, uuid } from '../../schema/typedefs.ts'

/** The longest that a revocation may hold, in seconds: 100 years, which is for ever. */
export const longestHold = 3_153_600_000

/** What a revocation speaks of, and of which issuer's. */
export type RevokedTokens = readonly [
  what: 'jti' | 'sub' | 'sid' | 'iss' | 'credential',
  value: string,
  iss: string | null,
]

/** The text that a revocation is found by: as long for every value, so that none is too long to be remembered as absent. */
export const revocationKey = (tokens: RevokedTokens): string =>
  createHash('sha256').update(JSON.stringify(tokens)).digest('base64url')

/** The id that stands for the same tokens whoever takes them back, so that they can be taken back again with a later time. */
export function revocationId(tokens: RevokedTokens): string {
  const hex = Buffer.from(revocationKey(tokens), 'base64url').toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  )
}

/** What a revocation may speak of; the first that is there is it. */
export const revocationKinds = ['jti', 'sub', 'sid', 'credential', 'iss'] as const

/** What is of one issuer, where that is named. */
const ofAnIssuer: ReadonlySet<string> = new Set(['jti', 'sub', 'sid'])
/** What is over once and for all, whenever its tokens were issued. */
const atAnyTime: ReadonlySet<string> = new Set(['jti', 'sid'])

/** The tokens of which an entity speaks that has at least one of the fields. */
export function revokedTokens(entity: Readonly<Record<string, unknown>>): RevokedTokens {
  const what = revocationKinds.find((name) => typeof entity[name] === 'string') ?? 'iss'
  const iss = ofAnIssuer.has(what) ? entity['iss'] : null
  return [what, String(entity[what]), typeof iss === 'string' ? iss : null]
}

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
    { sid: { type: 'string', len_min: 1, description: 'All tokens of this session.' } },
    { credential: { type: 'string', len_min: 1, description: 'All tokens of the jwt credential with this key.' } },
    { iss: { type: 'string', len_min: 1, description: 'Only tokens of this issuer; alone: all of them.' } },
    {
      before: {
        type: 'number',
        between: [0, 100_000_000_000],
        description:
          'Only tokens issued before that time, in seconds since 1970; the end of this second, but for a `jti` or a `sid`.',
      },
    },
    { key: { type: 'string', unique: true, description: 'What it is found by; follows from the others.' } },
    {
      ttl: {
        type: 'integer',
        required: true,
        between: [1, longestHold],
        description: 'For how many seconds it holds: until the last of its tokens has ended.',
      },
    },
    {
      until: {
        type: 'integer',
        description: 'Until when it holds, in seconds since 1970; follows from `ttl`.',
      },
    },
  ],
  entity_checks: [
    { at_least_one_of: ['jti', 'sub', 'sid', 'credential', 'iss'] },
    { mutually_exclusive: ['jti', 'sub', 'sid', 'credential'] },
  ],
  $derive: (entity) => {
    const tokens = revokedTokens(entity)
    // Tokens say in whole seconds when they were issued: what was issued in this one is over, too.
    const before = entity['before'] ?? (atAnyTime.has(tokens[0]) ? null : Math.floor(Date.now() / 1000) + 1)
    return { key: revocationKey(tokens), before, until: Math.ceil(Date.now() / 1000) + Number(entity['ttl']) }
  },
} as const satisfies Schema
