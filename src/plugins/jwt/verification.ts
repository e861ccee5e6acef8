/**
 * From a token's text to who signed it. The order of the steps is part of the contract: the algorithm and the key are looked
 * at before any cryptography, which costs more than the rest of the request.
 */
import type { EntityReader, Loaded } from '../../pdk/entities.ts'
import { algorithms, isSignedBy } from './algorithms.ts'
import { verifierOf } from './keys.ts'
import { issuerOfCredential, whileBothLive } from './issuers.ts'
import type { KeySets } from './key-sets.ts'
import type { Refusal } from './refusals.ts'
import { knownConsumer } from './signers.ts'
import { issuersTimes, type TimePolicy, timesOf, type Times } from './times.ts'
import { decodeToken, type Token } from './token.ts'

/** All that the outcome of a verification depends on beside the token and the entities. */
export interface Policy {
  /** Where the keys of issuers come from. */
  readonly keySets: KeySets
  readonly keyClaimName: string
  readonly secretIsBase64: boolean
}

/** A token whose signature is right, with the credential that made it; its times are yet to be looked at. */
export interface Verified {
  readonly credential: Loaded
  /** Whether the signature was made by the issuer that the credential stands for, rather than with a key of its own. */
  readonly byIssuer: boolean
  readonly consumer: Loaded
  readonly times: Times
  readonly token: Token
}

/** Verifies a token's text but for its times, or names the first thing that is wrong with it. */
export function verifyToken(
  entities: EntityReader,
  policy: Policy,
  text: string,
): Verified | Refusal | Promise<Verified | Refusal> {
  const token = decodeToken(text)
  return typeof token === 'string' ? token : verifyDecoded(entities, policy, token)
}

/** The same for a token that has been taken apart. */
export function verifyDecoded(
  entities: EntityReader,
  policy: Policy,
  token: Token,
): Verified | Refusal | Promise<Verified | Refusal> {
  const key = credentialKey(token, policy.keyClaimName)
  if (typeof key !== 'object') return key
  const credential = entities.by('jwt_secrets', 'key', key.text)
  if (credential === undefined) return 'unknown key'
  const issuer = issuerOfCredential(credential, policy.keySets)
  if (issuer === undefined) return ownedBy(entities, credential, token, checkSignature(token, credential, policy))
  const made = issuer.verify(token)
  if (made instanceof Promise) return made.then((late) => ownedBy(entities, credential, token, late))
  return ownedBy(entities, credential, token, made)
}

/** Which of a token's times are looked at: of an issuer's its end always. */
export function timesFor(times: TimePolicy, { byIssuer, token }: Pick<Verified, 'byIssuer' | 'token'>): TimePolicy {
  if (byIssuer) return issuersTimes(times, token.claims)
  return times.endIfAny && !times.exp && Object.hasOwn(token.claims, 'exp') ? { ...times, exp: true, any: true } : times
}

/** `key` is the issuer's that made the signature, or nothing where that was the credential's own, or why none did. */
function ownedBy(
  entities: EntityReader,
  credential: Loaded,
  token: Token,
  key: Loaded | Refusal | undefined,
): Verified | Refusal {
  if (typeof key === 'string') return key
  const consumer = knownConsumer(credential) ?? consumerOf(entities, credential)
  if (consumer === undefined) return 'no consumer'
  const from = key === undefined ? credential : whileBothLive(credential, key)
  return { credential: from, byIssuer: key !== undefined, consumer, times: timesOf(token.claims), token }
}

/** The name of a token's credential: the configured claim, or else the header's member of that name. */
export function credentialKey(token: Token, keyClaimName: string): { readonly text: string } | Refusal {
  const key = member(token.claims, keyClaimName) ?? member(token.header, keyClaimName)
  if (key === undefined) return 'no key'
  // A lone surrogate has no UTF-8 form: the store would look for another text than the token names.
  return typeof key.value === 'string' && key.value !== '' && key.value.isWellFormed() ? { text: key.value } : 'bad key'
}

/** An own member, so that a claim name such as `constructor` finds nothing; `false` counts as absent, as in Kong. */
function member(object: Token['claims'], name: string): { readonly value: unknown } | undefined {
  if (!Object.hasOwn(object, name) || object[name] === false) return undefined
  return { value: object[name] }
}

/** The credential alone says which algorithm is used: a token that could choose would turn a public key into a secret. */
function checkSignature(token: Token, { entity }: Loaded, policy: Policy): Refusal | undefined {
  if (token.alg !== (entity['algorithm'] ?? 'HS256')) return 'other algorithm'
  const algorithm = algorithms.get(token.alg)
  if (!algorithm) return 'unusable key material'
  const verify = verifierOf(entity, algorithm, policy.secretIsBase64)
  if (typeof verify === 'string') return verify
  return isSignedBy(verify, algorithm, token) ? undefined : 'bad signature'
}

function consumerOf(entities: EntityReader, { entity }: Loaded): Loaded | undefined {
  const reference = entity['consumer'] as { readonly id: string } | null | undefined
  return reference ? entities.get('consumers', reference.id) : undefined
}
