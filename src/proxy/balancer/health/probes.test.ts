import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { serverCertificate } from '../../../config/self-signed.ts'
import { newLoad, type Peer } from '../peer.ts'
import { type ActiveChecks, compileChecks } from './checks.ts'
import { probe } from './probes.ts'

const servers: net.Server[] = []
const sockets = new Set<net.Socket>()
after(() => {
  for (const server of servers) server.close()
  for (const socket of sockets) socket.destroy()
})

async function listening(server: net.Server): Promise<Peer> {
  servers.push(server)
  server.on('connection', (socket: net.Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return peerAt((server.address() as net.AddressInfo).port)
}

const peerAt = (port: number): Peer => ({
  address: '127.0.0.1',
  family: 4,
  port,
  hostHeaders: { http: `api.test:${port}`, https: `api.test:${port}` },
  serverName: 'api.test',
  host: 'api.test',
  target: 'a',
  load: newLoad(),
})

const active = { healthy: { interval: 1 }, unhealthy: { interval: 1 } }
const passive = { healthy: {}, unhealthy: {} }

function checks(changes: Record<string, unknown> = {}): ActiveChecks {
  const compiled = compileChecks({ active: { ...active, timeout: 5, ...changes }, passive })
  assert(compiled?.active)
  return compiled.active
}

const own = { certificate: undefined, ca: undefined }

test('an HTTP probe asks for the path with Host and the configured headers, and tells the status', async () => {
  let asked: http.IncomingMessage | undefined
  const server = http.createServer((request, response) => {
    asked = request
    response.writeHead(418).end('x'.repeat(100_000))
  })
  const peer = await listening(server)
  const found = await probe(peer, checks({ http_path: '/up?x', headers: { 'X-Probe': ['a', 'b'] } }), own)
  assert.equal(found, 418)
  assert.deepEqual([asked?.method, asked?.url, asked?.headers['host']], ['GET', '/up?x', peer.hostHeaders.http])
  assert.equal(asked?.headers['x-probe'], 'a, b')
})

test('what refuses, resets, is silent or speaks something else is told apart', async () => {
  const gone = net.createServer()
  const dead = await listening(gone)
  gone.close()
  assert.equal(await probe(dead, checks(), own), 'tcp failure')
  const resetting = await listening(net.createServer((socket) => socket.resetAndDestroy()))
  assert.equal(await probe(resetting, checks(), own), 'tcp failure')
  const silent = await listening(net.createServer())
  assert.equal(await probe(silent, checks({ timeout: 0.05 }), own), 'timeout')
  const other = await listening(net.createServer((socket) => socket.end('220 smtp.test ready\r\n')))
  assert.equal(await probe(other, checks(), own), 0)
})

test('a probe that is given up does not wait for its timeout', async () => {
  const silent = await listening(net.createServer())
  const open = new Set<() => void>()
  const asked = probe(silent, checks({ timeout: 600 }), own, open)
  for (const giveUp of open) giveUp()
  assert.equal(await asked, 'timeout')
  assert.equal(open.size, 0)
})

test('a TCP probe asks for no more than a connection', async () => {
  const silent = await listening(net.createServer())
  assert.equal(await probe(silent, checks({ type: 'tcp' }), own), 'connected')
})

test('an HTTPS probe verifies the certificate, unless told not to, and shows its own', async () => {
  const prefix = mkdtempSync(join(tmpdir(), 'gibbon-probes-'))
  after(() => rmSync(prefix, { recursive: true }))
  const { cert, key } = serverCertificate({ prefix, ssl_cert: [], ssl_cert_key: [] })
  let shown: string | undefined
  let serverName: unknown
  const server = https.createServer(
    { cert, key, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const socket = request.socket as import('node:tls').TLSSocket
      shown = socket.getPeerX509Certificate()?.subject
      serverName = (socket as { servername?: unknown }).servername
      response.end()
    },
  )
  const peer = await listening(server)
  const named = { type: 'https', https_sni: 'localhost' }
  assert.equal(await probe(peer, checks(named), own), 'tcp failure')
  assert.equal(await probe(peer, checks({ ...named, https_verify_certificate: false }), own), 200)
  assert.equal(serverName, 'localhost')
  assert.equal(await probe(peer, checks(named), { certificate: { cert, key }, ca: cert }), 200)
  assert.equal(shown, new X509Certificate(cert).subject)
  assert.equal(await probe(peer, checks({ type: 'https' }), { ...own, ca: cert }), 'tcp failure')
})

test('a gRPC probe asks for the health of the server; one that knows no such service is alive', async () => {
  const answers: Readonly<Record<string, readonly [status: string, body: Buffer]>> = {
    serving: ['0', Buffer.from([0, 0, 0, 0, 2, 8, 1])],
    'not serving': ['0', Buffer.from([0, 0, 0, 0, 2, 8, 2])],
    'not implemented': ['12', Buffer.alloc(0)],
    failing: ['2', Buffer.alloc(0)],
  }
  let path: unknown
  const probeOf = async (answer: string) => {
    const server = http2.createServer()
    server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      const [status, body] = answers[answer] ?? ['', Buffer.alloc(0)]
      path = headers[':path']
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }))
      stream.end(body)
    })
    return probe(await listening(server), checks({ type: 'grpc' }), own)
  }
  assert.equal(await probeOf('serving'), 'connected')
  assert.equal(path, '/grpc.health.v1.Health/Check')
  assert.equal(await probeOf('not serving'), 0)
  assert.equal(await probeOf('not implemented'), 'connected')
  assert.equal(await probeOf('failing'), 0)
  const plain = await listening(http.createServer((_, response) => response.end()))
  assert.equal(await probe(plain, checks({ type: 'grpc' }), own), 'tcp failure')
})
