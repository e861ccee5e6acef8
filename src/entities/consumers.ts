import type { Schema } from '../schema/field.ts'
import { auto_timestamp_s, tags, uuid } from '../schema/typedefs.ts'

/** Whoever uses the services, known by credentials. */
export const consumers = {
  name: 'consumers',
  endpoint_key: 'username',
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
    { username: { type: 'string', unique: true, description: 'Its unique name.' } },
    { custom_id: { type: 'string', unique: true, description: 'Its unique id in a system of yours.' } },
    { tags },
  ],
  entity_checks: [{ at_least_one_of: ['custom_id', 'username'] }],
} as const satisfies Schema
