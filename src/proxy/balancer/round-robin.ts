import type { Peer } from './peer.ts'

/** A peer with its share of the requests, above 0. */
export interface Share {
  readonly peer: Peer
  readonly weight: number
}

/** Chooses among peers, in an order of its own. */
export interface Rotation {
  /** The next healthy peer that is not in `tried`; undefined where there is none. */
  next(tried: ReadonlySet<Peer>): Peer | undefined
}

/** Each peer in turn, by its weight, and as evenly spread in time as the weights allow. Begins with the first of the heaviest. */
export function roundRobin(shares: readonly Share[]): Rotation {
  const equal = shares.every(({ weight }) => weight === shares[0]?.weight)
  return equal ? inTurn(shares.map(({ peer }) => peer)) : smooth(shares)
}

// Equal weights are the common case and need no arithmetic.
function inTurn(peers: readonly Peer[]): Rotation {
  let position = -1
  return {
    next(tried) {
      for (let left = peers.length; left > 0; left--) {
        position = position + 1 < peers.length ? position + 1 : 0
        const peer = peers[position]
        if (peer?.healthy && !tried.has(peer)) return peer
      }
      return undefined
    },
  }
}

// Every peer gains its weight each time; the richest is taken and pays what all gained. Peers that cannot be taken neither
// gain nor pay, so that they do not come back to a rush.
function smooth(shares: readonly Share[]): Rotation {
  const slots = shares.map(({ peer, weight }) => ({ peer, weight, credit: 0 }))
  return {
    next(tried) {
      let best: (typeof slots)[number] | undefined
      let gained = 0
      for (const slot of slots) {
        if (!slot.peer.healthy || tried.has(slot.peer)) continue
        slot.credit += slot.weight
        gained += slot.weight
        if (best === undefined || slot.credit > best.credit) best = slot
      }
      if (best === undefined) return undefined
      best.credit -= gained
      return best.peer
    },
  }
}
