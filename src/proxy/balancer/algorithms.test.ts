import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { algorithms } from './algorithms.ts'
import { consistentHashing } from './consistent-hashing.ts'
import { hashText } from './hash.ts'
import { latency, measure } from './latency.ts'
import { leastConnections } from './least-connections.ts'
import { newLoad, type Peer } from './peer.ts'
import { roundRobin } from './round-robin.ts'
import type { Rotation, Share } from './rotation.ts'

const peer = (number: number): Peer => ({
  address: `10.0.0.${number}`,
  family: 4,
  port: 80,
  hostHeaders: { http: '', https: '' },
  serverName: '',
  host: `10.0.0.${number}`,
  target: String(number),
  load: newLoad(),
})
const sharesOf = (...weights: readonly number[]): Share[] =>
  weights.map((weight, index) => ({ peer: peer(index + 1), weight }))
const nobody = new Set<Peer>()
const take = (rotation: Rotation, hash?: number, tried: ReadonlySet<Peer> = nobody): Peer => {
  const found = rotation.next(tried, hash)
  assert(found)
  return found
}
const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 })
const keys = Array.from({ length: 2000 }, (_, index) => hashText(`client ${index}`))

test('every algorithm chooses nobody from nobody, and passes over those already tried', () => {
  for (const [name, algorithm] of Object.entries(algorithms)) {
    assert.equal(algorithm([]).next(nobody, 7), undefined, name)
    const shares = sharesOf(3, 1, 2)
    const rotation = algorithm(shares)
    const tried = new Set<Peer>()
    for (const _ of shares) tried.add(take(rotation, 7, tried))
    assert.equal(tried.size, 3, name)
    assert.equal(rotation.next(tried, 7), undefined, name)
  }
})

test('least-connections never gives a peer a second request while another of equal weight has none', () => {
  const steps = fc.array(fc.nat(1000), { maxLength: 300 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), steps, (count, steps) => {
      const shares = sharesOf(...Array.from({ length: count }, () => 100))
      const rotation = leastConnections(shares)
      const open: Peer[] = []
      for (const step of steps) {
        // Whichever request ends, the next goes to one of those with the fewest: they are never apart by more than what ended.
        if (step % 3 === 0 && open.length > 0) {
          const [ended] = open.splice(step % open.length, 1)
          if (ended) ended.load.inFlight--
          continue
        }
        const fewest = Math.min(...shares.map((share) => share.peer.load.inFlight))
        const chosen = take(rotation)
        assert.equal(chosen.load.inFlight, fewest)
        chosen.load.inFlight++
        open.push(chosen)
      }
    }),
  )
})

test('under a steady load, least-connections keeps no peer a whole request behind its share', () => {
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 200 }), (weights, requests) => {
      const shares = sharesOf(...weights)
      const rotation = leastConnections(shares)
      for (let at = 0; at < requests; at++) take(rotation).load.inFlight++
      const total = weights.reduce((sum, weight) => sum + weight)
      for (const { peer, weight } of shares) {
        assert.ok(peer.load.inFlight > (requests * weight) / total - 1, `${peer.load.inFlight} of ${requests}`)
      }
    }),
  )
})

test('least-connections gives equals each their turn', () => {
  const rotation = leastConnections(sharesOf(1, 1, 1))
  assert.deepEqual(
    Array.from({ length: 4 }, () => take(rotation).target),
    ['1', '2', '3', '1'],
  )
})

test('a hash always leads to the same peer, whatever the order of the peers', () => {
  const shares = sharesOf(5, 10, 20, 5)
  const one = consistentHashing(shares)
  const other = consistentHashing(shares.toReversed())
  for (const key of keys) assert.equal(take(one, key), take(other, key))
})

test('hashes are shared out by weight', () => {
  const shares = sharesOf(10, 20, 70)
  const rotation = consistentHashing(shares)
  const counts = new Map<Peer, number>()
  for (let at = 0; at < 100_000; at++) {
    const found = take(rotation, hashText(`key-${at}`))
    counts.set(found, (counts.get(found) ?? 0) + 1)
  }
  for (const { peer, weight } of shares) {
    const share = (counts.get(peer) ?? 0) / 1000
    assert.ok(Math.abs(share - weight) < 2, `${weight} % got ${share} %`)
  }
})

test('a peer that goes takes only its own hashes with it, and its hashes go to all others', () => {
  fc.assert(
    fc.property(weights, fc.nat(), (weights, which) => {
      const shares = sharesOf(...weights)
      const gone = shares[which % shares.length]
      const before = consistentHashing(shares)
      const after = consistentHashing(shares.filter((share) => share !== gone))
      for (const key of keys.slice(0, 300)) {
        const owner = take(before, key)
        if (owner !== gone?.peer) assert.equal(take(after, key), owner)
      }
    }),
    { numRuns: 50 },
  )
  const shares = sharesOf(1, 1, 1, 1)
  const before = consistentHashing(shares)
  const after = consistentHashing(shares.slice(1))
  const heirs = keys.flatMap((key) => (take(before, key) === shares[0]?.peer ? take(after, key) : []))
  for (const { peer } of shares.slice(1)) {
    const inherited = heirs.filter((heir) => heir === peer).length / heirs.length
    assert.ok(inherited > 0.2 && inherited < 0.47, String(inherited))
  }
})

test('a peer that comes, or gains weight, takes hashes and moves no others', () => {
  const shares = sharesOf(10, 10, 10)
  const before = consistentHashing(shares)
  const heavier = shares.with(0, { peer: (shares[0] as Share).peer, weight: 30 })
  for (const changed of [[...shares, { peer: peer(9), weight: 10 }], heavier]) {
    const winner = changed === heavier ? shares[0]?.peer : changed.at(-1)?.peer
    const after = consistentHashing(changed)
    const moved = keys.filter((key) => take(before, key) !== take(after, key))
    assert.ok(moved.length > 0 && moved.every((key) => take(after, key) === winner))
  }
})

test('a retry of a hash goes where the hash would go without the peers that failed', () => {
  const shares = sharesOf(1, 1, 1)
  const rotation = consistentHashing(shares)
  for (const key of keys.slice(0, 100)) {
    const first = take(rotation, key)
    const rest = consistentHashing(shares.filter(({ peer }) => peer !== first))
    assert.equal(take(rotation, key, new Set([first])), take(rest, key))
  }
})

test('requests without a hash take turns', () => {
  const rotation = consistentHashing(sharesOf(1, 1))
  assert.deepEqual([take(rotation).target, take(rotation).target], ['1', '2'])
})

test('the peer that answers soonest gets the requests, and one in flight there counts', () => {
  const shares = sharesOf(1, 1, 1)
  const [fast, slow, slower] = shares.map(({ peer }) => peer)
  measure(fast!.load, 10, 0)
  measure(slow!.load, 25, 0)
  measure(slower!.load, 500, 0)
  const rotation = latency(shares, { now: () => 0 })
  const taken = Array.from({ length: 3 }, () => {
    const chosen = take(rotation)
    chosen.load.inFlight++
    return chosen
  })
  assert.deepEqual(taken, [fast, fast, slow])
})

test('a peer that turned slow is avoided at once, and forgiven after a while', () => {
  const shares = sharesOf(1, 1)
  const [one, other] = shares.map(({ peer }) => peer)
  let time = 0
  const rotation = latency(shares, { now: () => time })
  measure(one!.load, 10, time)
  measure(other!.load, 20, time)
  assert.equal(take(rotation), one)
  measure(one!.load, 1000, time)
  assert.equal(take(rotation), other)
  time = 60_000
  measure(other!.load, 20, time)
  assert.equal(take(rotation), one)
})

test('a peer that is new begins with the average of the others, not ahead of all', () => {
  const [old, fresh] = sharesOf(1, 1)
  measure(old!.peer.load, 40, 0)
  latency([old!, fresh!], { now: () => 0 })
  assert.equal(fresh!.peer.load.latencyMs, 40)
})

test('among very many peers a few are compared, beginning anywhere', () => {
  const shares = sharesOf(...Array.from({ length: 100 }, () => 1))
  const rotation = latency(shares, { now: () => 0, random: () => 0.5 })
  assert.equal(take(rotation), shares[50]?.peer)
})

test('a weight that is larger means more requests, whichever algorithm spreads them', () => {
  const spreads: readonly ((shares: readonly Share[]) => Rotation)[] = [
    (shares) => roundRobin(shares),
    (shares) => leastConnections(shares),
    (shares) => latency(shares, { now: () => 0 }),
  ]
  for (const spread of spreads) {
    const shares = sharesOf(30, 10)
    const rotation = spread(shares)
    const taken = Array.from({ length: 40 }, () => {
      const chosen = take(rotation)
      chosen.load.inFlight++
      return chosen
    })
    assert.equal(taken.filter((chosen) => chosen === shares[0]?.peer).length, 30)
  }
})
