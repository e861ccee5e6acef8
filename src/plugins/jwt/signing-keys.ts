/**
 * The gateway's own signing keys. They stand in the store, sealed like every secret there, so that all nodes sign with the same
 * ones and publish all that are in use. They change by themselves: a new key is published for an hour before it signs, and two
 * older ones stay published, so that whoever fetches the set now and then always has the key of a token that is not over yet.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { Entities, Entity, Loaded } from '../../pdk/entities.ts'
import { jwt_signing_keys } from './signing-keys-schema.ts'

export interface SigningKeys {
  /** What they follow from; they are to be looked at anew when it is no longer `live`. */
  readonly from: Loaded
  /** The key that signs at a time, in seconds since 1970. */
  current(now: number): SigningKey
  /** The public keys as a JSON Web Key Set (RFC 7517). */
  readonly published: { readonly keys: readonly object[] }
}

export interface SigningKey {
  readonly kid: string
  readonly key: KeyObject
}

/** The algorithm of all of them. */
export const signingAlgorithm = 'ES256'

const leadSeconds = 3600
const rotateSeconds = 30 * 86_400
const mostKeys = 3
const name = 'gateway'

interface Kept {
  readonly kid: string
  readonly created_at: number
  readonly pem: string
}

const made = new WeakMap<Entity, Omit<SigningKeys, 'from'> & { readonly newestAt: number }>()
/** When keys may be made or changed again, in seconds since 1970: one write is under way, or has just failed. */
let nextTryAt = 0
const tryAgainSeconds = 10

/** The keys in force; a promise where the first ones have to be made, of undefined where they cannot be kept. */
export function signingKeys(entities: Entities, now: number): SigningKeys | Promise<SigningKeys | undefined> {
  const held = heldKeys(entities)
  if (held === undefined) return firstKeys(entities, now)
  if (now - held.newestAt >= rotateSeconds && now >= nextTryAt) {
    nextTryAt = now + tryAgainSeconds
    void rotate(entities, held.from.entity, now)
  }
  return held
}

function heldKeys(entities: Entities) {
  const from = entities.by(jwt_signing_keys.name, 'name', name)
  if (from === undefined) return undefined
  let keys = made.get(from.entity)
  if (keys === undefined) made.set(from.entity, (keys = keysOf(keptIn(from.entity))))
  return { ...keys, from }
}

/** Of two workers that make the first keys at the same time one is first; the other finds its keys. */
async function firstKeys(entities: Entities, now: number): Promise<SigningKeys | undefined> {
  const entity = { name, keys: JSON.stringify([newKey(now)]) }
  await entities.write([{ do: 'insert', kind: jwt_signing_keys.name, entity }])
  return heldKeys(entities)
}

async function rotate(entities: Entities, entity: Entity, now: number): Promise<void> {
  const keys = JSON.stringify([newKey(now), ...keptIn(entity)].slice(0, mostKeys))
  await entities.write([{ do: 'update', kind: jwt_signing_keys.name, id: entity.id, changes: { keys } }])
}

const keptIn = (entity: Entity): Kept[] => JSON.parse(String(entity['keys'])) as Kept[]

function newKey(now: number): Kept {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const kid = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url')
  return { kid, created_at: now, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) }
}

/** `kept` has the newest key first. */
function keysOf(kept: readonly Kept[]): Omit<SigningKeys, 'from'> & { readonly newestAt: number } {
  const keys = kept.map(({ kid, created_at, pem }) => ({ kid, createdAt: created_at, key: createPrivateKey(pem) }))
  const [newest] = keys
  if (newest === undefined) throw new Error('the entity of the signing keys holds none')
  return {
    newestAt: newest.createdAt,
    current: (now) => keys.find(({ createdAt }) => now - createdAt >= leadSeconds) ?? keys.at(-1) ?? newest,
    published: {
      keys: keys.map(({ kid, key }) => ({
        ...createPublicKey(key).export({ format: 'jwk' }),
        kid,
        use: 'sig',
        alg: signingAlgorithm,
      })),
    },
  }
}
