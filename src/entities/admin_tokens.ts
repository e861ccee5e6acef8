import type { Schema } from '../schema/field.ts'
import { auto_timestamp_s, uuid } from '../schema/typedefs.ts'

/** A token that opens the Admin API. Ours: Kong's open edition has none. Of the token itself only a hash is kept. */
export const admin_tokens = {
  name: 'admin_tokens',
  endpoint_key: 'name',
  generate_admin_api: false,
  db_export: false,
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    {
      name: {
        type: 'string',
        required: true,
        unique: true,
        len_max: 128,
        match: '^[%w._@-]+$',
        err: 'expected letters, digits and . _ @ -, at most 128',
        description: 'Who it was made for.',
      },
    },
    {
      role: {
        type: 'string',
        required: true,
        default: 'admin',
        one_of: ['admin', 'read-only'],
        description: 'What it allows: everything, or only to read.',
      },
    },
    {
      hash: {
        type: 'string',
        required: true,
        $secret: true,
        description: 'SHA-256 of the token, in hexadecimal digits.',
      },
    },
    {
      ttl: {
        type: 'integer',
        between: [1, 3_153_600_000],
        description: 'Seconds that it is good for; for ever without it.',
      },
    },
  ],
} as const satisfies Schema
