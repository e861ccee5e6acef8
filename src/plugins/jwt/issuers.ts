/** Tokens of issuers whose keys rotate: which issuer, which of its keys, and whether that made the signature. */
import type { Entity, Loaded } from '../../pdk/entities.ts'
import { algorithms, isSignedWith } from './algorithms.ts'
import { claimAt } from './claims.ts'
import type { IssuerAddress } from './key-fetching.ts'
import type { KeySet, KeySets } from './key-sets.ts'
import { madeOf } from './made.ts'
import type { Config } from './ready.ts'
import type { Refusal } from './refusals.ts'
import type { Token } from './token.ts'

export interface Issuer {
  /** Which key made a token's signature, or why none did; a promise where keys have to be asked for anew. */
  verify(token: Token): Loaded | Refusal | Promise<Loaded | Refusal>
}

/** The issuers of a config by what stands in `iss`; undefined where it has none. */
export function issuersOf(config: Config, keySets: KeySets): ReadonlyMap<string, Issuer> | undefined {
  return config.issuers && new Map(config.issuers.map((issuer) => [issuer.issuer, issuerOf(issuer, keySets)]))
}

/** The issuer that a token says it is of, among these. */
export function issuerIn(issuers: ReadonlyMap<string, Issuer> | undefined, { claims }: Token): Issuer | undefined {
  const iss = issuers && claimAt(claims, ['iss'])
  return typeof iss === 'string' ? issuers?.get(iss) : undefined
}

function issuerOf(
  { issuer, jwks_uri, discovery_uri, algorithms: allowed }: NonNullable<Config['issuers']>[number],
  keySets: KeySets,
): Issuer {
  const address = { issuer, jwks_uri: jwks_uri ?? null, discovery_uri: discovery_uri ?? null }
  return issuerAt(address, keySets, allowed)
}

/** The issuer that a credential stands for; undefined for one with a key of its own. */
export function issuerOfCredential({ entity }: Loaded, keySets: KeySets): Issuer | undefined {
  const made = madeOf(entity)
  if (made.keySets === keySets) return made.issuer
  const address = addressOfCredential(entity)
  made.issuer = address && issuerAt(address, keySets)
  made.keySets = keySets
  return made.issuer
}

/** Where the keys of the issuer are that a credential stands for; undefined for a credential with a key of its own. */
export const addressOfCredential = ({ jwks_uri, discovery_uri, key }: Entity): IssuerAddress | undefined =>
  typeof jwks_uri === 'string' ? keysAt(jwks_uri) : discoveredAt(discovery_uri, key)

/** Many credentials may name one set of keys, which is then fetched once. */
const keysAt = (jwks_uri: string): IssuerAddress => ({ issuer: jwks_uri, jwks_uri, discovery_uri: null })

const discoveredAt = (discovery_uri: unknown, key: unknown): IssuerAddress | undefined =>
  typeof discovery_uri === 'string' ? { issuer: String(key), jwks_uri: null, discovery_uri } : undefined

const together = new WeakMap<Loaded, WeakMap<Loaded, Loaded>>()

/** One entity for as long as it and another one are in force: the same for the same two, so that what is made of it can be kept. */
export function whileBothLive(one: Loaded, other: Loaded): Loaded {
  let withOther = together.get(other)
  if (withOther === undefined) together.set(other, (withOther = new WeakMap()))
  let both = withOther.get(one)
  if (both === undefined) {
    both = {
      entity: one.entity,
      get live() {
        return one.live && other.live
      },
    }
    withOther.set(one, both)
  }
  return both
}

function issuerAt(address: IssuerAddress, keySets: KeySets, allowed?: readonly string[]): Issuer {
  const keys = keySets(JSON.stringify(address))
  const isAllowed = (alg: string) => allowed === undefined || allowed.includes(alg)
  return {
    verify(token) {
      // A key that everyone can read must never be taken for a secret.
      if (algorithms.get(token.alg)?.material !== 'public key' || !isAllowed(token.alg)) return 'other algorithm'
      const made = signerAmong(keys, token)
      if (made !== 'unknown signing key') return made
      const refreshed = keys.refreshed()
      return refreshed ? refreshed.then(() => signerAmong(keys, token)) : made
    },
  }
}

function signerAmong(keys: KeySet, token: Token): Loaded | Refusal {
  const algorithm = algorithms.get(token.alg)
  if (!algorithm) return 'other algorithm'
  const candidates = keys.find(claimAt(token.header, ['kid']), token.alg, algorithm)
  if (!candidates) return 'too many signing keys'
  if (candidates.length === 0) return 'unknown signing key'
  return candidates.find(({ key }) => isSignedWith(algorithm, token, key))?.loaded ?? 'bad signature'
}
