import type { Schema } from '../../schema/field.ts'
import { protocols_http } from '../../schema/typedefs.ts'
import { extensionFields, togetherError } from './extension-schema.ts'

/** The jwt plugin's settings. */
export const schema = {
  name: 'jwt',
  fields: [
    {
      consumer: {
        type: 'foreign',
        reference: 'consumers',
        eq: null,
        description: 'Not possible: it is the plugin that finds the consumer.',
      },
    },
    { protocols: protocols_http },
    {
      config: {
        type: 'record',
        required: true,
        $check: togetherError,
        fields: [
          {
            uri_param_names: {
              type: 'set',
              elements: { type: 'string' },
              default: ['jwt'],
              description: 'Query parameters that may hold the token.',
            },
          },
          {
            cookie_names: {
              type: 'set',
              elements: { type: 'string' },
              default: [],
              description: 'Cookies that may hold the token.',
            },
          },
          {
            key_claim_name: {
              type: 'string',
              default: 'iss',
              description: "The claim, or else the header member, that holds the credential's key.",
            },
          },
          {
            secret_is_base64: {
              type: 'boolean',
              required: true,
              default: false,
              description: "Whether the credentials' secrets are base64url of the keys.",
            },
          },
          {
            claims_to_verify: {
              type: 'set',
              elements: { type: 'string', required: true, len_min: 1, one_of: ['exp', 'nbf'] },
              description: 'The registered claims that a token must have and satisfy.',
            },
          },
          {
            anonymous: {
              type: 'string',
              description: 'Id or username of the consumer that stands for requests without a good token.',
            },
          },
          {
            run_on_preflight: {
              type: 'boolean',
              required: true,
              default: true,
              description: 'Whether OPTIONS requests need a token too.',
            },
          },
          {
            maximum_expiration: {
              type: 'number',
              default: 0,
              between: [0, 31_536_000],
              description: 'How many seconds in the future `exp` may be at most; 0 is no limit.',
            },
          },
          {
            header_names: {
              type: 'set',
              elements: { type: 'string' },
              default: ['authorization'],
              description: 'Headers that may hold the token, behind the word Bearer.',
            },
          },
          { realm: { type: 'string', required: false, description: 'The realm that the challenge of a 401 names.' } },
          ...extensionFields,
        ],
      },
    },
  ],
  entity_checks: [
    {
      conditional: {
        if_field: 'config.maximum_expiration',
        if_match: { gt: 0 },
        then_field: 'config.claims_to_verify',
        then_match: { contains: 'exp' },
      },
    },
  ],
} as const satisfies Schema
