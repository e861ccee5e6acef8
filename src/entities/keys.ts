import { type JsonWebKeyInput, createPrivateKey, createPublicKey } from 'node:crypto'
import type { Field, Schema } from '../schema/field.ts'
import { auto_timestamp_s, tags, uuid } from '../schema/typedefs.ts'
import { isReference } from '../schema/value.ts'

const pem = {
  type: 'record',
  required: false,
  fields: [
    { private_key: { type: 'string', required: false, referenceable: true, encrypted: true, description: 'In PEM.' } },
    { public_key: { type: 'string', required: false, referenceable: true, description: 'In PEM.' } },
  ],
  entity_checks: [{ at_least_one_of: ['private_key', 'public_key'] }],
  description: 'The key as a pair in PEM.',
  $check: pairError,
} as const satisfies Field

/** A key, as a JSON Web Key or in PEM, with an id by which tokens and the like name it. */
export const keys = {
  name: 'keys',
  endpoint_key: 'name',
  cache_key: ['kid', 'set'],
  fields: [
    { id: uuid },
    {
      set: {
        type: 'foreign',
        required: false,
        reference: 'key_sets',
        on_delete: 'cascade',
        description: 'The set that it belongs to.',
      },
    },
    { name: { type: 'string', required: false, unique: true, description: 'Its unique name.' } },
    { kid: { type: 'string', required: true, unique: false, description: 'Its id, unique within the set.' } },
    {
      jwk: {
        type: 'string',
        referenceable: true,
        encrypted: true,
        description: 'The key as the text of a JSON Web Key.',
      },
    },
    { pem },
    { tags },
    { created_at: auto_timestamp_s },
    { updated_at: auto_timestamp_s },
  ],
  entity_checks: [
    { mutually_exclusive: ['jwk', 'pem'] },
    { at_least_one_of: ['jwk', 'pem'] },
    { custom_entity_check: { field_sources: ['jwk', 'pem', 'kid'], $check: jwkError } },
  ],
} as const satisfies Schema

function pairError(pair: Readonly<Record<string, string | null | undefined>>): string | undefined {
  const { public_key, private_key } = pair
  if (isReference(public_key) || isReference(private_key)) return undefined
  const publicKey = public_key ? attempt(() => createPublicKey(public_key)) : undefined
  if (public_key && (!publicKey || public_key.includes('PRIVATE KEY-----'))) return 'could not load public key'
  const privateKey = private_key ? attempt(() => createPrivateKey(private_key)) : undefined
  if (private_key && !privateKey) return 'could not load private key'
  if (!publicKey || !privateKey) return undefined
  return createPublicKey(privateKey).equals(publicKey) ? undefined : 'public key does not match private key'
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}

function jwkError(entity: Readonly<Record<string, unknown>>): string | undefined {
  const { jwk, kid } = entity
  if (typeof jwk !== 'string' || isReference(jwk)) return undefined
  const members = attempt((): unknown => JSON.parse(jwk))
  if (typeof members !== 'object' || members === null) return 'could not json decode jwk string'
  if (!('kid' in members) || members.kid !== kid) return 'kid in jwk.kid must be equal to keys.kid'
  if (!attempt(() => createPublicKey({ key: members as JsonWebKeyInput['key'], format: 'jwk' })))
    return 'could not load JWK, likely not a valid key'
  const wrong = Object.entries(members)
    .map(([name, value]) => memberError(name, value))
    .filter((text) => text !== undefined)
  return wrong.length > 0 ? `Validation error: ${wrong.join('; ')}` : undefined
}

const texts = new Set('issuer kty use alg kid x5u x5t x5t#S256 k x y crv n e d p q dp dq qi oth r t'.split(' '))
const lists = new Set(['key_ops', 'x5c'])

/** The members that RFC 7517 and 7518 know. */
function memberError(name: string, value: unknown): string | undefined {
  if (lists.has(name)) return Array.isArray(value) ? undefined : `${name}: expected an array`
  if (!texts.has(name)) return `${name}: unknown field`
  return typeof value === 'string' ? undefined : `${name}: expected a string`
}
