/** WebSocket through the gateway: an ordinary request until both sides agree, a pipe afterwards. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { after, afterEach, before, test } from 'node:test'
import { issue } from './certificates.ts'
import { type DataPlane, oneService, startDataPlane } from './data-plane.ts'
import { client, ok, onRequests, pause, request, secureClient, startUpstream, until, type Upstream } from './sockets.ts'

let plane: DataPlane
let upstream: Upstream

before(async () => {
  upstream = await startUpstream()
  plane = await startDataPlane({
    config: oneService(upstream.port),
    plugins: [
      {
        access: (kong) =>
          kong.request.get_path().startsWith('/closed') ? kong.response.exit(401, { message: 'no' }) : undefined,
        header_filter: (kong) => kong.response.set_header('X-Seen', 'yes'),
      },
    ],
  })
})
after(() => {
  plane.close()
  upstream.close()
})
afterEach(async () => {
  upstream.cut()
  plane.adopt(oneService(upstream.port))
  await pause(20)
  plane.access.length = 0
})

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const acceptOf = (key: string) =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')

const handshake = (path = '/chat', ...lines: readonly string[]) =>
  request(
    path,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    ...lines,
  )

const agreement = (head: string) =>
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  `Sec-WebSocket-Accept: ${acceptOf(/sec-websocket-key: (\S+)/i.exec(head)?.[1] ?? '')}\r\n\r\n`

/** Agrees to speak WebSocket, then hands the socket over; what came with the head is put back. */
const agreeing = (then: (socket: Duplex) => void) => (socket: Duplex) => {
  let text = ''
  const onData = (bytes: Buffer) => {
    text += bytes.toString('latin1')
    const end = text.indexOf('\r\n\r\n')
    if (end < 0) return
    socket.off('data', onData)
    socket.write(agreement(text))
    then(socket)
    const rest = text.slice(end + 4)
    if (rest) socket.emit('data', Buffer.from(rest, 'latin1'))
  }
  socket.on('data', onData)
  socket.on('end', () => socket.end())
}

const echoing = agreeing((socket) => socket.on('data', (bytes: Buffer) => socket.write(bytes)))

/** A whole frame, unmasked, so that what is sent can be compared with what arrives. */
function frame(payload: string): string {
  const size = payload.length
  const length =
    size < 126
      ? [size]
      : size < 65536
        ? [126, size >> 8, size & 255]
        : [127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((by) => (size >> by) & 255)]
  return Buffer.from([0x82, ...length]).toString('latin1') + payload
}

test('a client and a server that agree exchange messages of any size', async () => {
  // A server that unmasks, made for this test; the client is Node's own.
  upstream.serve = agreeing((socket) => {
    let bytes = Buffer.alloc(0)
    socket.on('data', (piece: Buffer) => {
      bytes = Buffer.concat([bytes, piece])
      for (let message = unmasked(bytes); message; message = unmasked(bytes)) {
        bytes = bytes.subarray(message.size)
        socket.write(frame(message.payload), 'latin1')
      }
    })
  })
  const socket = new WebSocket(`ws://127.0.0.1:${plane.port}/chat`)
  socket.binaryType = 'arraybuffer'
  await once(socket, 'open')
  for (const size of [0, 1, 125, 126, 70_000, 3_000_000]) {
    socket.send(Buffer.alloc(size, 'x'))
    const [{ data }] = (await once(socket, 'message')) as [{ data: ArrayBuffer }]
    assert.equal(Buffer.from(data).toString('latin1'), 'x'.repeat(size))
  }
  socket.close()
  upstream.cut()
  await once(socket, 'close')
})

function unmasked(bytes: Buffer): { size: number; payload: string } | undefined {
  const short = (bytes[1] ?? 0) & 127
  const at = short === 126 ? 4 : short === 127 ? 10 : 2
  if (bytes.length < at + 4) return undefined
  const size = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
  if (bytes.length < at + 4 + size) return undefined
  const mask = bytes.subarray(at, at + 4)
  const payload = Buffer.from(bytes.subarray(at + 4, at + 4 + size).map((byte, i) => byte ^ (mask[i & 3] ?? 0)))
  return { size: at + 4 + size, payload: payload.toString('latin1') }
}

test('the handshake goes on as the client made it, and its answer comes back with what plugins set', async () => {
  let head = ''
  upstream.serve = (socket) =>
    socket.once('data', (bytes: Buffer) => {
      head = bytes.toString()
      socket.write(agreement(head))
    })
  const { send, until, text, socket } = client(plane.port)
  send(handshake('/chat?a=b', 'Sec-WebSocket-Protocol: chat', 'Sec-WebSocket-Extensions: permessage-deflate'))
  await until(/\r\n\r\n$/)
  assert.match(head, /^GET \/chat\?a=b HTTP\/1\.1\r\n/)
  for (const line of [
    'Connection: keep-alive, Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Protocol: chat',
    'Sec-WebSocket-Extensions: permessage-deflate',
  ])
    assert.ok(head.includes(`\r\n${line}\r\n`), line)
  assert.match(text(), /^HTTP\/1\.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/)
  assert.ok(text().includes(`\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n`))
  assert.match(text(), /\r\nX-Seen: yes\r\n/)
  assert.doesNotMatch(text(), /content-length|transfer-encoding/i)
  socket.destroy()
})

test('a plugin refuses a handshake as any other request', async () => {
  const before = upstream.connections
  const { send, until, socket } = client(plane.port)
  send(handshake('/closed'))
  await until(/^HTTP\/1\.1 401 [^]*\{"message":"no"\}$/)
  assert.equal(upstream.connections, before)
  socket.destroy()
})

test('what a client sends before the answer waits for it, and what the server sends with it comes behind it', async () => {
  let got = ''
  let early = ''
  upstream.serve = (socket) => {
    socket.once('data', (bytes: Buffer) => {
      const head = bytes.toString('latin1')
      early = head.slice(head.indexOf('\r\n\r\n') + 4)
      socket.on('data', (piece: Buffer) => (got += piece.toString('latin1')))
      setTimeout(() => {
        early += got
        socket.write(agreement(head) + frame('welcome'), 'latin1')
      }, 100)
    })
  }
  const { send, until: untilText, text, socket } = client(plane.port)
  send(handshake() + frame('too early'))
  send(frame('as well'))
  await untilText(/welcome$/)
  assert.equal(text().slice(text().indexOf('\r\n\r\n') + 4), frame('welcome'))
  await until(
    () => got === frame('too early') + frame('as well'),
    () => 'the early frames',
  )
  assert.equal(early, '')
  socket.destroy()
})

test('a refusal of the server is an ordinary response, and both connections go on', async () => {
  upstream.serve = onRequests(({ head }, socket) =>
    socket.write(
      head.includes('Upgrade: websocket')
        ? 'HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nContent-Length: 3\r\n\r\nold'
        : ok('plain'),
    ),
  )
  const before = upstream.connections
  const { send, until, text, socket } = client(plane.port)
  send(handshake())
  await until(/old$/)
  assert.match(text(), /^HTTP\/1\.1 426 [^]*\r\nSec-WebSocket-Version: 8\r\n/)
  send(request('/'))
  await until(/plain$/)
  assert.equal(upstream.connections - before, 1)
  socket.destroy()
})

test('an upgraded connection never carries another request', async () => {
  upstream.serve = echoing
  const before = upstream.connections
  const first = client(plane.port)
  first.send(handshake())
  await first.until(/\r\n\r\n$/)
  first.send(frame(`x${request('/inside')}`))
  await first.until(/inside/)
  first.socket.end()
  await first.closed()
  upstream.serve = onRequests((_, socket) => socket.write(ok('fresh')))
  const second = client(plane.port)
  second.send(request('/'))
  await second.until(/fresh$/)
  assert.equal(upstream.connections - before, 2)
  second.socket.destroy()
})

test('a server that sends more than its client reads is held back, and the other way round', async () => {
  let socket: Duplex | undefined
  upstream.serve = agreeing((given) => (socket = given))
  const one = client(plane.port)
  one.send(handshake())
  await one.until(/\r\n\r\n$/)
  await until(
    () => socket !== undefined,
    () => 'the upgrade',
  )
  const server = socket as Duplex
  one.socket.pause()
  server.pause()
  const much = Buffer.alloc(64 * 1024 * 1024, 'x')
  const before = process.memoryUsage.rss()
  server.write(much)
  one.send(much)
  await pause(300)
  assert.ok(server.writableLength > 0 && one.socket.writableLength > 0, 'both are held back')
  assert.ok(process.memoryUsage.rss() - before < 64 * 1024 * 1024, 'nothing piles up between them')
  one.socket.destroy()
})

test('either side that ends ends both, after what it said has arrived; the log has one line with the bytes', async () => {
  for (const ending of ['client', 'server'] as const) {
    plane.access.length = 0
    let server: Duplex | undefined
    let got = ''
    upstream.serve = agreeing((socket) => {
      server = socket
      socket.on('data', (bytes: Buffer) => (got += bytes.toString('latin1')))
    })
    const one = client(plane.port)
    one.send(handshake())
    await one.until(/\r\n\r\n$/)
    if (ending === 'client') one.socket.end(frame('bye'), 'latin1')
    else server?.end(frame('bye'), 'latin1')
    await one.closed()
    await until(
      () => plane.access.length > 0,
      () => 'the log',
    )
    if (ending === 'client')
      await until(
        () => got === frame('bye'),
        () => 'the last frame',
      )
    else assert.ok(one.text().endsWith(frame('bye')))
    await pause(20)
    assert.deepEqual(
      plane.access.map(({ status, bytes, path }) => [status, bytes, path]),
      [[101, ending === 'client' ? 0 : frame('bye').length, '/chat']],
    )
  }
})

test('a connection on which nothing passes for read_timeout is closed; one that is used is not', async () => {
  plane.adopt(oneService(upstream.port, { read_timeout: 200 }))
  upstream.serve = echoing
  const { send, until, closed } = client(plane.port)
  send(handshake())
  await until(/\r\n\r\n$/)
  for (let at = 0; at < 5; at++) {
    await pause(100)
    send(frame(`still ${at}`))
    await until(new RegExp(`still ${at}`))
  }
  await closed()
})

test('what is not a request for WebSocket goes on without Upgrade', async () => {
  const heads: string[] = []
  upstream.serve = onRequests(({ head }, socket) => {
    heads.push(head)
    socket.write(ok('plain'))
  })
  const others = [
    handshake().replace('GET', 'PUT'),
    handshake().replace('HTTP/1.1', 'HTTP/1.0'),
    handshake().replace('Connection: Upgrade', 'Connection: keep-alive'),
    handshake().replace('Upgrade: websocket', 'Upgrade: h2c'),
    handshake().replace('Upgrade: websocket', 'Upgrade: websocket, h2c'),
    handshake('/', 'Content-Length: 1') + 'x',
  ]
  for (const other of others) {
    const { send, until, socket } = client(plane.port)
    send(other)
    await until(/plain$/)
    socket.destroy()
  }
  assert.equal(heads.length, others.length)
  for (const head of heads) assert.doesNotMatch(head, /^upgrade:|, upgrade/im)
})

test('an answer that switches to something else is a bad gateway', async () => {
  for (const lines of ['Upgrade: h2c\r\nConnection: Upgrade\r\n', '']) {
    upstream.serve = onRequests((_, socket) => socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`))
    const { send, until, socket } = client(plane.port)
    send(handshake())
    await until(/^HTTP\/1\.1 502 /)
    socket.destroy()
    upstream.cut()
    await pause(10)
  }
})

test('over TLS on both sides', async () => {
  const certificate = issue('localhost')
  const secure = await startUpstream(certificate)
  const securePlane = await startDataPlane({ config: oneService(secure.port, { protocol: 'https' }), tls: certificate })
  secure.serve = echoing
  const { send, until, socket } = secureClient(securePlane.port)
  send(handshake())
  await until(/\r\n\r\n$/)
  send(frame('hello'.repeat(20_000)))
  await until(/(hello){20000}$/)
  socket.destroy()
  securePlane.close()
  secure.close()
})

test('a gateway that stops says 1001 to both sides, between two frames', async () => {
  const own = await startDataPlane({ config: oneService(upstream.port) })
  const servers: Duplex[] = []
  const got: string[] = []
  upstream.serve = agreeing((socket) => {
    const at = servers.push(socket) - 1
    got[at] = ''
    socket.on('data', (bytes: Buffer) => (got[at] += bytes.toString('latin1')))
  })
  const [idle, busy] = [client(own.port), client(own.port)]
  for (const { send, until } of [idle, busy]) {
    send(handshake())
    await until(/\r\n\r\n$/)
  }
  const whole = frame('y'.repeat(1000))
  servers[1]?.write(whole.slice(0, 500), 'latin1')
  await busy.until(/y$/)
  own.runtime.draining = true
  const drained = own.listener.drain()
  const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]).toString('latin1')
  await idle.closed()
  assert.ok(idle.text().endsWith(`\r\n\r\n${goingAway}`))
  await pause(50)
  assert.ok(busy.text().endsWith('y'), 'not within a frame')
  servers[1]?.write(whole.slice(500) + frame('too late'), 'latin1')
  await busy.closed()
  assert.ok(busy.text().endsWith(whole + goingAway))
  // To the server it is masked, as everything from a client.
  const [first, second, ...rest] = Buffer.from(got[0] ?? '', 'latin1')
  const mask = rest.slice(0, 4)
  assert.deepEqual(
    [first, second, ...rest.slice(4).map((byte, at) => byte ^ (mask[at] ?? 0))],
    [0x88, 0x82, 0x03, 0xe9],
  )
  for (const { socket } of [idle, busy]) socket.destroy()
  for (const server of servers) server.destroy()
  await drained
  own.close()
})
