import type { Schema } from '../schema/field.ts'
import { uuid } from '../schema/typedefs.ts'

/** The health of a target, or of one of its addresses, as it was last set by hand: how all nodes learn of it. Ours. */
export const target_health = {
  name: 'target_health',
  generate_admin_api: false,
  db_export: false,
  fields: [
    { id: uuid },
    {
      target: {
        type: 'foreign',
        reference: 'targets',
        required: true,
        on_delete: 'cascade',
        description: 'Whose health it is.',
      },
    },
    { ip: { type: 'string', description: 'The address; null for all of the target.' } },
    { port: { type: 'integer', description: "The address' port." } },
    { healthy: { type: 'boolean', required: true, description: 'Whether it takes requests.' } },
    { set_at: { type: 'number', required: true, description: 'When it was set, in seconds since 1970.' } },
  ],
} as const satisfies Schema
