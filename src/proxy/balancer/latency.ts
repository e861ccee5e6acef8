/**
 * The peer that answers soonest, by a moving average that follows a rise at once and a fall slowly, times the requests that wait
 * there already: one that has fallen silent is avoided long before it is known to be. Source: Finagle's docs, "Peak EWMA".
 */
import type { Load, Peer } from './peer.ts'
import { indexBehind, type Rotation, type RotationOptions, type Share } from './rotation.ts'

/** In this time a measurement loses all but 1/e of its weight; a peer that nobody asks is forgiven in the same way. */
const decayMs = 10_000
/** What a request costs at least, so that those in flight count also among peers not yet measured. */
const leastMs = 0.1
/** How many peers are compared for one request. */
const mostCompared = 8

/** See above. `random` chooses where the comparison begins, which decides between equals. */
export function latency(
  shares: readonly Share[],
  { last, now = Date.now, random = Math.random }: RotationOptions = {},
): Rotation {
  startLikeTheOthers(shares, now())
  let start = indexBehind(shares, last)
  return {
    next(tried) {
      if (shares.length > mostCompared) start = Math.floor(random() * shares.length)
      const time = now()
      let best: Peer | undefined
      let lowest = Infinity
      let compared = 0
      for (let at = start, left = shares.length; left > 0 && compared < mostCompared; left--) {
        const { peer, weight } = shares[at] as Share
        at = at + 1 < shares.length ? at + 1 : 0
        if (tried.has(peer)) continue
        compared++
        const cost = ((latencyNow(peer.load, time) + leastMs) * (peer.load.inFlight + 1)) / weight
        if (cost >= lowest) continue
        best = peer
        lowest = cost
        start = at
      }
      return best
    },
  }
}

/** A peer that is new must not be flooded for being unmeasured: it begins with the average of those that are not. */
function startLikeTheOthers(shares: readonly Share[], time: number): void {
  const measured = shares.filter(({ peer }) => peer.load.latencyMs !== undefined)
  if (measured.length === 0) return
  const average = measured.reduce((sum, { peer }) => sum + latencyNow(peer.load, time), 0) / measured.length
  for (const { peer } of shares) if (peer.load.latencyMs === undefined) setLatency(peer.load, average, time)
}

/** Notes that a peer took so long to answer, in ms. */
export function measure(load: Load, tookMs: number, time: number): void {
  const before = latencyNow(load, time)
  const kept = Math.exp(-Math.max(0, time - load.latencyAt) / decayMs)
  const smoothed = (load.latencyMs ?? tookMs) * kept + tookMs * (1 - kept)
  setLatency(load, tookMs > before ? tookMs : smoothed, time)
}

function setLatency(load: Load, latencyMs: number, time: number): void {
  load.latencyMs = latencyMs
  load.latencyAt = time
}

const latencyNow = ({ latencyMs, latencyAt }: Load, time: number): number =>
  latencyMs === undefined ? 0 : latencyMs * Math.exp(-Math.max(0, time - latencyAt) / decayMs)
