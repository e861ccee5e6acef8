/** What a balancer is told of requests, whatever becomes of them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { settingsOf } from '../config/settings.ts'
import { takeSnapshot } from '../config/snapshot.ts'
import { createLog } from '../observe/log.ts'
import type { Peer } from './balancer/peer.ts'
import { createRuntime } from './create-runtime.ts'
import { createResolver } from './dns/resolver.ts'
import { listen, type Listener } from './listener.ts'
import { compile } from './plan.ts'
import type { Runtime } from './runtime.ts'

type Serve = (socket: net.Socket) => void

/** Two targets of one upstream; each test says what they do with a request. */
let serve: [Serve, Serve]
const sockets = new Set<net.Socket>()
const servers = [0, 1].map((index) =>
  net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.on('data', () => serve[index]?.(socket))
  }),
)
let runtime: Runtime
let listener: Listener
let peers: readonly Peer[]

before(async () => {
  for (const server of servers) await once(server.listen(0, '127.0.0.1'), 'listening')
  const log = createLog({ write() {}, async flush() {}, reopen() {}, isTerminal: false } as never, {
    level: 'emerg',
    format: 'text',
  })
  const entities: Readonly<Record<string, readonly { id: string; [field: string]: unknown }[]>> = {
    upstreams: [{ id: 'up', name: 'up.test', algorithm: 'least-connections' }],
    targets: servers.map((server, index) => ({
      id: `t${index}`,
      target: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
      weight: 1,
      upstream: { id: 'up' },
    })),
    services: [
      { id: 's', protocol: 'http', host: 'up.test', port: 80, enabled: true, retries: 3 },
      { id: 'hasty', protocol: 'http', host: 'up.test', port: 80, enabled: true, retries: 3, read_timeout: 150 },
    ],
    routes: [
      { id: 'r', protocols: ['http'], paths: ['/'], request_buffering: true, service: { id: 's' } },
      { id: 'h', protocols: ['http'], paths: ['/hasty'], request_buffering: true, service: { id: 'hasty' } },
    ],
  }
  const source = { revision: 1, get: () => undefined, all: (kind: string) => entities[kind] ?? [] }
  const tools = {
    resolver: createResolver(),
    plugins: new Map(),
    withSecrets: <T>(_kind: string, entity: T) => entity,
    warn: () => undefined,
  }
  const config = compile(tools, takeSnapshot(source))
  const stats = { accepted: 0, active: 0, requests: 0, refused: 0, answered: () => {} }
  const parts = { config, entities: {} as never, log, accessLog: undefined, product: 'gibbon/0', stats }
  runtime = createRuntime(settingsOf({}), parts)
  listener = await listen(runtime, {
    ip: '127.0.0.1',
    port: 0,
    backlog: 10,
    reusePort: false,
    proxyProtocol: false,
    tls: undefined,
  })
  const balancer = config.balancers.get('up')
  await balancer?.resolve()
  peers = [...(balancer?.peers.values() ?? [])]
  assert.equal(peers.length, 2)
})

after(() => {
  listener.close()
  runtime.pools.close()
  runtime.deadlines.close()
  for (const server of servers) server.close()
  for (const socket of sockets) socket.destroy()
})

beforeEach(() => {
  serve = [answer, answer]
})

const answer: Serve = (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
const inFlight = () => peers.map(({ load }) => load.inFlight)

async function until(isSo: () => boolean): Promise<void> {
  for (let left = 4000; !isSo(); left--) {
    if (left === 0) throw new Error(`in flight: ${inFlight().join()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function ask(method = 'GET', path = '/') {
  const socket = net.connect(listener.port, '127.0.0.1')
  let text = ''
  socket.on('error', () => {}).on('data', (bytes: Buffer) => (text += bytes.toString('latin1')))
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`)
  return { socket, text: () => text }
}

test('a request counts while it is at its peer, and not a moment longer', async () => {
  let open: net.Socket | undefined
  serve = [(socket) => void (open = socket), (socket) => void (open = socket)]
  const { text, socket } = ask()
  await until(() => open !== undefined)
  assert.equal(inFlight()[0]! + inFlight()[1]!, 1)
  open?.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no')
  await until(() => text().endsWith('o'))
  assert.equal(inFlight()[0]! + inFlight()[1]!, 1)
  open?.write('k')
  await until(() => text().endsWith('ok'))
  assert.deepEqual(inFlight(), [0, 0])
  socket.destroy()
})

test('connections that break, peers that are silent, garbage and retries leave no count behind', async () => {
  const troubles: readonly Serve[] = [
    (socket) => void socket.resetAndDestroy(),
    () => {},
    (socket) => void socket.write('220 hello\r\n'),
    (socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort'),
  ]
  for (const trouble of troubles) {
    for (const method of ['GET', 'POST']) {
      serve = [trouble, answer]
      const asked = Array.from({ length: 4 }, () => ask(method, '/hasty'))
      await until(() => asked.every(({ text, socket }) => text() !== '' || socket.destroyed))
      await until(() => inFlight().every((count) => count === 0))
      for (const { socket } of asked) socket.destroy()
    }
  }
})

test('a client that leaves takes its count with it', async () => {
  serve = [() => {}, () => {}]
  const asked = Array.from({ length: 6 }, () => ask())
  await until(() => inFlight().every((count) => count === 3))
  for (const { socket } of asked.slice(0, 3)) socket.resetAndDestroy()
  await until(() => inFlight()[0]! + inFlight()[1]! <= 3)
  for (const { socket } of asked) socket.resetAndDestroy()
  await until(() => inFlight().every((count) => count === 0))
})

test('an upload that is refused on its way leaves no count behind', async () => {
  serve = [() => {}, () => {}]
  Object.assign(runtime, { maxBodyBytes: 200_000 })
  const socket = net.connect(listener.port, '127.0.0.1')
  let text = ''
  socket.on('error', () => {}).on('data', (bytes: Buffer) => (text += bytes.toString('latin1')))
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (let at = 0; at < 20; at++) socket.write(`4000\r\n${'x'.repeat(0x4000)}\r\n`)
  await until(() => text.startsWith('HTTP/1.1 413'))
  Object.assign(runtime, { maxBodyBytes: 0 })
  await until(() => inFlight().every((count) => count === 0))
  socket.destroy()
})

test('a peer that refuses connections leaves no count behind', async () => {
  const first = servers[0] as net.Server
  const { port } = first.address() as net.AddressInfo
  first.close()
  for (const socket of sockets) socket.destroy()
  const asked = Array.from({ length: 6 }, () => ask('POST'))
  await until(() => asked.every(({ text }) => text().endsWith('ok')))
  assert.deepEqual(inFlight(), [0, 0])
  for (const { socket } of asked) socket.destroy()
  await once(first.listen(port, '127.0.0.1'), 'listening')
})
