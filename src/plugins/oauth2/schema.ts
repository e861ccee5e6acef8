import type { Schema } from '../../schema/field.ts'
import { anonymous, hide_credentials, no_consumer, protocols_http, realm } from '../../schema/typedefs.ts'

const flows = [
  'enable_authorization_code',
  'enable_implicit_grant',
  'enable_client_credentials',
  'enable_password_grant',
] as const

const flow = (description: string) => ({ type: 'boolean', required: true, default: false, description }) as const

/** The oauth2 plugin's settings. */
export const schema = {
  name: 'oauth2',
  fields: [
    { consumer: no_consumer },
    { protocols: protocols_http },
    {
      config: {
        type: 'record',
        required: true,
        fields: [
          {
            scopes: {
              type: 'array',
              elements: { type: 'string' },
              description: 'The scopes that clients may ask for.',
            },
          },
          { mandatory_scope: flow('Whether clients have to ask for a scope.') },
          {
            provision_key: {
              type: 'string',
              unique: true,
              required: true,
              auto: true,
              encrypted: true,
              description:
                'What your application proves itself with when it asks in the name of a user; made when none is given.',
            },
          },
          {
            token_expiration: {
              type: 'number',
              required: true,
              default: 7200,
              description: 'How long an access token is good, in seconds; 0 for ever.',
            },
          },
          { enable_authorization_code: flow('Whether clients may get codes (RFC 6749 4.1).') },
          { enable_implicit_grant: flow('Whether clients may get tokens in a redirect (RFC 6749 4.2).') },
          { enable_client_credentials: flow('Whether clients may get tokens for themselves (RFC 6749 4.4).') },
          {
            enable_password_grant: flow(
              'Whether clients may get tokens for a user whose password was checked (RFC 6749 4.3).',
            ),
          },
          { hide_credentials },
          {
            accept_http_if_already_terminated: flow(
              'Whether a trusted proxy that says so in X-Forwarded-Proto is believed to have spoken TLS.',
            ),
          },
          { anonymous },
          { global_credentials: flow('Whether tokens are good for all services whose plugin says the same.') },
          {
            auth_header_name: {
              type: 'string',
              default: 'authorization',
              description: 'The header that holds access tokens, and credentials of clients.',
            },
          },
          {
            refresh_token_ttl: {
              type: 'number',
              required: true,
              default: 1_209_600,
              between: [0, 100_000_000],
              description: 'How long tokens can be renewed, in seconds; 0 for ever.',
            },
          },
          { reuse_refresh_token: flow('Whether a refresh token stays the same when it is used.') },
          {
            pkce: {
              type: 'string',
              required: false,
              default: 'lax',
              one_of: ['none', 'lax', 'strict'],
              description: 'Which clients have to prove that a code is theirs (RFC 7636): none, public ones, all.',
            },
          },
          { realm },
        ],
        entity_checks: [
          {
            conditional: {
              if_field: 'mandatory_scope',
              if_match: { eq: true },
              then_field: 'scopes',
              then_match: { required: true },
            },
          },
        ],
        $check: (config: Readonly<Record<string, unknown>>) =>
          flows.some((name) => config[name] === true)
            ? undefined
            : `at least one of these fields must be true: ${flows.join(', ')}`,
      },
    },
  ],
} as const satisfies Schema
