/**
 * Issuers' keys as a worker holds them. A key that is still the same after a change stays the same object, so that tokens
 * verified with it stay remembered; one that is gone is no longer `live`, and its tokens go with it.
 * Source: RFC 7517 sections 4 and 5, RFC 8725 section 3.
 */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { Loaded } from '../../pdk/entities.ts'
import type { Algorithm } from './algorithms.ts'
import { isObject, type JsonObject } from './token.ts'

export interface SigningKey {
  readonly kid: string | undefined
  readonly alg: string | undefined
  readonly key: KeyObject
  /** What stands for the key where a credential is looked at. */
  readonly loaded: Loaded
}

/** Gives the keys of an issuer by its address, an `IssuerAddress` as JSON. */
export type KeySets = (address: string) => KeySet

export interface KeySet {
  /** The keys that may have signed a token: by its `kid`, or all where it names none; undefined where these are too many to try. */
  find(kid: unknown, alg: string, algorithm: Algorithm): readonly SigningKey[] | undefined
  /** Resolves when keys were asked for anew; undefined where too many wait for that already. */
  refreshed(): Promise<void> | undefined
}

/** Where keys come from: what fetches them, or the thread that does. What changes later is adopted. */
export interface KeySource {
  /** Gives the keys, a JSON array of JWKs, where they are at hand. */
  follow(address: string): string | undefined
  ask(address: string): Promise<void>
}

const mostKeys = 100
/** So many keys are tried for a token that names none. */
export const mostTries = 5
const mostWaiting = 1000
const followAgainMs = 3_600_000
const leastRsaBits = 2048

/** One whose owner says which keys there are: a JSON array of JWKs. */
export interface OwnKeySet extends KeySet {
  adopt(keys: string): void
}

/** Sets of a source's keys, each followed from the first time on that somebody wants it. */
export function createKeySets(source: KeySource) {
  const sets = new Map<string, OwnKeySet>()
  const follow = (address: string, set: OwnKeySet): void => {
    const keys = source.follow(address)
    if (keys !== undefined) set.adopt(keys)
  }
  const of: KeySets = (address) => {
    const known = sets.get(address)
    if (known) return known
    const set = createKeySet(
      () => source.ask(address),
      () => follow(address, set),
    )
    sets.set(address, set)
    follow(address, set)
    return set
  }
  return {
    of,
    /** Puts an issuer's keys (a JSON array of JWKs) in force. */
    adopt: (address: string, keys: string): void => sets.get(address)?.adopt(keys),
    followAgain: (): void => sets.forEach((set, address) => follow(address, set)),
  }
}

let source: KeySource = { follow: () => undefined, ask: () => Promise.resolve() }
const own = createKeySets({ follow: (address) => source.follow(address), ask: (address) => source.ask(address) })

/** Sets where this worker's keys come from. */
export function configureKeySource(given: KeySource): void {
  source = given
  own.followAgain()
}

/** The keys that this worker has of an issuer; followed from the first time on. */
export const keySetOf: KeySets = own.of

/** Puts an issuer's keys (a JSON array of JWKs) in force in this worker. */
export const adoptKeys = own.adopt

/** A set without keys. `ask` is to bring others where one is missed, `follow` is called now and then as long as it is used. */
export function createKeySet(ask: () => Promise<void>, follow: () => void = () => {}, now = Date.now): OwnKeySet {
  let keys: readonly (SigningKey & { readonly text: string })[] = []
  let waiting = 0
  let followedAt = now()
  return {
    find(kid, alg, algorithm) {
      if (now() - followedAt > followAgainMs) {
        followedAt = now()
        follow()
      }
      const suiting = keys.filter(
        (key) => (kid === undefined || key.kid === kid) && (key.alg ?? alg) === alg && algorithm.suits(key.key),
      )
      // Without a kid each key has to be tried; a set of many would make that dear.
      return suiting.length <= mostTries ? suiting : undefined
    },
    refreshed() {
      if (waiting >= mostWaiting) return undefined
      waiting++
      return ask().finally(() => waiting--)
    },
    adopt(text) {
      const before = new Map(keys.map((key) => [key.text, key]))
      keys = keysIn(text).map((jwk) => before.get(jwk.text) ?? jwk)
      const kept = new Set(keys)
      for (const key of before.values()) if (!kept.has(key)) (key.loaded as { live: boolean }).live = false
    },
  }
}

function keysIn(text: string): (SigningKey & { readonly text: string })[] {
  const members = (JSON.parse(text) as unknown[]).slice(0, mostKeys)
  return members.flatMap((jwk) => {
    const key = isObject(jwk) ? signingKey(jwk) : undefined
    if (!key || !isObject(jwk)) return []
    const { kid, alg } = jwk
    return {
      kid: typeof kid === 'string' ? kid : undefined,
      alg: typeof alg === 'string' ? alg : undefined,
      key,
      loaded: { entity: { id: typeof kid === 'string' ? kid : '' }, live: true },
      text: JSON.stringify(jwk),
    }
  })
}

/** A public key that is meant for signatures; undefined for any other, and for what an issuer must never publish. */
function signingKey(jwk: JsonObject): KeyObject | undefined {
  const { kty, use, key_ops: operations } = jwk
  if (kty === 'oct' || 'd' in jwk || (use !== undefined && use !== 'sig')) return undefined
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    if ((key.asymmetricKeyDetails?.modulusLength ?? leastRsaBits) < leastRsaBits) return undefined
    return isCertified(key, jwk['x5c']) ? key : undefined
  } catch {
    return undefined
  }
}

/** RFC 7517 4.7: where there is a certificate, its key must be this one. */
function isCertified(key: KeyObject, chain: unknown): boolean {
  if (chain === undefined) return true
  const [first] = Array.isArray(chain) ? (chain as unknown[]) : []
  return typeof first === 'string' && new X509Certificate(Buffer.from(first, 'base64')).publicKey.equals(key)
}
