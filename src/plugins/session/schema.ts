import { randomBytes } from 'node:crypto'
import type { Field, Schema } from '../../schema/field.ts'
import { no_consumer, protocols } from '../../schema/typedefs.ts'

/** What may be told of a session in headers. */
const properties = [
  'id',
  'audience',
  'subject',
  'timeout',
  'idling-timeout',
  'rolling-timeout',
  'absolute-timeout',
] as const

const seconds = (byDefault: number, description: string) =>
  ({ type: 'number', default: byDefault, description: `${description}, in seconds; 0 for any time.` }) as const

const text = (byDefault: string, description: string) => ({ type: 'string', default: byDefault, description }) as const

const flag = (byDefault: boolean, description: string) =>
  ({ type: 'boolean', default: byDefault, description }) as const

const told = (description: string) =>
  ({ type: 'set', elements: { type: 'string', one_of: properties }, description }) as const

/** A field under its former name. */
const formerly = (type: Field['type'], $expand: (value: never) => Readonly<Record<string, unknown>>) =>
  ({ type, $expand }) as const

/** The session plugin's settings. */
export const schema = {
  name: 'session',
  fields: [
    { consumer: no_consumer },
    { protocols },
    {
      config: {
        type: 'record',
        required: true,
        fields: [
          {
            secret: {
              type: 'string',
              required: false,
              referenceable: true,
              encrypted: true,
              default: randomBytes(33).toString('base64url'),
              description: 'What sessions are encrypted with. The default is another one at each start: give your own.',
            },
          },
          {
            storage: {
              type: 'string',
              one_of: ['cookie', 'kong'],
              default: 'cookie',
              description: 'Where what a session holds is kept: in the cookie, or in the database.',
            },
          },
          { audience: text('default', 'The application that sessions are for.') },
          { idling_timeout: seconds(900, 'How long a session may go unused') },
          { rolling_timeout: seconds(3600, 'After which time a session has to have been renewed') },
          { absolute_timeout: seconds(86_400, 'How long a session lasts at most') },
          {
            stale_ttl: {
              type: 'number',
              default: 10,
              description: 'How long a session that was renewed is still good, in seconds.',
            },
          },
          { cookie_name: text('session', "The cookie's name.") },
          { cookie_path: text('/', 'The path that the cookie is sent for.') },
          { cookie_domain: { type: 'string', description: 'The domain that the cookie is sent to.' } },
          {
            cookie_same_site: {
              type: 'string',
              default: 'Strict',
              one_of: ['Strict', 'Lax', 'None', 'Default'],
              description: 'Whether the cookie is sent with requests that other sites cause.',
            },
          },
          { cookie_http_only: flag(true, 'Whether scripts cannot read the cookie.') },
          { cookie_secure: flag(true, 'Whether the cookie is sent over TLS only.') },
          { remember: flag(false, 'Whether a second cookie outlives the browser and begins new sessions.') },
          { remember_cookie_name: text('remember', "That cookie's name.") },
          { remember_rolling_timeout: seconds(604_800, 'After which time that cookie has to have been renewed') },
          { remember_absolute_timeout: seconds(2_592_000, 'How long that cookie lasts at most') },
          { response_headers: told('What the client is told of its session.') },
          { request_headers: told('What the upstream is told of the session.') },
          { read_body_for_logout: flag(false, 'Whether bodies are looked at for `logout_post_arg`.') },
          {
            logout_methods: {
              type: 'set',
              default: ['POST', 'DELETE'],
              elements: { type: 'string', one_of: ['GET', 'POST', 'DELETE'] },
              description: 'Methods of requests that may end a session.',
            },
          },
          { logout_query_arg: text('session_logout', 'The query argument that ends a session.') },
          { logout_post_arg: text('session_logout', 'The body field that ends a session.') },
          { hash_subject: flag(false, 'Whether `store_metadata` keeps the hash of a subject in place of itself.') },
          { store_metadata: flag(false, 'Whether the database tells whose a session is, and for which application.') },
        ],
        shorthand_fields: [
          { cookie_lifetime: formerly('number', (value) => ({ rolling_timeout: value })) },
          { cookie_idletime: formerly('number', (value) => ({ idling_timeout: value ?? 0 })) },
          { cookie_renew: formerly('number', () => ({})) },
          { cookie_discard: formerly('number', (value) => ({ stale_ttl: value })) },
          {
            cookie_samesite: formerly('string', (value) => ({ cookie_same_site: value === 'off' ? 'Lax' : value })),
          },
          { cookie_httponly: formerly('boolean', (value) => ({ cookie_http_only: value })) },
          { cookie_persistent: formerly('boolean', (value) => ({ remember: value })) },
        ],
      },
    },
  ],
} as const satisfies Schema
