/**
 * What is made of a credential, once and for as long as it is there. It is kept in one record: where there are many credentials
 * their data is in no cache of the processor, and each table by itself costs as much to look into as a good part of a verification.
 */
import type { Entity } from '../../pdk/entities.ts'
import type { Algorithm, Verify } from './algorithms.ts'
import type { Issuer } from './issuers.ts'
import type { KeySets } from './key-sets.ts'
import type { KeyFault } from './keys.ts'
import type { Signer } from './signers.ts'

export interface Made {
  /** The issuer that it stands for, of these key sets; undefined where neither was asked for. */
  issuer: Issuer | undefined
  keySets: KeySets | undefined
  /** What verifies by it, for an algorithm and as its secret is read, or why it holds nothing that could. */
  verify: Verify | KeyFault
  algorithm: Algorithm | undefined
  isBase64: boolean
  /** With the consumer that it was seen with last. */
  signer: Signer | undefined
}

const made = new WeakMap<Entity, Made>()

/** The record of a credential, empty at first. */
export function madeOf(credential: Entity): Made {
  const known = made.get(credential)
  if (known !== undefined) return known
  const empty: Made = {
    issuer: undefined,
    keySets: undefined,
    verify: 'unusable key material',
    algorithm: undefined,
    isBase64: false,
    signer: undefined,
  }
  made.set(credential, empty)
  return empty
}
