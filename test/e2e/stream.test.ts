/** Streams of TCP through the data plane, between real sockets. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { test, type TestContext } from 'node:test'
import { freePort } from '../free-port.ts'
import { client, pause, startUpstream, until, type Serve, type Upstream } from './sockets.ts'
import { oneStream, startStreamPlane, type StreamPlane } from './stream-plane.ts'

type PlaneOptions = Omit<Parameters<typeof startStreamPlane>[0], 'config'>

/** An upstream that serves so, and a plane with one route to it. */
async function planeTo(
  t: TestContext,
  serve: Serve,
  service: object = {},
  options: PlaneOptions = {},
): Promise<StreamPlane & { readonly upstream: Upstream }> {
  const upstream = await startUpstream()
  upstream.serve = serve
  const plane = await startStreamPlane({ config: oneStream(upstream.port, service), ...options })
  t.after(() => {
    plane.close()
    upstream.close()
  })
  return { ...plane, upstream }
}

const echo: Serve = (socket) => void socket.pipe(socket)
const ended = (plane: StreamPlane, count = 1): Promise<void> =>
  until(
    () => plane.access.length >= count,
    () => `${count} lines of the access log`,
  )

test('what a client sends reaches the upstream, what that answers reaches the client, and one line tells of it', async (t) => {
  const plane = await planeTo(t, echo)
  const one = client(plane.port)
  one.send('hello ')
  await one.until(/^hello $/)
  assert.equal(plane.stats.active, 1)
  one.send('\0\xff\r\n')
  await one.until(/^hello \0\xff\r\n$/)
  one.socket.end()
  await one.closed()
  await ended(plane)
  const [entry] = plane.access
  assert.equal(entry?.status, 200)
  assert.deepEqual([entry?.received, entry?.sent, entry?.reason], [10, 10, undefined])
  assert.equal(entry?.client, '127.0.0.1')
  assert.equal(entry?.protocol, 'tcp')
  assert.equal(entry?.upstream, `127.0.0.1:${plane.upstream.port}`)
  assert.match(`${entry?.id} ${entry?.route} ${entry?.service}`, /^[0-9a-f]{32} [0-9a-f-]{36} [0-9a-f-]{36}$/)
  assert.deepEqual(plane.stats, { ...plane.stats, active: 0, received: 10, sent: 10, statuses: [200] })
  assert.equal(plane.plane.runtime.stats.active, 0)
})

test('an upstream that speaks first is heard', async (t) => {
  const plane = await planeTo(t, (socket) => void socket.write('220 ready\r\n'))
  const one = client(plane.port)
  await one.until(/^220 ready\r\n$/)
  one.socket.destroy()
})

test('an end of one direction is passed on, and the other goes on', async (t) => {
  const plane = await planeTo(t, (socket) => {
    let text = ''
    socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
    socket.on('end', () => setTimeout(() => socket.end(`got ${text}`), 50))
  })
  const one = client(plane.port)
  one.socket.end('all of it')
  await one.until(/^got all of it$/)
  await one.closed()

  plane.upstream.serve = (socket) => {
    socket.end('bye')
    socket.on('data', (bytes: Buffer) => heard.push(bytes.toString()))
  }
  const heard: string[] = []
  const other = client(plane.port)
  await other.until(/^bye$/)
  await other.closed()
  other.send('still here')
  await until(
    () => heard.join('') === 'still here',
    () => 'what the client sent after the end',
  )
  other.socket.end()
  await ended(plane, 2)
  assert.deepEqual(
    plane.access.map(({ status, reason }) => [status, reason]),
    [
      [200, undefined],
      [200, undefined],
    ],
  )
})

test('many bytes arrive whole both ways at once', async (t) => {
  const size = 24 * 1024 * 1024
  const plane = await planeTo(t, echo)
  const socket = net.connect({ port: plane.port, host: '127.0.0.1' })
  const bytes = randomBytes(size)
  const hash = createHash('sha256')
  let received = 0
  socket.on('data', (piece: Buffer) => {
    received += piece.length
    hash.update(piece)
  })
  socket.end(bytes)
  await once(socket, 'close')
  assert.equal(received, size)
  assert.equal(hash.digest('hex'), createHash('sha256').update(bytes).digest('hex'))
  await ended(plane)
  assert.deepEqual([plane.access[0]?.received, plane.access[0]?.sent], [size, size])
})

test('a side that does not read stops the other one: what waits in the gateway is bounded', async (t) => {
  let taken = 0
  const piece = Buffer.alloc(64 * 1024)
  const plane = await planeTo(t, (socket) => {
    const more = (): void => {
      while (taken < 512 * 1024 * 1024 && socket.write(piece)) taken += piece.length
    }
    socket.on('drain', more)
    more()
  })
  const one = net.connect({ port: plane.port, host: '127.0.0.1' })
  await once(one, 'connect')
  one.pause()
  let before = -1
  // Nothing moves any more once the buffers of the kernel and of the gateway are full.
  while (before !== taken) {
    before = taken
    await pause(300)
  }
  assert.ok(taken < 32 * 1024 * 1024, `${taken} bytes were taken`)
  const [session] = plane.listener.sessions()
  assert.ok(session)
  let got = 0
  one.on('data', (bytes: Buffer) => (got += bytes.length)).resume()
  await until(
    () => got > before,
    () => 'the rest, once the client reads',
  )
  one.destroy()
})

test('a reset is passed on as one, behind what came before it', async (t) => {
  let upstreamSocket: net.Socket | undefined
  const plane = await planeTo(t, (socket) => {
    upstreamSocket = socket as net.Socket
    socket.write('half of')
  })
  const one = client(plane.port)
  const failed = new Promise((resolve) => one.socket.on('error', resolve))
  await one.until(/^half of$/)
  upstreamSocket?.resetAndDestroy()
  assert.equal(((await failed) as NodeJS.ErrnoException).code, 'ECONNRESET')
  await ended(plane)
  assert.deepEqual([plane.access[0]?.status, plane.access[0]?.reason], [200, 'upstream reset'])

  const gone = new Promise((resolve) => {
    plane.upstream.serve = (socket) => socket.on('error', resolve)
  })
  const other = client(plane.port)
  other.send('x')
  await until(
    () => plane.upstream.connections === 2,
    () => 'the second connection',
  )
  await pause(50)
  other.socket.resetAndDestroy()
  assert.equal(((await gone) as NodeJS.ErrnoException).code, 'ECONNRESET')
  await ended(plane, 2)
  assert.equal(plane.access[1]?.reason, 'client reset')
})

test('a peer that refuses is passed over for another one, as often as retries allow', async (t) => {
  const upstream = await startUpstream()
  upstream.serve = (socket) => void socket.end('from the living one')
  const config = (retries: number, ...dead: number[]) => ({
    upstreams: [
      {
        name: 'group',
        algorithm: 'round-robin',
        targets: [...dead, upstream.port].map((port) => ({ target: `127.0.0.1:${port}` })),
      },
    ],
    ...oneStream(80, { host: 'group', retries }),
  })
  const dead = [await freePort(), await freePort()]
  const plane = await startStreamPlane({ config: config(5, ...dead) })
  t.after(() => {
    plane.close()
    upstream.close()
  })
  for (let round = 0; round < 6; round++) {
    const one = client(plane.port)
    await one.until(/^from the living one$/)
    one.socket.end()
  }
  plane.plane.adopt(oneStream(dead[0] ?? 0, { retries: 1 }))
  await ended(plane, 6)
  const one = client(plane.port)
  await one.closed()
  await ended(plane, 7)
  assert.equal(plane.access[6]?.status, 502)
  assert.match(String(plane.access[6]?.reason), /^127\.0\.0\.1 port \d+: connect ECONNREFUSED/)
  for (const target of plane.plane.runtime.config.balancers.values())
    for (const peer of target.peers.values()) assert.equal(peer.load.inFlight, 0)
})

test('a balancer that goes by latency is told how long a peer took to take a connection', async (t) => {
  const upstream = await startUpstream()
  const config = {
    upstreams: [{ name: 'group', algorithm: 'latency', targets: [{ target: `127.0.0.1:${upstream.port}` }] }],
    ...oneStream(upstream.port, { host: 'group' }),
  }
  const plane = await startStreamPlane({ config })
  t.after(() => {
    plane.close()
    upstream.close()
  })
  upstream.serve = (socket) => void socket.end('ok')
  await client(plane.port).until(/^ok$/)
  const [balancer] = plane.plane.runtime.config.balancers.values()
  const [peer] = balancer?.peers.values() ?? []
  assert.ok(peer && peer.load.latencyMs !== undefined && peer.load.latencyMs < 1000)
})

test('without a byte for as long as read_timeout both sides are closed', async (t) => {
  const plane = await planeTo(t, echo, { read_timeout: 200 })
  const one = client(plane.port)
  one.send('x')
  await one.until(/^x$/)
  await one.closed()
  await ended(plane)
  assert.equal(plane.access[0]?.reason, 'idle timeout')
})

test('a client that takes nothing for as long as write_timeout is cut', async (t) => {
  const plane = await planeTo(
    t,
    (socket) => {
      const more = (): void => {
        while (socket.writable && socket.write(Buffer.alloc(65_536)));
      }
      socket.on('drain', more)
      more()
    },
    { write_timeout: 200, read_timeout: 60_000 },
  )
  const one = net.connect({ port: plane.port, host: '127.0.0.1' })
  one.pause()
  one.on('error', () => {})
  await ended(plane)
  assert.equal(plane.access[0]?.reason, 'write timeout')
  one.destroy()
})

test('a connection without a route, or whose route has no service, is closed and told', async (t) => {
  const plane = await startStreamPlane({
    config: oneStream(1, {}, { sources: [{ ip: '192.0.2.0/24' }] }),
  })
  t.after(() => plane.close())
  await client(plane.port).closed()
  await ended(plane)
  plane.plane.adopt({ routes: [{ protocols: ['tcp'], sources: [{ ip: '127.0.0.1' }] }] })
  await client(plane.port).closed()
  await ended(plane, 2)
  assert.deepEqual(
    plane.access.map(({ status, reason }) => [status, reason]),
    [
      [500, 'no Route found with those values'],
      [503, 'no Service found with those values'],
    ],
  )
})

test('routes choose by source and by destination, ports included', async (t) => {
  const [one, other] = [await startUpstream(), await startUpstream()]
  one.serve = (socket) => void socket.end('one')
  other.serve = (socket) => void socket.end('other')
  const plane = await startStreamPlane({ config: {} })
  t.after(() => {
    plane.close()
    one.close()
    other.close()
  })
  const service = (name: string, port: number, route: object) => ({
    name,
    protocol: 'tcp',
    host: '127.0.0.1',
    port,
    routes: [{ name, protocols: ['tcp'], ...route }],
  })
  const answer = async (): Promise<string> => {
    const socket = client(plane.port)
    await socket.closed()
    return socket.text()
  }
  plane.plane.adopt({
    services: [
      service('one', one.port, { destinations: [{ port: plane.port }] }),
      service('other', other.port, { destinations: [{ ip: '127.0.0.0/8' }] }),
    ],
  })
  assert.equal(await answer(), 'one')
  plane.plane.adopt({
    services: [
      service('one', one.port, { destinations: [{ ip: '127.0.0.1', port: plane.port }] }),
      service('other', other.port, {
        destinations: [{ ip: '127.0.0.1', port: plane.port }],
        sources: [{ ip: '127.0.0.0/8' }],
      }),
    ],
  })
  assert.equal(await answer(), 'other')
})

test('beyond max_connections a connection is closed at once, and counted', async (t) => {
  const plane = await planeTo(t, echo, {}, { settings: { max_connections: '2' } })
  const [one, other] = [client(plane.port), client(plane.port)]
  for (const { send, until: comes } of [one, other]) {
    send('x')
    await comes(/^x$/)
  }
  await client(plane.port).closed()
  assert.equal(plane.plane.runtime.stats.refused, 1)
  one.socket.destroy()
  await ended(plane)
  await until(
    () => plane.plane.runtime.stats.active === 1,
    () => 'the count to go down',
  )
  const third = client(plane.port)
  third.send('y')
  await third.until(/^y$/)
  for (const { socket } of [other, third]) socket.destroy()
})

test('a PROXY header names the client where its sender is trusted, and is not passed on', async (t) => {
  const options = (trusted: string) => ({ proxyProtocol: true, settings: { trusted_ips: trusted } })
  const trusting = await planeTo(t, echo, {}, options('127.0.0.1'))
  const one = client(trusting.port)
  one.send('PROXY TCP4 198.51.100.7 203.0.113.1 4711 443\r\nfirst')
  await one.until(/^first$/)
  one.socket.end()
  await ended(trusting)
  assert.equal(trusting.access[0]?.client, '198.51.100.7')
  assert.equal(trusting.access[0]?.received, 5)

  const wary = await planeTo(t, echo, {}, options(''))
  const other = client(wary.port)
  other.send('PROXY TCP4 198.51.100.7 203.0.113.1 4711 443\r\n')
  other.send('x')
  await other.until(/^x$/)
  other.socket.end()
  await ended(wary)
  assert.equal(wary.access[0]?.client, '127.0.0.1')

  const liar = client(wary.port)
  liar.send('no header at all\r\n')
  await liar.closed()
  assert.equal(wary.upstream.connections, 1)
})

test('a client that leaves while an upstream is sought costs nothing later', async (t) => {
  const plane = await planeTo(t, echo)
  for (let round = 0; round < 20; round++) {
    const one = client(plane.port)
    await once(one.socket, 'connect')
    one.socket.resetAndDestroy()
  }
  await ended(plane, 20)
  await until(
    () => plane.upstream.sockets.size === 0 && plane.stats.active === 0,
    () => `nothing to be open (${plane.upstream.sockets.size}, ${plane.stats.active})`,
  )
})

test('an existing stream outlives the route that it came by', async (t) => {
  const plane = await planeTo(t, echo)
  const one = client(plane.port)
  one.send('a')
  await one.until(/^a$/)
  plane.plane.adopt({})
  one.send('b')
  await one.until(/^ab$/)
  await client(plane.port).closed()
  one.socket.end()
  await one.closed()
})

test('a stop takes no more connections, and waits for those that there are', async (t) => {
  const plane = await planeTo(t, echo)
  const one = client(plane.port)
  one.send('a')
  await one.until(/^a$/)
  let isDrained = false
  const drained = plane.listener.drain().then(() => (isDrained = true))
  const late = net.connect({ port: plane.port, host: '127.0.0.1' })
  await once(late, 'error')
  one.send('b')
  await one.until(/^ab$/)
  assert.equal(isDrained, false)
  one.socket.end()
  await drained
  assert.equal(plane.access.length, 1)
})
