/** Many requests on one connection: in order, in bounded memory, and each of them answered. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, afterEach, before, test } from 'node:test'
import { type DataPlane, oneService, startDataPlane } from './data-plane.ts'
import { client, echoTargets, ok, onRequests, pause, request, startUpstream, until, type Upstream } from './sockets.ts'

let plane: DataPlane
let upstream: Upstream

before(async () => {
  upstream = await startUpstream()
  plane = await startDataPlane({ config: oneService(upstream.port), settings: { send_timeout: '400ms' } })
})
after(() => {
  plane.close()
  upstream.close()
})
afterEach(() => upstream.cut())

/** Resolves when the connection that was just made has been given up by the gateway. */
async function givenUp(): Promise<void> {
  const { stats } = plane.runtime
  for (const isSo of [() => stats.active === 1, () => stats.active === 0]) {
    await until(isSo, () => 'the gateway to give up')
  }
}

test('a client that asks on and on without reading is not read on, and is given up in the end', async () => {
  const answer = ok('x'.repeat(1000))
  let answered = 0
  upstream.serve = onRequests((_, socket) => {
    answered++
    socket.write(answer)
  })
  const socket = net.connect({ port: plane.port, host: '127.0.0.1' }).on('error', () => {})
  socket.pause()
  const block = Buffer.from(request('/').repeat(500))
  let sent = 0
  const pour = () => {
    while (!socket.destroyed && sent < 64 * 1024 * 1024) {
      sent += block.length
      if (!socket.write(block)) return void socket.once('drain', pour)
    }
  }
  pour()
  // It takes nothing for as long as send_timeout, and is given up.
  await givenUp()
  assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes were taken`)
  assert.ok(answered < 50_000, `${answered} were answered`)
  socket.destroy()
})

test('requests for the gateway itself are held back just the same', async () => {
  const socket = net.connect({ port: plane.port, host: '127.0.0.1' }).on('error', () => {})
  socket.pause()
  const before = plane.runtime.stats.requests
  const block = Buffer.from(request('/%00').repeat(500))
  for (let at = 0; at < 2000; at++) socket.write(block)
  await givenUp()
  const answered = plane.runtime.stats.requests - before
  assert.ok(answered < 500_000, `${answered} were answered`)
  socket.destroy()
})

test('a slow reader gets every answer in order', async () => {
  upstream.serve = onRequests(({ head }, socket) => socket.write(ok(`${head.split(' ')[1]} ${'x'.repeat(20_000)}`)))
  const { send, socket, text, until } = client(plane.port)
  socket.pause()
  send(Array.from({ length: 200 }, (_, at) => request(`/${at}`)).join(''))
  const trickle = setInterval(() => (socket.isPaused() ? socket.resume() : socket.pause()), 5)
  await until(/\/199 x{20000}$/)
  clearInterval(trickle)
  const order = [...text().matchAll(/\r\n\r\n\/(\d+) x/g)].map(([, number]) => Number(number))
  assert.deepEqual(
    order,
    Array.from({ length: 200 }, (_, at) => at),
  )
  socket.destroy()
})

test('a client that has finished sending gets the answers to all that it pipelined, and then the end', async () => {
  upstream.serve = onRequests(
    ({ head }, socket) => void setTimeout(() => socket.write(ok(head.split(' ')[1] ?? '')), 10),
  )
  const { socket, text, closed } = client(plane.port)
  socket.end(request('/1') + request('/2') + request('/%00') + request('/3'))
  await closed()
  const answers = [...text().matchAll(/\r\n\r\n(\/\d|Bad request)/g)].map(([, body]) => body)
  assert.deepEqual(answers, ['/1', '/2', 'Bad request', '/3'])
  assert.match(text().slice(text().lastIndexOf('HTTP/1.1')), /\r\nConnection: close\r\n/)
  assert.equal(text().match(/\r\nConnection: close\r\n/g)?.length, 1)
})

test('a request that was cut off by the end of its client is not sent on as if it were whole', async () => {
  const seen: string[] = []
  upstream.serve = (socket) => socket.on('data', (bytes: Buffer) => seen.push(bytes.toString()))
  const { socket, text, closed } = client(plane.port)
  socket.end(`${request('/%00')}POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf`)
  await closed()
  assert.deepEqual(
    [...text().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
    ['400', '400'],
  )
  assert.deepEqual(seen, [])
})

test('a client that leaves in the middle of its body, after its response has begun, is logged once', async () => {
  plane.adopt(oneService(upstream.port, {}, { request_buffering: false }))
  upstream.serve = (socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'))
    socket.on('end', () => socket.end())
  }
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    plane.access.length = 0
    const { socket, send, until: untilText, closed } = client(plane.port)
    send(`POST /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(100_000)}`)
    await untilText(/abc/)
    socket[leave]()
    await closed()
    await until(
      () => plane.access.length > 0,
      () => 'the log',
    )
    await pause(30)
    assert.deepEqual(
      plane.access.map(({ path, status, bytes }) => [path, status, bytes]),
      [['/cut', 200, 3]],
    )
  }
})

test('keepalive_requests bounds what a connection carries', async () => {
  const short = await startDataPlane({ config: oneService(upstream.port), settings: { keepalive_requests: '3' } })
  upstream.serve = echoTargets
  const { send, text, closed } = client(short.port)
  send(request('/1') + request('/2') + request('/3') + request('/4'))
  await closed()
  assert.deepEqual(
    [...text().matchAll(/\r\nConnection: (\S+)/g)].map(([, word]) => word),
    ['keep-alive', 'keep-alive', 'close'],
  )
  assert.doesNotMatch(text(), /\/4/)
  short.close()
})
