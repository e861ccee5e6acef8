/** What verifies by a jwt credential, made once for each credential and forgotten with it. */
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import type { Entity } from '../../pdk/entities.ts'
import { isReference } from '../../schema/value.ts'
import type { Algorithm, Verify } from './algorithms.ts'
import { madeOf } from './made.ts'

/** What is wrong with what a credential holds. */
export type KeyFault = 'unusable key material' | 'key of another kind'

type Material = Algorithm['material'] | 'base64 secret'

const makers: Readonly<Record<Material, (credential: Entity) => KeyObject | null>> = {
  secret: ({ secret }) => secretKey(isOwnText(secret) ? Buffer.from(secret, 'utf8') : undefined),
  'base64 secret': ({ secret }) => secretKey(isOwnText(secret) ? decodeSecret(secret) : undefined),
  'public key': ({ rsa_public_key: pem }) => (typeof pem === 'string' ? publicKey(pem) : null),
}

/** What tells whether a signature is a credential's, or why that holds no key that the algorithm can use. */
export function verifierOf(credential: Entity, algorithm: Algorithm, secretIsBase64: boolean): Verify | KeyFault {
  const made = madeOf(credential)
  const isBase64 = secretIsBase64 && algorithm.material === 'secret'
  if (made.algorithm === algorithm && made.isBase64 === isBase64) return made.verify
  const material = isBase64 ? 'base64 secret' : algorithm.material
  const key = makers[material](credential)
  if (key === null) made.verify = 'unusable key material'
  else made.verify = algorithm.suits(key) ? algorithm.verifier(key) : 'key of another kind'
  made.algorithm = algorithm
  made.isBase64 = isBase64
  return made.verify
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
