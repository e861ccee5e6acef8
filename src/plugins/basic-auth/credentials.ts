import { hash } from 'node:crypto'
import type { Schema } from '../../schema/field.ts'
import { auto_timestamp_s, credential_consumer, tags, uuid } from '../../schema/typedefs.ts'

/** A consumer's user name and password. */
export const basicauth_credentials = {
  name: 'basicauth_credentials',
  endpoint_key: 'username',
  admin_api_name: 'basic-auths',
  admin_api_nested_name: 'basic-auth',
  cache_key: ['username'],
  fields: [
    { id: uuid },
    { created_at: auto_timestamp_s },
    { consumer: credential_consumer },
    { username: { type: 'string', required: true, unique: true, description: 'The user name.' } },
    {
      password: {
        type: 'string',
        required: true,
        encrypted: true,
        description: 'The password; a hash of it is kept, and answered.',
      },
    },
    { tags },
  ],
  $transforms: { input: ['password'], needs: ['consumer.id'] },
  $transform: (entity, sent) => {
    const { id } = entity['consumer'] as { readonly id: string }
    return sent.has('password') ? { password: passwordHash(String(entity['password']), id) } : {}
  },
} as const satisfies Schema

/**
 * A password in the form that it is kept in: SHA-1 of it and the consumer's id, in hex, so that what Kong and decK export and import
 * stays good. A byte string stands for the UTF-8 that it is.
 */
export function passwordHash(password: string | Buffer, consumerId: string): string {
  const salted =
    typeof password === 'string' ? password + consumerId : Buffer.concat([password, Buffer.from(consumerId)])
  return hash('sha1', salted, 'hex')
}
