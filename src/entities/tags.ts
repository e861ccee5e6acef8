import type { Schema } from '../schema/field.ts'
import { tag, uuid } from '../schema/typedefs.ts'

/** One tag of one entity: a view of what the entities themselves bear, which is read only. */
export const tags = {
  name: 'tags',
  primary_key: 'tag',
  endpoint_key: 'tag',
  generate_admin_api: false,
  db_export: false,
  fields: [
    { tag: { ...tag, len_min: 1 } },
    { entity_name: { type: 'string', required: true, description: 'The kind of the entity.' } },
    { entity_id: { ...uuid, required: true } },
  ],
} as const satisfies Schema
