import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createResolver } from '../../dns/resolver.ts'
import { compileTargets } from '../balancer.ts'
import type { Peer } from '../peer.ts'
import { Checker } from './checker.ts'
import { type ActiveChecks, type CheckFields, compileChecks } from './checks.ts'
import type { Outcome } from './count.ts'
import { healthMemory, HealthTable } from './table.ts'

const healthchecks: CheckFields = {
  active: {
    concurrency: 4,
    healthy: { interval: 5, successes: 1, http_statuses: [200] },
    unhealthy: { interval: 1, tcp_failures: 1, timeouts: 1 },
  },
  passive: { healthy: {}, unhealthy: {} },
}

/** A checker whose probes the test answers. */
function start(count: number, weight = 1) {
  const targets = Array.from({ length: count }, (_, index) => ({
    id: `t${index}`,
    target: `10.0.0.1:${index}`,
    weight,
  }))
  const health = { table: new HealthTable(healthMemory(64)) }
  const balancer = compileTargets({ resolver: createResolver(), health }, { id: 'up', healthchecks }, targets)
  const open: { readonly port: number; readonly answer: (outcome: Outcome) => Promise<void> }[] = []
  const probe = (peer: Peer) => {
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const answer = async (outcome: Outcome) => {
      open.splice(
        open.findIndex(({ port }) => port === peer.port),
        1,
      )
      resolve(outcome)
      await new Promise((settled) => setImmediate(settled))
    }
    open.push({ port: peer.port, answer })
    return promise
  }
  const active = compileChecks(healthchecks)?.active as ActiveChecks
  return { checker: new Checker({ upstream: 'up', balancer, checks: active, health, probe }), open, balancer }
}

test('healthy targets are looked at in one rhythm, unhealthy ones in another', async () => {
  const { checker, open, balancer } = start(2)
  await balancer.resolve()
  checker.tick(0)
  assert.deepEqual(
    open.map(({ port }) => port),
    [0, 1],
  )
  await open[1]?.answer('tcp failure')
  await open[0]?.answer(200)
  checker.tick(900)
  assert.deepEqual(
    open.map(({ port }) => port),
    [1],
  )
  await open[0]?.answer('timeout')
  checker.tick(1000)
  assert.equal(open.length, 0)
  checker.tick(1900)
  await open[0]?.answer(200)
  checker.tick(3000)
  assert.equal(open.length, 0)
  checker.tick(5000)
  assert.deepEqual(
    open.map(({ port }) => port),
    [0, 1],
  )
})

test('so many are looked at together as is allowed, and one that is slow is not looked at twice', async () => {
  const { checker, open, balancer } = start(6)
  await balancer.resolve()
  checker.tick(0)
  assert.equal(open.length, 4)
  checker.tick(5000)
  checker.tick(10_000)
  assert.equal(open.length, 4)
  const seen = open.map(({ port }) => port)
  while (open[0]) {
    await open[0].answer(200)
    seen.push(...open.map(({ port }) => port).filter((port) => !seen.includes(port)))
  }
  assert.deepEqual(
    seen.toSorted((one, other) => one - other),
    [0, 1, 2, 3, 4, 5],
  )
})

test('a target of weight 0 is not looked at, and the first that comes is looked at without waiting', async () => {
  const { checker, open } = start(1, 0)
  checker.tick(0)
  assert.equal(open.length, 0)
  const other = start(1)
  checker.plan = { ...checker.plan, balancer: other.balancer }
  await other.balancer.resolve()
  checker.tick(100)
  assert.equal(open.length, 1)
})
