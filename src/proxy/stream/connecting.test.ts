/** How an upstream is found: what each try tells the balancer, and where the next one goes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import type { Balancer } from '../balancer/balancer.ts'
import { newLoad, noPeer, type Peer } from '../balancer/peer.ts'
import { createDeadlines } from '../deadlines.ts'
import { watch } from '../http1/socket.ts'
import type { StreamServicePlan } from '../service-plan.ts'
import { type Connected, Connecting } from './connecting.ts'

const peerAt = (port: number): Peer => ({
  address: '127.0.0.1',
  family: 4,
  port,
  hostHeaders: { http: '', https: '' },
  serverName: '',
  host: '127.0.0.1',
  target: null,
  load: newLoad(),
})

interface Given {
  /** In the order in which they are picked; those on which nobody ever answers are on port 1. */
  readonly peers: readonly Peer[]
  readonly retries?: number
  readonly connectTimeoutMs?: number
}

/** A search among these peers, with what came of it. */
function search({ peers, retries = 5, connectTimeoutMs = 60_000 }: Given) {
  const notes: [number, unknown][] = []
  const unhealthy = new Set<Peer>()
  const balancer = {
    pick: (_hash: unknown, tried: ReadonlySet<Peer> = new Set()) =>
      peers.find((peer) => !tried.has(peer)) ?? peers[0] ?? noPeer,
    note: (peer: Peer, outcome: unknown) => void notes.push([peer.port, outcome]),
    isHealthy: (peer: Peer) => !unhealthy.has(peer),
  } as unknown as Balancer
  const deadlines = createDeadlines()
  const silent: net.Socket[] = []
  const outcome = Promise.withResolvers<Connected | { status: number; reason: string }>()
  const connecting = new Connecting({
    service: {
      entity: { id: 'it' },
      scheme: 'tls',
      balancer,
      retries,
      connectTimeoutMs,
      writeTimeoutMs: 1000,
      readTimeoutMs: 1000,
      tls: { verify: undefined, ca: undefined, depth: undefined, certificate: undefined },
    } satisfies StreamServicePlan,
    secure: true,
    nameFor: () => '',
    hash: undefined,
    deadlines,
    // A handshake that nobody answers, or one with nothing to it.
    connectSecure: ({ port }, _how, _name, events) => {
      const socket = port === 1 ? new net.Socket() : net.connect(port, '127.0.0.1')
      if (port === 1) silent.push(socket)
      socket.on('connect', () => socket.emit('secureConnect'))
      return watch(socket, events)
    },
    connected: (connection) => outcome.resolve(connection),
    failed: (status, reason) => outcome.resolve({ status, reason }),
  })
  return { connecting, notes, unhealthy, silent, outcome: outcome.promise, close: () => deadlines.close() }
}

async function listening(): Promise<{ peer: Peer; close: () => void }> {
  const server = net.createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { peer: peerAt((server.address() as net.AddressInfo).port), close: () => server.close() }
}

const inFlight = (...peers: Peer[]): number[] => peers.map(({ load }) => load.inFlight)

test('a peer that does not answer in time counts as timed out, and the next one is tried', async (t) => {
  const { peer, close } = await listening()
  const dead = peerAt(1)
  const found = search({ peers: [dead, peer], connectTimeoutMs: 100 })
  t.after(() => (close(), found.close()))
  found.connecting.begin()
  const connected = (await found.outcome) as Connected
  assert.equal(connected.peer, peer)
  assert.deepEqual(found.notes, [
    [1, 'timeout'],
    [peer.port, 'connected'],
  ])
  assert.deepEqual(inFlight(dead, peer), [0, 1])
  assert.ok(found.silent[0]?.destroyed)
  connected.socket.destroy()
})

test('when retries are used up the connection fails, with what the last peer did', async (t) => {
  const { peer, close } = await listening()
  close()
  const dead = peerAt(1)
  const found = search({ peers: [peer, dead], retries: 1, connectTimeoutMs: 100 })
  t.after(() => found.close())
  found.connecting.begin()
  assert.deepEqual(await found.outcome, { status: 502, reason: '127.0.0.1 port 1: no connection within 100 ms' })
  assert.deepEqual(found.notes, [
    [peer.port, 'tcp failure'],
    [1, 'timeout'],
  ])
  assert.deepEqual(inFlight(peer, dead), [0, 0])
})

test('a peer that is found unhealthy meanwhile is not waited for', async (t) => {
  const { peer, close } = await listening()
  const dead = peerAt(1)
  const found = search({ peers: [dead, peer] })
  t.after(() => (close(), found.close()))
  found.connecting.begin()
  found.connecting.peersTurned()
  assert.equal(found.silent[0]?.destroyed, false)
  found.unhealthy.add(dead)
  found.connecting.peersTurned()
  const connected = (await found.outcome) as Connected
  assert.equal(connected.peer, peer)
  // Nobody has seen it fail.
  assert.deepEqual(found.notes, [[peer.port, 'connected']])
  assert.deepEqual(inFlight(dead, peer), [0, 1])
  connected.socket.destroy()
})

test('where there is no other peer, the only one is waited for, healthy or not', (t) => {
  const dead = peerAt(1)
  const found = search({ peers: [dead] })
  t.after(() => found.close())
  found.connecting.begin()
  found.unhealthy.add(dead)
  found.connecting.peersTurned()
  assert.equal(found.silent[0]?.destroyed, false)
  assert.deepEqual(inFlight(dead), [1])
  found.connecting.cancel()
  assert.ok(found.silent[0]?.destroyed)
  assert.deepEqual([inFlight(dead), found.notes], [[0], []])
})

test('without a peer the connection fails in the words that requests get', async (t) => {
  const found = search({ peers: [] })
  t.after(() => found.close())
  found.connecting.begin()
  assert.deepEqual(await found.outcome, { status: 503, reason: 'failure to get a peer from the ring-balancer' })
})
