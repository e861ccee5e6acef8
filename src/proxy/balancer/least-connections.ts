import { indexBehind, type Rotation, type RotationOptions, type Share } from './rotation.ts'

/** Among very many peers this many are compared for one request, another part of them each time. */
const mostCompared = 64

/** The peer with the fewest requests in flight for its weight, the next one counted; of equals, each in turn. */
export function leastConnections(shares: readonly Share[], { last }: RotationOptions = {}): Rotation {
  const heaviest = shares.reduce((most, { weight }) => Math.max(most, weight), 1)
  let start = indexBehind(shares, last)
  return {
    next(tried) {
      let best: Share | undefined
      let lowest = Infinity
      let bestAt = 0
      let left = Math.min(shares.length, mostCompared + tried.size)
      // Nothing costs less than being the first at one of the heaviest.
      for (let at = start; left > 0 && lowest > 1 / heaviest; left--) {
        const share = shares[at] as Share
        const cost = (share.peer.load.inFlight + 1) / share.weight
        if (cost < lowest && !tried.has(share.peer)) {
          best = share
          lowest = cost
          bestAt = at
        }
        at = at + 1 < shares.length ? at + 1 : 0
      }
      if (best) start = bestAt + 1 < shares.length ? bestAt + 1 : 0
      return best?.peer
    },
  }
}
