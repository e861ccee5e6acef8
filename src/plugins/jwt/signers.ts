/** Who signs tokens: a credential with its consumer, and the identity that follows, made once for all their tokens. */
import type { Entity, Loaded } from '../../pdk/entities.ts'
import { identityOf, type Identity } from '../../pdk/identity.ts'
import { madeOf } from './made.ts'

/** A credential and its consumer as they were when a token was verified; to be believed only while both are `live`. */
export interface Signer {
  readonly credential: Loaded
  readonly consumer: Loaded
  readonly identity: Identity
  /** An estimate of the memory in bytes that remembering any of its tokens keeps from being freed. */
  readonly bytes: number
  /** The generation of the token memory in which `bytes` was counted last. */
  countedIn: number
}

/** The signer that a credential and a consumer make together. */
export function signerOf(credential: Loaded, consumer: Loaded): Signer {
  const made = madeOf(credential.entity)
  const known = made.signer
  if (known !== undefined && known.credential === credential && known.consumer === consumer) return known
  const signer: Signer = {
    credential,
    consumer,
    identity: identityOf(consumer.entity, credential.entity, credential.entity['key']),
    bytes: estimate(credential.entity) + estimate(consumer.entity),
    countedIn: -1,
  }
  made.signer = signer
  return signer
}

/** The consumer that a credential was seen with last, if that is still in force. */
export function knownConsumer(credential: Loaded): Loaded | undefined {
  const known = madeOf(credential.entity).signer
  return known?.credential === credential && known.consumer.live ? known.consumer : undefined
}

/** An entity's object, its texts, and what was made of them (key object, header lines): measured at about 2 KiB in all. */
function estimate(entity: Entity): number {
  let bytes = 1024
  for (const value of Object.values(entity)) if (typeof value === 'string') bytes += 2 * value.length
  return bytes
}
