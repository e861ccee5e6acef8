/**
 * Sticky sessions: a cookie names the peer that a client was given first, and it stays there while that peer takes requests. What
 * chooses the first one, and another one where that has gone, is the upstream's algorithm.
 */
import { createHash } from 'node:crypto'
import { cookieValue, type HashOf } from './hash.ts'
import type { Peer } from './peer.ts'

/** The fields of an upstream that say so. */
export interface StickyFields {
  readonly sticky_sessions_cookie?: string | null
  readonly sticky_sessions_cookie_path?: string | null
}

export interface Sticky {
  /** The peer that a request names, as a number; undefined where it names none. */
  readonly wanted: HashOf
  /** The number of a peer: the same on every worker and node. */
  readonly numberOf: (peer: Peer) => number
  /** The `Set-Cookie` for a client that was given a peer; undefined where it has named that one itself. */
  readonly cookieFor: (peer: Peer, wanted: number | undefined) => string | undefined
}

/** 48 bits, written in base 36. */
const written = /^[\da-z]{1,11}$/

/** Undefined where an upstream has no such sessions; `id` is the upstream's. */
export function compileSticky(id: string, fields: StickyFields): Sticky | undefined {
  const { sticky_sessions_cookie: name, sticky_sessions_cookie_path: path } = fields
  if (!name) return undefined
  const numbers = new WeakMap<Peer, number>()
  const numberOf = (peer: Peer): number => {
    const known = numbers.get(peer)
    if (known !== undefined) return known
    // Nobody is told addresses: the upstream's id is as hard to guess as a key.
    const digest = createHash('sha256').update(`${id} ${peer.host} ${peer.address} ${peer.port}`).digest()
    const number = digest.readUIntBE(0, 6)
    numbers.set(peer, number)
    return number
  }
  return {
    wanted(request) {
      const value = cookieValue(request.header('cookie'), name)
      return value !== undefined && written.test(value) ? Number.parseInt(value, 36) : undefined
    },
    numberOf,
    cookieFor(peer, wanted) {
      const number = numberOf(peer)
      if (number === wanted) return undefined
      return `${name}=${number.toString(36)}; Path=${path ?? '/'}; SameSite=Lax; HttpOnly`
    },
  }
}
