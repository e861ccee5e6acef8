/**
 * What the plugin can do beside Kong's: fields that are in a config only where they are used, also those within them, since
 * decK cannot know a default that no schema tells it. Their names are those of Kong's
 * openid-connect plugin where that has such a field, so that people know them.
 */
import { type ShapeOptions, shapeError } from '../../pdk/error-shape.ts'
import type { Field, Fields } from '../../schema/field.ts'
import { claimRuleError } from './claim-rules-schema.ts'

/** The most that a config may let clocks differ by, in seconds. */
export const mostLeeway = 3600

/** A claim's place: the name, or the names from the outermost to the innermost. A name may hold dots and slashes. */
const claim = {
  type: 'array',
  elements: { type: 'string', len_min: 1 },
  len_min: 1,
} as const satisfies Field

// A text without a word would be satisfied by every token.
const wordsError = (text: string): string | undefined => (text.trim() === '' ? 'expected words' : undefined)

/** One of the entries is enough; of an entry with several words all are wanted. */
const wanted = { type: 'array', elements: { type: 'string', $check: wordsError }, len_min: 1 } as const satisfies Field

const fieldName = /^[\w!#$%&'*+.^`|~-]+$/

/** Headers that say where a message ends or where it goes are not a plugin's to set. */
const framing = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

function headerNameError(name: string): string | undefined {
  if (!fieldName.test(name)) return 'expected a header name'
  return framing.has(name.toLowerCase()) ? 'must not be a header that frames the message' : undefined
}

const headerValueError = (value: string): string | undefined =>
  /^[\t\x20-\x7e]+$/.test(value) ? undefined : 'expected the value of a header'

/** Every algorithm with a public key. */
export const asymmetric = [
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
] as const

export const url = {
  type: 'string',
  $check: (text: string) =>
    /^https?:\/\/[^\s/]/.test(text) && URL.canParse(text) ? undefined : 'expected an http or https URL',
} as const satisfies Field

/** What of a config does not go together. */
export function togetherError(config: { readonly [field: string]: unknown }): string | undefined {
  if (config['issuers'] && !config['consumer_claim'] && config['consumer_optional'] !== true)
    return 'issuers needs consumer_claim, which says whose token it is, or consumer_optional = true'
  if (config['introspection'] && !config['consumer_claim'] && config['consumer_optional'] !== true)
    return 'introspection needs consumer_claim, which says whose token it is, or consumer_optional = true'
  if (config['security_events'] && !(config['issuers'] && config['check_revocation'] === true))
    return 'security_events needs issuers, who send them, and check_revocation = true, which heeds them'
  const events = config['security_events'] as { readonly path?: unknown; readonly streams?: unknown } | null | undefined
  if (events && !events.path && !events.streams)
    return 'security_events needs path, where issuers post them, or streams, where they are asked'
  return errorShapeError(config)
}

function errorShapeError(config: { readonly [field: string]: unknown }): string | undefined {
  const { error_format: format, error_template: template, error_content_type: contentType } = config
  if (!format) return template || contentType ? 'error_template and error_content_type need error_format' : undefined
  return shapeError({
    format: format as ShapeOptions['format'],
    template: (template ?? undefined) as string | undefined,
    contentType: (contentType ?? undefined) as string | undefined,
  })
}

export const extensionFields = [
  {
    mode: {
      type: 'string',
      one_of: ['enforce', 'observe'],
      $extension: true,
      description:
        'With `observe`, the fields beside Kong’s are looked at, and what they would refuse is counted, not refused.',
    },
  },
  {
    issuers: {
      type: 'array',
      len_min: 1,
      len_max: 50,
      $extension: true,
      elements: {
        type: 'record',
        required: true,
        fields: [
          { issuer: { type: 'string', required: true, len_min: 1, description: 'What stands in `iss`.' } },
          { jwks_uri: { ...url, $extension: true, description: "Where the issuer's keys are (RFC 7517)." } },
          {
            discovery_uri: {
              ...url,
              $extension: true,
              description:
                'Where its metadata is, without `jwks_uri`; `/.well-known/openid-configuration` below the issuer.',
            },
          },
          {
            algorithms: {
              type: 'set',
              $extension: true,
              elements: { type: 'string', one_of: asymmetric },
              description: 'The algorithms taken; without it all with public keys that suit a key.',
            },
          },
        ],
      },
      description:
        'Identity providers whose tokens are verified with the keys that they publish. `exp` is always looked at.',
    },
  },
  {
    issuers_allowed: {
      type: 'set',
      elements: { type: 'string', len_min: 1 },
      len_min: 1,
      $extension: true,
      description: 'The values that the claim `iss` may have.',
    },
  },
  {
    audience_required: {
      ...wanted,
      $extension: true,
      description: 'Audiences one of which the token must be for.',
    },
  },
  { audience_claim: { ...claim, $extension: true, description: 'Where the audiences are; `aud` without it.' } },
  {
    scopes_required: {
      ...wanted,
      $extension: true,
      description: 'Scopes one of which the token must have; of several in one text it must have all. Else it is 403.',
    },
  },
  { scopes_claim: { ...claim, $extension: true, description: 'Where the scopes are; `scope` without it.' } },
  { roles_required: { ...wanted, $extension: true, description: 'The same for roles.' } },
  { roles_claim: { ...claim, $extension: true, description: 'Where the roles are; `roles` without it.' } },
  { groups_required: { ...wanted, $extension: true, description: 'The same for groups.' } },
  { groups_claim: { ...claim, $extension: true, description: 'Where the groups are; `groups` without it.' } },
  {
    claims_required: {
      type: 'set',
      elements: { type: 'string', len_min: 1 },
      len_min: 1,
      $extension: true,
      description: 'Claims that the token must have, whatever their values.',
    },
  },
  {
    token_types: {
      type: 'set',
      elements: { type: 'string', len_min: 1 },
      len_min: 1,
      $extension: true,
      description: 'The values that `typ` in the header may have, such as `at+jwt` (RFC 9068).',
    },
  },
  {
    claim_rules: {
      type: 'array',
      len_min: 1,
      len_max: 50,
      elements: { type: 'string', len_max: 8192, $check: claimRuleError },
      $extension: true,
      description:
        'Expressions, as routes have them, that must all hold: `claims.tenant == "acme"`, `any(claims.roles) == "admin"`. Else it is 403.',
    },
  },
  {
    single_use: {
      type: 'boolean',
      $extension: true,
      description: 'Whether a token is good once only, by its `jti`; it must have an `exp`, too.',
    },
  },
  {
    leeway: {
      type: 'number',
      between: [0, mostLeeway],
      $extension: true,
      description: 'How many seconds the clocks may differ, for `exp`, `nbf` and `iat`.',
    },
  },
  {
    maximum_age: {
      type: 'number',
      between: [1, 31_536_000],
      $extension: true,
      description: 'How many seconds ago the token may have been issued (`iat`) at most.',
    },
  },
  {
    consumer_claim: {
      ...claim,
      $extension: true,
      description: 'The claim that says which consumer it is, in place of the credential.',
    },
  },
  {
    consumer_by: {
      type: 'set',
      elements: { type: 'string', one_of: ['id', 'username', 'custom_id', 'credential'] },
      len_min: 1,
      $extension: true,
      description:
        'What of the consumer that claim is compared with; `username` and `custom_id` without it; `credential` is the key of a jwt credential.',
    },
  },
  {
    consumer_optional: {
      type: 'boolean',
      $extension: true,
      description: 'Whether a token is good without a consumer: it then stands for itself, with its claims alone.',
    },
  },
  {
    credential_claim: {
      ...claim,
      $extension: true,
      description:
        'The claim by which, with that of the issuer, tokens without a consumer are told apart: one value of it is one credential; `sub` without it.',
    },
  },
  {
    log_claims: {
      type: 'array',
      elements: claim,
      len_min: 1,
      len_max: 20,
      $extension: true,
      description: 'Claims that the line of the request in the access log has.',
    },
  },
  {
    authenticated_groups_claim: {
      ...claim,
      $extension: true,
      description: 'The claim with the groups that the acl plugin is to go by.',
    },
  },
  {
    upstream_headers: {
      type: 'array',
      len_min: 1,
      $extension: true,
      elements: {
        type: 'record',
        required: true,
        fields: [
          { name: { type: 'string', required: true, $check: headerNameError, description: "The header's name." } },
          { claim: { ...claim, required: true, description: 'The claim that it carries.' } },
          {
            format: {
              type: 'string',
              $extension: true,
              one_of: ['text', 'json', 'base64'],
              description: 'Text, lists separated by commas, which it is without this; JSON; or JSON in base64.',
            },
          },
        ],
      },
      description:
        'Headers of the request to the upstream, each with a claim. What a client sends by these names is dropped.',
    },
  },
  {
    check_revocation: {
      type: 'boolean',
      $extension: true,
      description: 'Whether tokens that were taken back (`/jwt-revocations`) are refused.',
    },
  },
  {
    security_events: {
      type: 'record',
      $extension: true,
      fields: [
        {
          path: {
            type: 'string',
            $extension: true,
            starts_with: '/',
            len_min: 2,
            description: "Where, on the plugin's routes, the issuers post their events: the whole path of the request.",
          },
        },
        {
          streams: {
            type: 'array',
            len_min: 1,
            len_max: 20,
            $extension: true,
            elements: {
              type: 'record',
              required: true,
              fields: [
                { endpoint: { ...url, required: true, description: 'Where the issuer is asked.' } },
                {
                  authorization: {
                    type: 'string',
                    len_min: 1,
                    $extension: true,
                    $secret: true,
                    $check: headerValueError,
                    description: 'The header `Authorization` with which it is asked.',
                  },
                },
              ],
            },
            description: 'Streams of events that the gateway asks for (RFC 8936).',
          },
        },
        {
          audience: {
            type: 'array',
            required: true,
            elements: { type: 'string', len_min: 1 },
            len_min: 1,
            description: 'What the issuers know the receiver by: one of them must stand in `aud`.',
          },
        },
        {
          ttl: {
            type: 'integer',
            between: [60, 31_536_000],
            $extension: true,
            description: 'How many seconds tokens live at most, after which events are forgotten; 86400 without it.',
          },
        },
      ],
      description:
        'Where the `issuers` tell that sessions, tokens or accounts are over: OpenID Connect back-channel logout, and Security Event Tokens (RFC 8417, RFC 8935, RFC 8936).',
    },
  },
  {
    dpop: {
      type: 'record',
      $extension: true,
      fields: [
        {
          required: {
            type: 'boolean',
            $extension: true,
            description: 'Whether every token must be bound to a key; without it those that are need a proof.',
          },
        },
        {
          nonce: {
            type: 'boolean',
            $extension: true,
            description: 'Whether proofs must hold a nonce of the node (RFC 9449 section 9).',
          },
        },
        {
          algorithms: {
            type: 'set',
            elements: { type: 'string', one_of: asymmetric },
            len_min: 1,
            $extension: true,
            description: 'The algorithms of proofs; without it all with public keys.',
          },
        },
        {
          max_age: {
            type: 'integer',
            between: [1, 600],
            $extension: true,
            description: 'How many seconds ago a proof may have been made; 60 without it.',
          },
        },
        {
          origins: {
            type: 'array',
            elements: url,
            len_min: 1,
            $extension: true,
            description: 'The schemes and hosts that clients know the gateway by; without it those of the request.',
          },
        },
      ],
      description: 'Tokens that are bound to a key of the client are good only with a proof of that key (RFC 9449).',
    },
  },
  {
    certificate_bound: {
      type: 'boolean',
      $extension: true,
      description: 'Whether tokens must be bound to the certificate that the client shows in TLS (RFC 8705).',
    },
  },
  {
    introspection: {
      type: 'record',
      $extension: true,
      fields: [
        { endpoint: { ...url, required: true, description: 'Where the issuer is asked.' } },
        { client_id: { type: 'string', len_min: 1, $extension: true, description: 'Who the gateway is there.' } },
        { client_secret: { type: 'string', len_min: 1, $extension: true, $secret: true, description: 'Its secret.' } },
        {
          token_type_hint: {
            type: 'string',
            len_min: 1,
            $extension: true,
            description: 'What tokens are said to be, such as `access_token`.',
          },
        },
        {
          ttl: {
            type: 'integer',
            between: [0, 3600],
            $extension: true,
            description: 'For how many seconds an answer counts at most; 60 without it.',
          },
        },
      ],
      description: 'Tokens that are no JWTs are told of by their issuer (RFC 7662).',
    },
  },
  {
    upstream_token: {
      type: 'record',
      $extension: true,
      fields: [
        { issuer: { type: 'string', required: true, len_min: 1, description: 'Its `iss`.' } },
        {
          audience: {
            type: 'array',
            elements: { type: 'string', len_min: 1 },
            len_min: 1,
            $extension: true,
            description: 'Its `aud`.',
          },
        },
        {
          ttl: {
            type: 'integer',
            between: [30, 3600],
            $extension: true,
            description:
              "For how many seconds it is good at most; 300 without this. It never outlives the client's token.",
          },
        },
        {
          header: {
            type: 'string',
            $extension: true,
            $check: headerNameError,
            description: 'The header that it stands in; `Authorization`, behind `Bearer`, without this.',
          },
        },
        {
          claims: {
            type: 'set',
            elements: {
              type: 'string',
              len_min: 1,
              not_one_of: ['iss', 'aud', 'sub', 'exp', 'nbf', 'iat', 'consumer', 'cnf', '__proto__'],
            },
            $extension: true,
            description: "The claims of the client's token that it takes over, beside `sub`.",
          },
        },
        {
          jwks_path: {
            type: 'string',
            starts_with: '/',
            $extension: true,
            description: 'Where the gateway publishes the keys; `/.well-known/gibbon/jwks.json` without this.',
          },
        },
      ],
      description: 'A token that the gateway signs for the upstream, with the consumer and chosen claims.',
    },
  },
  {
    resource_metadata: {
      type: 'record',
      $extension: true,
      fields: [
        {
          resource: {
            ...url,
            required: true,
            description: "The protected resource's identifier, the URL that clients know it by.",
          },
        },
        {
          authorization_servers: {
            type: 'array',
            elements: url,
            len_min: 1,
            $extension: true,
            description: 'Where tokens are to be had; the `issuers` without it.',
          },
        },
        {
          scopes_supported: {
            type: 'array',
            elements: { type: 'string', len_min: 1 },
            len_min: 1,
            $extension: true,
            description: 'Scopes to ask for; those of `scopes_required` without it.',
          },
        },
        { resource_name: { type: 'string', $extension: true, description: 'Its name, for people.' } },
        { resource_documentation: { ...url, $extension: true, description: 'A page about it, for people.' } },
      ],
      description: 'The protected resource’s metadata (RFC 9728), served by the gateway; challenges say where it is.',
    },
  },
  {
    error_format: {
      type: 'string',
      one_of: ['json', 'problem', 'template'],
      $extension: true,
      description: 'The body of refusals: Kong’s JSON, problem details (RFC 9457), or `error_template`.',
    },
  },
  {
    error_template: {
      type: 'string',
      len_max: 65_536,
      $extension: true,
      description: 'The body, with {{message}}, {{status}}, {{title}} and {{request_id}} filled in.',
    },
  },
  {
    error_content_type: {
      type: 'string',
      $extension: true,
      description: 'Its Content-Type, by which what is filled in is escaped; JSON without this.',
    },
  },
  {
    hide_credentials: {
      type: 'boolean',
      $extension: true,
      description: 'Whether the token is taken out of the request to the upstream.',
    },
  },
] as const satisfies Fields

/** Those that change nothing of what is asked of a token. */
const aside = new Set([
  'mode',
  'security_events',
  'leeway',
  'resource_metadata',
  'error_format',
  'error_template',
  'error_content_type',
])

/** The names of the fields by which a token is looked at otherwise than Kong does. */
export const judgingNames: readonly string[] = extensionFields
  .flatMap((entry) => Object.keys(entry))
  .filter((name) => !aside.has(name))
