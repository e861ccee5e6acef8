import type { Schema } from '../schema/field.ts'
import { uuid } from '../schema/typedefs.ts'

/** What a sealed store says of the keys that it is sealed with; there is one at most. Ours: see `store/sealed.ts`. */
export const keyrings = {
  name: 'keyrings',
  generate_admin_api: false,
  db_export: false,
  fields: [
    { id: uuid },
    {
      keys: {
        type: 'set',
        required: true,
        elements: { type: 'string' },
        description: 'The ids of all keys under which something may be sealed.',
      },
    },
    { index_key: { type: 'any', required: true, description: 'The key of the blind index, itself sealed.' } },
    { complete: { type: 'boolean', required: true, description: 'Whether everything is sealed.' } },
  ],
} as const satisfies Schema
