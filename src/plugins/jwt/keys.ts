/** Key objects of jwt credentials, made once for each credential and forgotten with it. */
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import type { Entity } from '../../pdk/entities.ts'
import { isReference } from '../../schema/value.ts'
import type { Algorithm } from './algorithms.ts'

type Material = Algorithm['material'] | 'base64 secret'

const made: Readonly<Record<Material, WeakMap<Entity, KeyObject | null>>> = {
  secret: new WeakMap(),
  'base64 secret': new WeakMap(),
  'public key': new WeakMap(),
}

const makers: Readonly<Record<Material, (credential: Entity) => KeyObject | null>> = {
  secret: ({ secret }) => secretKey(isOwnText(secret) ? Buffer.from(secret, 'utf8') : undefined),
  'base64 secret': ({ secret }) => secretKey(isOwnText(secret) ? decodeSecret(secret) : undefined),
  'public key': ({ rsa_public_key: pem }) => (typeof pem === 'string' ? publicKey(pem) : null),
}

/** The key with which a credential's tokens are verified; null where the credential holds none that the algorithm can use. */
export function keyOf(credential: Entity, algorithm: Algorithm, secretIsBase64: boolean): KeyObject | null {
  const material = secretIsBase64 && algorithm.material === 'secret' ? 'base64 secret' : algorithm.material
  let key = made[material].get(credential)
  if (key === undefined) {
    key = makers[material](credential)
    made[material].set(credential, key)
  }
  return key !== null && algorithm.suits(key) ? key : null
}

/** Kong's schema does not let a credential's secret refer to a vault, and whoever reads the reference could sign with it. */
const isOwnText = (secret: unknown): secret is string => typeof secret === 'string' && !isReference(secret)

/** An empty secret is no secret: everyone knows it. */
function secretKey(bytes: Buffer | undefined): KeyObject | null {
  return bytes === undefined || bytes.length === 0 ? null : createSecretKey(bytes)
}

/** Base64 in either alphabet, padded or not, as people paste it; undefined where it is not base64. */
export function decodeSecret(text: string): Buffer | undefined {
  return /^[\w+/-]*={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined
}

/** A PEM key; where it is a private one, its public half. A certificate is refused, as the credential's schema does. */
function publicKey(pem: string): KeyObject | null {
  if (pem.includes('-----BEGIN CERTIFICATE')) return null
  try {
    return createPublicKey(pem)
  } catch {
    return null
  }
}
