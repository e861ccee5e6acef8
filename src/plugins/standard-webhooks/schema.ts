import type { Schema } from '../../schema/field.ts'
import { no_consumer, protocols_http } from '../../schema/typedefs.ts'

/** The standard-webhooks plugin's settings. */
export const schema = {
  name: 'standard-webhooks',
  fields: [
    { consumer: no_consumer },
    { protocols: protocols_http },
    {
      config: {
        type: 'record',
        required: true,
        fields: [
          {
            secret_v1: {
              type: 'string',
              required: true,
              referenceable: true,
              encrypted: true,
              description: 'The key of signatures `v1`, as it is.',
            },
          },
          {
            tolerance_second: {
              type: 'integer',
              required: true,
              gt: -1,
              default: 300,
              description: 'How old a message may be, in seconds.',
            },
          },
        ],
      },
    },
  ],
} as const satisfies Schema
