import type { Schema } from '../../schema/field.ts'
import { auto_timestamp_s, credential_consumer, tags, uuid } from '../../schema/typedefs.ts'

/** A consumer's name and secret for signed requests. */
export const hmacauth_credentials = {
  name: 'hmacauth_credentials',
  endpoint_key: 'username',
  admin_api_name: 'hmac-auths',
  admin_api_nested_name: 'hmac-auth',
  cache_key: ['username'],
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { consumer: credential_consumer },
    { username: { type: 'string', required: true, unique: true, description: 'The name in signatures.' } },
    {
      secret: {
        type: 'string',
        auto: true,
        $secret: true,
        description: 'The key of signatures; made when none is given.',
      },
    },
    { tags },
  ],
} as const satisfies Schema
