import type { Schema } from '../../schema/field.ts'
import { anonymous, hide_credentials, no_consumer, protocols_http, realm } from '../../schema/typedefs.ts'

const algorithmNames = ['hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512'] as const

/** The hmac-auth plugin's settings. */
export const schema = {
  name: 'hmac-auth',
  fields: [
    { consumer: no_consumer },
    { protocols: protocols_http },
    {
      config: {
        type: 'record',
        required: true,
        fields: [
          { hide_credentials },
          {
            clock_skew: {
              type: 'number',
              default: 300,
              gt: 0,
              description: "How far a request's date may be from ours, in seconds.",
            },
          },
          { anonymous },
          {
            validate_request_body: {
              type: 'boolean',
              required: true,
              default: false,
              description: 'Whether the body must have the hash that the header Digest tells; up to 1 MiB.',
            },
          },
          {
            enforce_headers: {
              type: 'array',
              elements: { type: 'string' },
              default: [],
              description: 'Headers that a signature must cover.',
            },
          },
          {
            algorithms: {
              type: 'array',
              elements: { type: 'string', one_of: algorithmNames },
              default: algorithmNames,
              description: 'Algorithms that a signature may be made with.',
            },
          },
          { realm },
        ],
      },
    },
  ],
} as const satisfies Schema
