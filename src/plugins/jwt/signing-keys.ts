/**
 * The gateway's own signing keys. They stand in the store, sealed like every secret there, so that all nodes sign with the same
 * ones and publish all that are in use. They change by themselves: a new key is published for an hour before it signs, and two
 * older ones stay published, so that whoever fetches the set now and then always has the key of a token that is not over yet.
 * Who cannot wait, because a key was stolen, changes them at once.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { Entities, Entity, Loaded } from '../../pdk/entities.ts'
import { checkInsert } from '../../schema/check.ts'
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
  /** From when on it signs, where that is not an hour after it was made. */
  readonly signs_at?: number
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

/** What came of a change at once: the `kid` of the key that signs, and those of all that are published, the newest first. */
export interface ChangedKeys {
  readonly kid: string
  readonly published: readonly string[]
}

/** What a change needs of the store: to read anew, and to write only where nobody else has written meanwhile. */
export interface KeyStore {
  readonly reader: { renew(): number; by(kind: string, field: string, value: string): Entity | undefined }
  readonly write: (
    operations: readonly Replacing[],
  ) => Promise<{ readonly ok: true } | { readonly ok: false; readonly error: { readonly code: string } }>
}

type Replacing =
  | { readonly do: 'insert'; readonly kind: string; readonly entity: Entity }
  | { readonly do: 'update'; readonly kind: string; readonly entity: Entity; readonly expected: Entity }

/** How often a change that met another one is tried again. */
const mostTries = 10

/**
 * Has a new key sign from now on, in seconds since 1970; older ones stay published, or go with `withdraw`, so that what they have
 * signed is worth nothing. Undefined where the store cannot be written.
 */
export async function changeSigningKeys(
  { reader, write }: KeyStore,
  now: number,
  { withdraw }: { readonly withdraw: boolean },
): Promise<ChangedKeys | undefined> {
  for (let triesLeft = mostTries; triesLeft > 0; triesLeft--) {
    reader.renew()
    const before = reader.by(jwt_signing_keys.name, 'name', name)
    const older = before === undefined || withdraw ? [] : keptIn(before)
    const kept = [{ ...newKey(now), signs_at: now }, ...older].slice(0, mostKeys)
    const written = await write([replacing(before, JSON.stringify(kept))])
    if (written.ok) return { kid: kept[0]!.kid, published: kept.map(({ kid }) => kid) }
    if (written.error.code === 'unavailable') break
  }
  return undefined
}

function replacing(before: Entity | undefined, keys: string): Replacing {
  const kind = jwt_signing_keys.name
  if (before) return { do: 'update', kind, entity: { ...before, keys }, expected: before }
  const checked = checkInsert(jwt_signing_keys, { name, keys })
  if (!checked.ok) throw new Error('the entity of the signing keys is not as its schema says')
  return { do: 'insert', kind, entity: checked.value as Entity }
}

const keptIn = (entity: Entity): Kept[] => JSON.parse(String(entity['keys'])) as Kept[]

function newKey(now: number): Omit<Kept, 'signs_at'> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const kid = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url')
  return { kid, created_at: now, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) }
}

/** `kept` has the newest key first. */
function keysOf(kept: readonly Kept[]): Omit<SigningKeys, 'from'> & { readonly newestAt: number } {
  const keys = kept.map(({ kid, created_at, signs_at = created_at + leadSeconds, pem }) => ({
    kid,
    createdAt: created_at,
    signsAt: signs_at,
    key: createPrivateKey(pem),
  }))
  const [newest] = keys
  if (newest === undefined) throw new Error('the entity of the signing keys holds none')
  return {
    newestAt: newest.createdAt,
    current: (now) => keys.find(({ signsAt }) => now >= signsAt) ?? keys.at(-1) ?? newest,
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
