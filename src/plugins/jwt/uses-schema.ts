import { createHash } from 'node:crypto'
import type { Schema } from '../../schema/field.ts'
import { auto_timestamp_s, uuid } from '../../schema/typedefs.ts'

/** Tokens that are good once, and tokens with events, that were used, until they end by themselves. Ours, and no one's to write but the plugin's. */
export const jwt_uses = {
  name: 'jwt_uses',
  generate_admin_api: false,
  db_export: false,
  $own: true,
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { key: { type: 'string', required: true, unique: true, description: 'What the token is known by.' } },
    {
      ttl: {
        type: 'integer',
        between: [1, 3_153_600_000],
        description: 'After how many seconds it is forgotten: when the token has ended.',
      },
    },
  ],
} as const satisfies Schema

/**
 * Who made a token: an issuer, by its name, or a credential, by its id. One signer cannot use up another's tokens. What an issuer
 * says of its tokens (`events`) has names of its own, and so has a use that is only observed.
 */
export type UsedToken = readonly [signer: 'issuer' | 'credential' | 'events', of: string, jti: string]

export const useKey = (token: UsedToken | readonly ['observed', string]): string =>
  createHash('sha256').update(JSON.stringify(token)).digest('base64url')
