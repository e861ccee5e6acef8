/**
 * The same peer for the same hash, and as few hashes as possible that move when the peers or their weights change: each slot of
 * hashes belongs to the peer with the highest random weight for it, which asks nothing but the slot and that peer.
 * Source: Thaler and Ravishankar, "A name-based mapping scheme for rendezvous".
 */
import { hashText, mix } from './hash.ts'
import type { Peer } from './peer.ts'
import { roundRobin } from './round-robin.ts'
import type { Rotation, RotationOptions, Share } from './rotation.ts'

const defaultSlots = 10_000
// With fewer, shares would be far from the weights.
const leastSlots = 1000

/** A request without a hash goes to each peer in turn. */
export function consistentHashing(shares: readonly Share[], options: RotationOptions = {}): Rotation {
  const slots = Math.max(options.slots ?? defaultSlots, leastSlots)
  const seeds = shares.map(({ peer }) => hashText(`${peer.host} ${peer.address} ${peer.port}`))
  // Whose a slot is gets worked out when it is first met.
  const owners = Array.from<Peer | undefined>({ length: slots })
  const others = roundRobin(shares)

  function ownerOf(slot: number, tried: ReadonlySet<Peer>): Peer | undefined {
    let best: Peer | undefined
    let lowest = Infinity
    for (let at = 0; at < shares.length; at++) {
      const { peer, weight } = shares[at] as Share
      if (tried.has(peer)) continue
      const cost = -Math.log(chanceOf(slot, seeds[at] as number)) / weight
      if (cost >= lowest) continue
      best = peer
      lowest = cost
    }
    return best
  }

  return {
    next(tried, hash) {
      if (hash === undefined) return others.next(tried, undefined)
      const slot = hash % slots
      const owner = (owners[slot] ??= ownerOf(slot, nobody))
      return owner === undefined || !tried.has(owner) ? owner : ownerOf(slot, tried)
    },
  }
}

const nobody: ReadonlySet<Peer> = new Set()

/** A number above 0 and below 1 that depends on nothing but the two. */
const chanceOf = (slot: number, seed: number): number => (mix(seed ^ Math.imul(slot + 1, 0x9e3779b1)) + 0.5) / 2 ** 32
