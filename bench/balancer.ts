/**
 * What choosing a target costs, by algorithm and number of targets: nanoseconds for a pick, without and with health checks
 * configured. Run it with `node bench/balancer.ts`.
 */
import { type Balancer, compileTargets } from '../src/proxy/balancer/balancer.ts'
import { algorithms } from '../src/proxy/balancer/algorithms.ts'
import { hashText } from '../src/proxy/balancer/hash.ts'
import { healthMemory, HealthTable } from '../src/proxy/balancer/health/table.ts'
import type { Peer } from '../src/proxy/balancer/peer.ts'
import { createResolver } from '../src/proxy/dns/resolver.ts'

const sizes = [1, 3, 10, 100, 1000]
const resolver = createResolver()
const passive = { healthy: { successes: 1 }, unhealthy: { tcp_failures: 3 } }
const healthchecks = { active: { healthy: {}, unhealthy: {} }, passive }
const hashes = Array.from({ length: 1024 }, (_, index) => hashText(`client ${index}`))

function balancerOf(algorithm: string, size: number, equal: boolean, checked: boolean): Balancer {
  const targets = Array.from({ length: size }, (_, index) => ({
    id: `t${index}`,
    target: `10.0.${index >> 8}.${index & 255}:80`,
    weight: equal ? 100 : 50 + (index % 7) * 10,
    created_at: index,
  }))
  const health = { table: new HealthTable(healthMemory(8192)) }
  return compileTargets(
    { resolver, ...(checked ? { health } : {}) },
    { id: 'up', algorithm, healthchecks: checked ? healthchecks : null },
    targets,
  )
}

/** A pick with what goes with it: the count of what is in flight, and the note of how it went. */
function request(balancer: Balancer, index: number): void {
  const peer = balancer.pick(hashes[index & 1023]) as Peer
  peer.load.inFlight++
  balancer.note?.(peer, 200, 3)
  peer.load.inFlight--
}

/** The least of six rounds: what disturbs a round only adds to it. */
function nanoseconds(balancer: Balancer, rounds: number): number {
  const times = Array.from({ length: 6 }, () => {
    const start = process.hrtime.bigint()
    for (let index = 0; index < rounds; index++) request(balancer, index)
    return Number(process.hrtime.bigint() - start) / rounds
  })
  return Math.min(...times)
}

console.log(`nanoseconds a request${' '.repeat(21)}${sizes.map((size) => String(size).padStart(8)).join('')} targets`)
for (const algorithm of Object.keys(algorithms)) {
  for (const [weights, equal, checked] of [
    ['equal weights', true, false],
    ['unequal weights', false, false],
    ['checked', true, true],
  ] as const) {
    const costs = sizes.map((size) => nanoseconds(balancerOf(algorithm, size, equal, checked), 2_000_000 / (size + 10)))
    const cells = costs.map((cost) => cost.toFixed(0).padStart(8)).join('')
    console.log(`${algorithm.padEnd(20)}${weights.padEnd(20)}  ${cells}`)
  }
}
