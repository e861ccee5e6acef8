import type { Field, Fields, ShorthandField } from './field.ts'
import type { Entity } from './infer.ts'
import { host, port, sni } from './typedefs.ts'

/**
 * A Redis server as Kong's plugins name it.
 * Source: the record `redis` of Kong's rate-limiting plugin, as served by `GET /schemas/plugins/rate-limiting`.
 */
export const redis = {
  type: 'record',
  required: true,
  fields: [
    { host },
    { port: { ...port, default: 6379 } },
    {
      timeout: {
        type: 'integer',
        default: 2000,
        between: [0, 2_147_483_646],
        description: 'How long it may take to answer, in milliseconds.',
      },
    },
    { username: { type: 'string', referenceable: true, description: 'The user, for servers that have several.' } },
    {
      password: {
        type: 'string',
        referenceable: true,
        encrypted: true,
        len_min: 0,
        description: 'The password; without it nothing is said of one.',
      },
    },
    { database: { type: 'integer', default: 0, description: 'The number of the database.' } },
    { ssl: { type: 'boolean', required: false, default: false, description: 'Whether to speak TLS.' } },
    {
      ssl_verify: {
        type: 'boolean',
        required: false,
        default: false,
        description: 'Whether to ask for a certificate that `lua_ssl_trusted_certificate` stands for.',
      },
    },
    { server_name: { ...sni, required: false, description: 'The name to ask for in TLS.' } },
  ],
} as const satisfies Field

/** The record among fields of ours, which may have no defaults: `redisServer` puts them in where it is used. */
export const redisExtension: Field & { readonly $extension: true } = {
  type: 'record',
  $extension: true,
  description: 'The Redis server.',
  fields: (redis.fields as Fields).map((entry) =>
    Object.fromEntries(
      Object.entries(entry).map(([name, field]) => [name, { ...field, default: undefined, $extension: true as const }]),
    ),
  ),
}

/** What was given of a server, with Kong's defaults for the rest. */
export function redisServer(given: unknown): Entity<typeof redis> {
  const defaults = (redis.fields as Fields).flatMap((entry) =>
    Object.entries(entry).map(([name, field]) => [name, field.default ?? null]),
  )
  return { ...Object.fromEntries(defaults), ...(given as object) } as Entity<typeof redis>
}

/** In the order in which Kong serves them. */
const formerNames = [
  'host',
  'port',
  'password',
  'username',
  'ssl',
  'ssl_verify',
  'server_name',
  'timeout',
  'database',
] as const

/** The fields that named a server before there was the record, such as `redis_host`, which Kong goes on to take and to show. */
export function formerRedisFields(plugin: string): readonly ShorthandField[] {
  const fields = Object.assign({}, ...redis.fields) as Readonly<Record<string, Field>>
  return formerNames.map((name) => {
    const { type = 'string', len_min } = fields[name] ?? {}
    return {
      [`redis_${name}`]: {
        type,
        ...(len_min !== undefined && { len_min }),
        deprecation: {
          replaced_with: [{ path: ['redis', name] }],
          message: `${plugin}: config.redis_${name} is deprecated, please use config.redis.${name} instead`,
          removal_in_version: '4.0',
        },
      },
    }
  })
}
