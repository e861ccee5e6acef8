import type { Schema } from '../../schema/field.ts'
import { auto_timestamp_s, uuid } from '../../schema/typedefs.ts'

/** The keys with which the gateway signs tokens for upstreams. Ours, and no one's to read or write but the plugin's. */
export const jwt_signing_keys = {
  name: 'jwt_signing_keys',
  generate_admin_api: false,
  db_export: false,
  $own: true,
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { name: { type: 'string', required: true, unique: true, description: 'What they are for.' } },
    {
      keys: {
        type: 'string',
        required: true,
        $secret: true,
        description:
          'Private keys as JSON: an array of objects with `kid`, `created_at` and `signs_at` in seconds since 1970, and `pem`.',
      },
    },
  ],
} as const satisfies Schema
