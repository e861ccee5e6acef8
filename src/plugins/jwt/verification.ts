/**
 * From a token's text to who signed it. The order of the steps is part of the contract: the algorithm and the key are looked
 * at before any cryptography, which costs more than the rest of the request.
 */
import type { EntityReader, Loaded } from '../../pdk/entities.ts'
import { algorithms, isSignedWith } from './algorithms.ts'
import { keyOf } from './keys.ts'
import type { Refusal } from './refusals.ts'
import { timesOf, type Times } from './times.ts'
import { decodeToken, type Token } from './token.ts'

/** All that the outcome of a verification depends on beside the token and the entities. */
export interface Policy {
  readonly keyClaimName: string
  readonly secretIsBase64: boolean
}

/** A token whose signature is right, with the credential that made it; its times are yet to be looked at. */
export interface Verified {
  readonly credential: Loaded
  readonly consumer: Loaded
  readonly times: Times
  readonly token: Token
}

/** Verifies a token's text but for its times, or names the first thing that is wrong with it. */
export function verifyToken(entities: EntityReader, policy: Policy, text: string): Verified | Refusal {
  const token = decodeToken(text)
  return typeof token === 'string' ? token : verifyDecoded(entities, policy, token)
}

/** The same for a token that has been taken apart. */
export function verifyDecoded(entities: EntityReader, policy: Policy, token: Token): Verified | Refusal {
  const key = credentialKey(token, policy.keyClaimName)
  if (typeof key !== 'object') return key
  const credential = entities.by('jwt_secrets', 'key', key.text)
  if (credential === undefined) return 'unknown key'
  const refusal = checkSignature(token, credential, policy)
  if (refusal !== undefined) return refusal
  const consumer = consumerOf(entities, credential)
  return consumer === undefined ? 'no consumer' : { credential, consumer, times: timesOf(token.claims), token }
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
  const key = algorithm && keyOf(entity, algorithm, policy.secretIsBase64)
  if (!algorithm || !key) return 'unusable key material'
  return isSignedWith(algorithm, token, key) ? undefined : 'bad signature'
}

function consumerOf(entities: EntityReader, { entity }: Loaded): Loaded | undefined {
  const reference = entity['consumer'] as { readonly id: string } | null | undefined
  return reference ? entities.get('consumers', reference.id) : undefined
}
