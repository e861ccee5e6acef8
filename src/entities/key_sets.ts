import type { Schema } from '../schema/field.ts'
import { auto_timestamp_s, tags, uuid } from '../schema/typedefs.ts'

/** Keys that belong together. */
export const key_sets = {
  name: 'key_sets',
  endpoint_key: 'name',
  admin_api_name: 'key-sets',
  fields: [
    { id: uuid },
    { name: { type: 'string', required: false, unique: true, description: 'Its unique name.' } },
    { tags },
    { created_at: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
  ],
} as const satisfies Schema
