/**
 * A memory of what was verified, so that a client that repeats its credentials costs a look into a table.
 *
 * An entry counts only while what it follows from is live. Entries are found by a hash of the whole text, never compared piece by
 * piece with a secret. They are forgotten in generations: what is new or used is young; when the young are half of what may be kept,
 * they become old, and what was old and not used since is gone.
 */
import type { Loaded } from './entities.ts'

export interface Verified<T> {
  /** The entities that it follows from, such as a credential and its consumer. */
  readonly from: readonly Loaded[]
  readonly value: T
}

export interface Recall<T> {
  recall(text: string): T | undefined
  remember(text: string, verified: Verified<T>): void
}

/** Longer texts are verified every time. */
const longest = 512

/** A memory of at most so many texts, which takes about a kilobyte for each. */
export function createRecall<T>(most: number): Recall<T> {
  let young = new Map<string, Verified<T>>()
  let old = new Map<string, Verified<T>>()
  const keep = (text: string, verified: Verified<T>): void => {
    if (young.size >= most / 2) {
      old = young
      young = new Map()
    }
    young.set(text, verified)
  }
  return {
    recall(text) {
      const known = young.get(text) ?? old.get(text)
      if (known === undefined) return undefined
      if (!known.from.every(({ live }) => live)) {
        young.delete(text)
        old.delete(text)
        return undefined
      }
      if (old.delete(text)) keep(ownCopy(text), known)
      return known.value
    },
    remember(text, verified) {
      if (text.length <= longest) keep(ownCopy(text), verified)
    },
  }
}

/** A text of its own: what a request gives is a slice, which would keep its whole head. A byte a character loses nothing. */
const ownCopy = (text: string): string => Buffer.from(text, 'latin1').toString('latin1')
