import type { Schema } from '../schema/field.ts'
import { auto_timestamp_s, tags, uuid } from '../schema/typedefs.ts'

/** A place that keeps secrets, under a prefix by which references name it. */
export const vaults = {
  name: 'vaults',
  endpoint_key: 'prefix',
  cache_key: ['prefix'],
  subschema_key: 'name',
  subschema_error: "vault '%s' is not installed",
  fields: [
    { id: uuid },
    {
      prefix: {
        type: 'string',
        required: true,
        unique: true,
        unique_across_ws: true,
        match: '^[a-z][a-z%d-]-[a-z%d]+$',
        not_one_of: ['env'],
        description: 'What stands behind `vault://` in references to it.',
      },
    },
    { name: { type: 'string', required: true, description: 'Which kind of vault it is.' } },
    { description: { type: 'string', description: 'What it is for.' } },
    { config: { type: 'record', abstract: true, description: "The vault's own settings." } },
    { created_at: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
    { tags },
  ],
} as const satisfies Schema
