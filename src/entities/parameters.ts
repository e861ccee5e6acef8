import type { Schema } from '../schema/field.ts'
import { auto_timestamp_s } from '../schema/typedefs.ts'

/** Values that the nodes of a cluster share. */
export const parameters = {
  name: 'parameters',
  primary_key: 'key',
  generate_admin_api: false,
  cache_key: ['key'],
  fields: [
    { created_at: auto_timestamp_s },
    { key: { type: 'string', required: true, unique: true, description: 'Its name.' } },
    { value: { type: 'string', required: true, description: 'Its value.' } },
  ],
} as const satisfies Schema
