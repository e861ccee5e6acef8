import type { Schema } from '../../schema/field.ts'
import { anonymous, hide_credentials, no_consumer, protocols_http, realm } from '../../schema/typedefs.ts'

/** The basic-auth plugin's settings. */
export const schema = {
  name: 'basic-auth',
  fields: [
    { consumer: no_consumer },
    { protocols: protocols_http },
    {
      config: {
        type: 'record',
        required: true,
        fields: [{ anonymous }, { hide_credentials }, { realm: { ...realm, required: true, default: 'service' } }],
      },
    },
  ],
} as const satisfies Schema
