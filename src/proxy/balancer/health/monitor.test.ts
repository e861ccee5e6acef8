import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { test, type TestContext } from 'node:test'
import { createLog } from '../../../observe/log.ts'
import { type Addresses, notFound } from '../../dns/address.ts'
import { createResolver, type Resolver } from '../../dns/resolver.ts'
import { compileTargets } from '../balancer.ts'
import type { CheckFields } from './checks.ts'
import { type HealthMonitor, type MonitoredUpstream, startHealthMonitor } from './monitor.ts'
import { HealthTable } from './table.ts'

const quick: CheckFields = {
  active: {
    timeout: 1,
    healthy: { interval: 0.02, http_statuses: [200], successes: 1 },
    unhealthy: { interval: 0.02, http_statuses: [500], http_failures: 1, tcp_failures: 1, timeouts: 1 },
  },
  passive: { healthy: { successes: 1 }, unhealthy: { tcp_failures: 2 } },
  threshold: 0,
}

const lines: string[] = []
const logFile = {
  write: (line: string) => void lines.push(line),
  flush: async () => {},
  reopen: () => {},
  isTerminal: false,
}

interface Started {
  readonly monitor: HealthMonitor
  /** The memory, as workers have it. */
  readonly memory: () => SharedArrayBuffer
}

function start(t: TestContext, resolver: Resolver = createResolver(), capacity = 64): Started {
  let memory: SharedArrayBuffer | undefined
  const log = createLog(logFile as never, { level: 'info', format: 'text' })
  const monitor = startHealthMonitor({ resolver, log, capacity, onMove: (moved) => (memory = moved) })
  t.after(() => monitor.close())
  return { monitor, memory: () => memory ?? monitor.memory }
}

const upstreamOf = (
  ports: readonly (number | string)[],
  healthchecks: CheckFields | null = quick,
): MonitoredUpstream => ({
  upstream: { id: 'up', name: 'up.test', healthchecks },
  targets: ports.map((port, index) => ({
    id: `t${index}`,
    target: typeof port === 'string' ? port : `127.0.0.1:${port}`,
    weight: 100,
    created_at: index,
  })),
  certificate: undefined,
})

/** An HTTP server whose status a test may change. */
async function serverOf(t: TestContext) {
  const state = { status: 200, asked: 0, open: 0, delayMs: 0 }
  const server = http.createServer((_, response) => {
    state.asked++
    state.open++
    setTimeout(() => {
      state.open--
      response.writeHead(state.status).end()
    }, state.delayMs)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return Object.assign(state, { port: (server.address() as net.AddressInfo).port })
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 500; !(await isSo()); left--) {
    if (left === 0) throw new Error('did not come about')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const healthOf = async (monitor: HealthMonitor) =>
  (await monitor.healthOf('up'))?.targets.map(({ addresses }) => addresses.map(({ healthy }) => healthy))

test('active checks find a target unhealthy and healthy again, for every thread that balances', async (t) => {
  const [good, bad] = [await serverOf(t), await serverOf(t)]
  const { monitor, memory } = start(t)
  const upstream = upstreamOf([good.port, bad.port])
  monitor.adopt('up', upstream)
  await until(() => good.asked > 1 && bad.asked > 1)
  const health = { table: new HealthTable(memory()) }
  const worker = compileTargets({ resolver: createResolver(), health }, upstream.upstream, upstream.targets)
  const ports = () => new Set([worker.pick(), worker.pick()].map((peer) => (peer as { port: number }).port))
  assert.deepEqual(ports(), new Set([good.port, bad.port]))
  bad.status = 500
  await until(() => ports().size === 1)
  assert.deepEqual(ports(), new Set([good.port]))
  assert.deepEqual(await healthOf(monitor), [[true], [false]])
  bad.status = 200
  await until(() => ports().size === 2)
  await until(() => lines.some((line) => line.includes('healthy again') && line.includes(String(bad.port))))
  assert.ok(lines.some((line) => line.includes('is unhealthy') && line.includes('up.test')))
})

test('what proxied requests meet counts, and nobody counts where no check is configured', async (t) => {
  const { monitor, memory } = start(t)
  const passive = { ...quick, active: { healthy: {}, unhealthy: {} } }
  const upstream = upstreamOf([1, 2], passive)
  monitor.adopt('up', upstream)
  const health = { table: new HealthTable(memory()) }
  const tools = { resolver: createResolver(), health }
  const [one, other] = [0, 1].map(() => compileTargets(tools, upstream.upstream, upstream.targets))
  const peer = one!.pick()
  assert(!(peer instanceof Promise) && peer.failed === undefined)
  one!.note?.(peer, 'tcp failure', 1)
  await other!.resolve()
  // The second failure is met by another worker.
  const same = [...other!.peers.values()].find((found) => found.port === peer.port)
  other!.note?.(same as typeof peer, 'tcp failure', 1)
  for (const balancer of [one!, other!]) {
    assert.notEqual((balancer.pick() as typeof peer).port, peer.port)
    assert.notEqual((balancer.pick() as typeof peer).port, peer.port)
  }
  assert.equal(compileTargets(tools, { id: 'up', healthchecks: null }, upstream.targets).note, undefined)
})

test('health set by hand holds for a target or one of its addresses, and only where health is looked at', async (t) => {
  const addresses: Addresses = [
    { address: '10.0.0.1', family: 4 },
    { address: '2001:db8::1', family: 6 },
  ]
  const resolver = { lookup: () => addresses, renew: () => undefined, size: 0, close: () => {} }
  const { monitor } = start(t, resolver)
  monitor.adopt(
    'up',
    upstreamOf(['two.test:80', 'other.test:80'], { ...quick, active: { healthy: {}, unhealthy: {} } }),
  )
  await monitor.healthOf('up')
  assert.equal(monitor.set('up', 't0', { ip: '2001:0db8:0000:0000:0000:0000:0000:0001', port: 80 }, false), true)
  assert.deepEqual(await healthOf(monitor), [
    [true, false],
    [true, true],
  ])
  monitor.set('up', 't0', { ip: '10.0.0.1', port: 81 }, false)
  monitor.set('up', 't1', undefined, false)
  assert.deepEqual(await healthOf(monitor), [
    [true, false],
    [false, false],
  ])
  monitor.set('up', 't0', undefined, true)
  assert.deepEqual((await healthOf(monitor))?.[0], [true, true])
  monitor.adopt('up', upstreamOf(['two.test:80'], null))
  assert.equal(monitor.set('up', 't0', undefined, false), false)
  assert.equal(monitor.set('unknown', 't0', undefined, false), false)
})

test('an upstream is available while more than the threshold of its weight is', async (t) => {
  const { monitor } = start(t)
  monitor.adopt('up', upstreamOf([1, 2, 3, 4], { ...quick, active: { healthy: {}, unhealthy: {} }, threshold: 50 }))
  const available = async () => (await monitor.healthOf('up'))?.available
  monitor.set('up', 't0', undefined, false)
  assert.equal(await available(), true)
  monitor.set('up', 't1', undefined, false)
  assert.equal(await available(), false)
  monitor.adopt('up', upstreamOf([1], { ...quick, active: { healthy: {}, unhealthy: {} }, threshold: 100 }))
  monitor.set('up', 't0', undefined, true)
  assert.equal(await available(), true)
})

test('a name without addresses says why', async (t) => {
  const resolver = { lookup: () => notFound, renew: () => undefined, size: 0, close: () => {} }
  const { monitor } = start(t, resolver)
  monitor.adopt('up', upstreamOf(['nowhere.test:80', 1]))
  const [named, plain] = (await monitor.healthOf('up'))?.targets ?? []
  assert.deepEqual([named?.dns, named?.addresses], ['dns server error: 3 name error', []])
  assert.deepEqual([plain?.dns, plain?.host, plain?.addresses.length], ['A', '127.0.0.1', 1])
})

test('the table moves to a larger one before it is full, with what it knew', async (t) => {
  const { monitor, memory } = start(t, createResolver(), 16)
  const passive = { ...quick, active: { healthy: {}, unhealthy: {} } }
  const many = upstreamOf(
    Array.from({ length: 30 }, (_, index) => 1000 + index),
    passive,
  )
  monitor.adopt('up', upstreamOf([1000], passive))
  await monitor.healthOf('up')
  monitor.set('up', 't0', undefined, false)
  const before = memory()
  monitor.adopt('up', many)
  await monitor.healthOf('up')
  await until(() => memory() !== before)
  assert.ok(new HealthTable(memory()).capacity >= 60)
  assert.deepEqual((await healthOf(monitor))?.[0], [false])
})
