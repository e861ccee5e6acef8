/** The data plane as clients and upstreams meet it: a whole gateway between raw sockets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import tls from 'node:tls'
import { loadSettings } from '../../src/config/settings.ts'
import { startGateway, type Gateway } from '../../src/main.ts'
import { client, echoTargets, ok, pause, request, startUpstream, until, type Upstream } from './sockets.ts'

const folder = mkdtempSync(join(tmpdir(), 'gibbon-proxy-'))
let gateway: Gateway
let upstream: Upstream

before(async () => {
  upstream = await startUpstream()
  const loaded = loadSettings({
    env: {},
    overrides: {
      prefix: folder,
      proxy_listen: '127.0.0.1:0, 127.0.0.1:0 ssl',
      admin_listen: '127.0.0.1:0',
      nginx_worker_processes: '2',
      proxy_access_log: 'off',
      client_header_timeout: '300ms',
      drain_timeout: '3s',
    },
  })
  assert.ok(loaded.ok)
  gateway = await startGateway(loaded.settings)
  await admin('PUT', '/services/up', { url: `http://127.0.0.1:${upstream.port}` })
  await admin('PUT', '/services/up/routes/all', { paths: ['/'] })
})

after(async () => {
  await gateway.stop()
  upstream.close()
  rmSync(folder, { recursive: true })
})

// A connection that waits in the gateway's pool would still be served as the test before it wanted.
beforeEach(async () => {
  upstream.cut()
  await pause(30)
})

async function admin(method: string, path: string, body: object): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${gateway.adminPorts[0]}${path}`, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  assert.ok(response.ok, await response.text())
}

test('pipelined requests are answered in order, and one upstream connection carries them all', async () => {
  let connections = 0
  upstream.serve = (socket) => {
    connections++
    echoTargets(socket)
  }
  const { send, until, text, socket } = client(gateway.proxyPorts[0] ?? 0)
  send(request('/1') + request('/2') + request('/%00') + request('/3'))
  await until(/\r\n\r\n\/3$/)
  const answers = [...text().matchAll(/\r\n\r\n(\/\d|Bad request)/g)].map(([, body]) => body)
  assert.deepEqual(answers, ['/1', '/2', 'Bad request', '/3'])
  assert.equal(connections, 1)
  socket.destroy()
})

test('a client that expects 100 is asked for its body, and one that is refused is not', async () => {
  upstream.serve = (socket) =>
    socket.on('data', (bytes: Buffer) => bytes.toString().endsWith('hello') && socket.write(ok('got it')))
  const { send, until, socket } = client(gateway.proxyPorts[0] ?? 0)
  send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n')
  await until(/^HTTP\/1.1 100 Continue\r\n\r\n$/)
  send('hello')
  await until(/got it$/)
  socket.destroy()
  const other = client(gateway.proxyPorts[0] ?? 0)
  other.send('POST /%00 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n')
  await other.until(/^HTTP\/1.1 400 /)
  await other.closed()
})

test('a long chunked body goes on chunked, with its trailers', async () => {
  let got = ''
  upstream.serve = (socket) =>
    socket.on('data', (bytes: Buffer) => {
      got += bytes.toString('latin1')
      if (got.endsWith('X-Sum: 1\r\n\r\n')) socket.write(ok('done'))
    })
  const { send, until, socket } = client(gateway.proxyPorts[0] ?? 0)
  send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (let at = 0; at < 10; at++) send(`4000\r\n${'x'.repeat(0x4000)}\r\n`)
  send('0\r\nX-Sum: 1\r\n\r\n')
  await until(/done$/)
  assert.match(got, /Transfer-Encoding: chunked\r\n/)
  assert.equal(got.match(/x/g)?.length, 10 * 0x4000)
  socket.destroy()
})

test('large bodies stream both ways in little memory, at the pace of the slower side', async () => {
  const size = 192 * 1024 * 1024
  upstream.serve = (socket) => {
    let left = size
    let begun = false
    socket.on('data', (bytes: Buffer) => {
      const from = begun ? 0 : bytes.indexOf('\r\n\r\n') + 4
      begun = true
      left -= bytes.length - from
      if (left === 0) pour(socket, `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
    })
  }
  const piece = Buffer.alloc(256 * 1024, 'x')
  const pour = (socket: Duplex, head: string) => {
    socket.write(head)
    let left = size
    const more = () => {
      while (left > 0) {
        left -= piece.length
        if (!socket.write(piece)) return void socket.once('drain', more)
      }
    }
    more()
  }
  const before = process.memoryUsage.rss()
  let most = before
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 20)
  const socket = net.connect(gateway.proxyPorts[0] ?? 0, '127.0.0.1')
  let got = 0
  socket.on('data', (bytes: Buffer) => {
    got += bytes.length
    // A reader that rests now and then.
    if (got % 7 === 0) {
      socket.pause()
      setTimeout(() => socket.resume(), 1)
    }
  })
  pour(socket, `POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\nConnection: close\r\n\r\n`)
  await once(socket, 'close')
  clearInterval(watch)
  assert.ok(got > size, `${got} bytes`)
  assert.ok(most - before < 150 * 1024 * 1024, `${most - before} bytes more`)
})

test('a client that has finished sending still gets its response', async () => {
  upstream.serve = (socket) => socket.on('data', () => setTimeout(() => socket.write(ok('late')), 50))
  const { socket, until } = client(gateway.proxyPorts[0] ?? 0)
  socket.end(request('/'))
  await until(/late$/)
})

test('a client that leaves has its request given up at the upstream', async () => {
  let gone = false
  upstream.serve = (socket) => {
    socket.on('data', () => {}).on('close', () => (gone = true))
    socket.on('end', () => socket.end())
  }
  const { socket, send } = client(gateway.proxyPorts[0] ?? 0)
  send(request('/'))
  await until(
    () => upstream.sockets.size > 0,
    () => 'the request to reach the upstream',
  )
  await pause(50)
  socket.resetAndDestroy()
  await until(
    () => gone,
    () => 'the upstream connection to close',
  )
})

test('what an upstream sends without being asked reaches nobody', async () => {
  upstream.serve = (socket) => socket.on('data', () => socket.write(`${ok('one')}${ok('never asked for')}`))
  const { send, until, text, socket } = client(gateway.proxyPorts[0] ?? 0)
  send(request('/'))
  await until(/one$/)
  upstream.serve = echoTargets
  send(request('/two'))
  await until(/\/two$/)
  assert.doesNotMatch(text(), /never asked for/)
  socket.destroy()
})

test('a response that breaks off is seen as broken off', async () => {
  upstream.serve = (socket) =>
    socket.on('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
      setTimeout(() => (socket as net.Socket).resetAndDestroy(), 30)
    })
  const { send, closed, text } = client(gateway.proxyPorts[0] ?? 0)
  send(request('/'))
  await closed()
  assert.doesNotMatch(text(), /0\r\n\r\n$/)
})

test('a head that is sent too slowly is answered 408', async () => {
  const { send, until } = client(gateway.proxyPorts[0] ?? 0)
  send('GET / HTTP/1.1\r\nHost: a')
  await until(/^HTTP\/1.1 408 Request Timeout\r\n/)
})

test('a change is in force for the next request on a connection that was already open', async () => {
  upstream.serve = echoTargets
  const connections = Array.from({ length: 8 }, () => client(gateway.proxyPorts[0] ?? 0))
  for (const { send, until } of connections) {
    send(request('/before'))
    await until(/before$/)
  }
  for (let at = 0; at < 20; at++) {
    await admin('PATCH', '/services/up', { path: `/v${at}` })
    for (const { send, until } of connections) {
      send(request('/now'))
      await until(new RegExp(`/v${at}/now$`))
    }
  }
  await admin('PATCH', '/services/up', { path: null })
  for (const { socket } of connections) socket.destroy()
})

test('the TLS listener serves with a certificate of its own', async () => {
  upstream.serve = echoTargets
  const socket = tls.connect({ port: gateway.proxyPorts[1] ?? 0, host: '127.0.0.1', rejectUnauthorized: false })
  socket.write(request('/secure', 'Connection: close'))
  let text = ''
  socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
  await once(socket, 'end')
  assert.match(text, /^HTTP\/1.1 200 OK\r\n[^]*\/secure$/)
  socket.destroy()
})
