import type { Schema } from '../../schema/field.ts'
import { auto_timestamp_s, credential_consumer, tags, uuid } from '../../schema/typedefs.ts'
import { hashSecret, hasHash, isHash } from './hash.ts'

/** A client application of a consumer. */
export const oauth2_credentials = {
  name: 'oauth2_credentials',
  endpoint_key: 'client_id',
  admin_api_name: 'oauth2',
  admin_api_nested_name: 'oauth2',
  cache_key: ['client_id'],
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { consumer: credential_consumer },
    { name: { type: 'string', required: true, description: "The application's name." } },
    {
      client_id: {
        type: 'string',
        required: false,
        unique: true,
        auto: true,
        description: 'What it names itself; made when none is given.',
      },
    },
    {
      client_secret: {
        type: 'string',
        required: false,
        auto: true,
        encrypted: true,
        description: 'What it proves itself with; made when none is given.',
      },
    },
    {
      hash_secret: {
        type: 'boolean',
        required: true,
        default: false,
        description: 'Whether only a hash of the secret is kept.',
      },
    },
    {
      redirect_uris: {
        type: 'array',
        required: false,
        elements: { type: 'string', $check: redirectUriError },
        description: 'Where its users may be sent back to.',
      },
    },
    { tags },
    {
      client_type: {
        type: 'string',
        required: true,
        default: 'confidential',
        one_of: ['confidential', 'public'],
        description: 'Whether it can keep a secret (RFC 6749 2.1).',
      },
    },
  ],
  $transforms: { input: ['hash_secret'], needs: ['client_secret'] },
  $transform: ({ hash_secret, client_secret: secret }, _, before) => {
    if (!hash_secret || typeof secret !== 'string' || isHash(secret)) return {}
    const kept = before?.['client_secret']
    // The same secret keeps its hash, so that loading a file again changes nothing.
    return { client_secret: typeof kept === 'string' && hasHash(secret, kept) ? kept : hashSecret(secret) }
  },
} as const satisfies Schema

function redirectUriError(uri: string): string | undefined {
  const match = /^[A-Za-z\d][A-Za-z\d+.-]*:\/\/(?:[^/?#@]*@)?(?:\[[^/?#@[\]]+\]|[^/?#:@[\]]+)(?::\d*)?(?:[/?#]|$)/.exec(
    uri,
  )
  if (!match) return `cannot parse '${uri}'`
  return uri.includes('#') ? `fragment not allowed in '${uri}'` : undefined
}

const service = {
  type: 'foreign',
  reference: 'services',
  default: null,
  on_delete: 'cascade',
  description: 'The service that it is good for; null for all.',
} as const

const credential = {
  type: 'foreign',
  reference: 'oauth2_credentials',
  required: true,
  on_delete: 'cascade',
  description: 'The client that it was given to.',
} as const

const authenticated_userid = {
  type: 'string',
  required: false,
  description: 'The user in whose name the client asks.',
} as const

const scope = { type: 'string', description: 'The scopes, with spaces between.' } as const

/** A code that a client may change for a token, once. */
export const oauth2_authorization_codes = {
  name: 'oauth2_authorization_codes',
  ttl: true,
  generate_admin_api: false,
  db_export: false,
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { service },
    { credential },
    { code: { type: 'string', required: false, unique: true, auto: true, $secret: true, description: 'The code.' } },
    { authenticated_userid },
    { scope },
    { challenge: { type: 'string', required: false, description: 'What the proof of RFC 7636 is held against.' } },
    {
      challenge_method: {
        type: 'string',
        required: false,
        one_of: ['S256'],
        description: 'How the challenge was made.',
      },
    },
    {
      plugin: {
        type: 'foreign',
        reference: 'plugins',
        default: null,
        on_delete: 'cascade',
        description: 'The plugin that gave it.',
      },
    },
  ],
} as const satisfies Schema

/** An access token, with the refresh token that renews it. */
export const oauth2_tokens = {
  name: 'oauth2_tokens',
  endpoint_key: 'access_token',
  cache_key: ['access_token'],
  ttl: true,
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { service },
    { credential },
    {
      token_type: {
        type: 'string',
        required: true,
        one_of: ['bearer'],
        default: 'bearer',
        description: "The token's type (RFC 6750).",
      },
    },
    { expires_in: { type: 'integer', required: true, description: 'How long it is good, in seconds; 0 for ever.' } },
    {
      access_token: {
        type: 'string',
        required: false,
        unique: true,
        auto: true,
        $secret: true,
        description: 'What requests are sent with; made when none is given.',
      },
    },
    { refresh_token: { type: 'string', required: false, unique: true, $secret: true, description: 'What renews it.' } },
    { authenticated_userid },
    { scope },
  ],
} as const satisfies Schema
