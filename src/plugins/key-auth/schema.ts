import type { Schema } from '../../schema/field.ts'
import { anonymous, header_name, hide_credentials, no_consumer, protocols_http, realm } from '../../schema/typedefs.ts'

/** The key-auth plugin's settings. */
export const schema = {
  name: 'key-auth',
  fields: [
    { consumer: no_consumer },
    { protocols: protocols_http },
    {
      config: {
        type: 'record',
        required: true,
        fields: [
          {
            key_names: {
              type: 'array',
              required: true,
              elements: header_name,
              default: ['apikey'],
              description: 'Names of the headers, query arguments and body fields that may hold the key.',
            },
          },
          { hide_credentials },
          { anonymous },
          {
            key_in_header: {
              type: 'boolean',
              required: true,
              default: true,
              description: 'Whether headers are looked at.',
            },
          },
          {
            key_in_query: {
              type: 'boolean',
              required: true,
              default: true,
              description: 'Whether the query is looked at.',
            },
          },
          {
            key_in_body: {
              type: 'boolean',
              required: true,
              default: false,
              description: 'Whether forms and JSON objects in the body are looked at, up to 1 MiB.',
            },
          },
          {
            run_on_preflight: {
              type: 'boolean',
              required: true,
              default: true,
              description: 'Whether OPTIONS requests are authenticated, too.',
            },
          },
          { realm },
        ],
      },
    },
  ],
} as const satisfies Schema
