import type { Schema } from '../../schema/field.ts'
import { auto_timestamp_s, credential_consumer, tags, uuid } from '../../schema/typedefs.ts'

/** A consumer's API key. */
export const keyauth_credentials = {
  name: 'keyauth_credentials',
  endpoint_key: 'key',
  admin_api_name: 'key-auths',
  admin_api_nested_name: 'key-auth',
  cache_key: ['key'],
  ttl: true,
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { consumer: credential_consumer },
    {
      key: {
        type: 'string',
        required: false,
        unique: true,
        auto: true,
        $secret: true,
        description: 'What requests are sent with; made when none is given.',
      },
    },
    { tags },
  ],
} as const satisfies Schema
