import type { Schema } from '../schema/field.ts'
import { auto_timestamp_s, tags, uuid, wildcard_host } from '../schema/typedefs.ts'

/** A TLS server name, and the certificate shown to clients that ask for it. */
export const snis = {
  name: 'snis',
  endpoint_key: 'name',
  fields: [
    { id: uuid },
    { name: { ...wildcard_host, required: true, unique: true, unique_across_ws: true } },
    { created_at: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
    { tags },
    {
      certificate: {
        type: 'foreign',
        reference: 'certificates',
        required: true,
        description: 'The certificate to show.',
      },
    },
  ],
} as const satisfies Schema
