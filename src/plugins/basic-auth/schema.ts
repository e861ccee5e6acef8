import type { Field, Schema } from '../../schema/field.ts'
import { redisExtension } from '../../schema/redis.ts'
import { anonymous, hide_credentials, no_consumer, protocols_http, realm } from '../../schema/typedefs.ts'

/** A field of Kong's from version 3.13 on, but for its strategy `cluster`; its parts are in a config where they were given. */
const brute_force_protection = {
  type: 'record',
  $extension: true,
  description: 'Lets nobody in by a name for a while after wrong passwords.',
  $check: ({ strategy, redis }: { readonly strategy?: unknown; readonly redis?: { readonly host?: unknown } }) =>
    strategy === 'redis' && !redis?.host ? 'strategy redis needs redis.host' : undefined,
  fields: [
    {
      strategy: {
        type: 'string',
        required: true,
        one_of: ['off', 'memory', 'redis'],
        description: 'Where wrong passwords are counted: nowhere, on each node, or in Redis for all nodes.',
      },
    },
    { redis: redisExtension },
  ],
} as const satisfies Field

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
        fields: [
          { anonymous },
          { hide_credentials },
          { realm: { ...realm, required: true, default: 'service' } },
          { brute_force_protection },
        ],
      },
    },
  ],
} as const satisfies Schema
