import type { Schema } from '../../schema/field.ts'
import { auto_timestamp_s, credential_consumer, tags, uuid } from '../../schema/typedefs.ts'

/** A consumer's membership in a group. */
export const acls = {
  name: 'acls',
  cache_key: ['consumer', 'group'],
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { consumer: credential_consumer },
    { group: { type: 'string', required: true, description: "The group's name." } },
    { tags },
  ],
} as const satisfies Schema
