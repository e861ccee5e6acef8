/** What clients that are waited for make a worker hold: bounded for all of them together, counted in bytes. */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { encodeField } from '../../src/proxy/http2/hpack.ts'
import { errorCode, flag, frameHead, frameType, setting } from '../../src/proxy/http2/frames.ts'
import { oneService, startDataPlane, type DataPlane } from './data-plane.ts'
import { dataFrame, requestFrames, wireClient } from './http2-wire.ts'
import { client, onRequests, startUpstream, until, type Client, type Upstream } from './sockets.ts'

const limit = 2 ** 20
const large = 'x'.repeat(20_000)
const count = 100

let upstream: Upstream
let plane: DataPlane
const clients: Client[] = []

before(async () => {
  upstream = await startUpstream()
  const settings = { client_buffers_limit: String(limit), nginx_worker_processes: '1' }
  plane = await startDataPlane({ config: oneService(upstream.port), http2: true, settings })
  upstream.serve = onRequests(({ head, body }, socket) => {
    if (head.includes('/silent')) return
    const answer = head.includes('/large') ? 'y'.repeat(200_000) : String(body.length)
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`)
  })
})

afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy()
  upstream.cut()
  // Whatever way it went, nothing stays counted.
  await until(
    () => plane.runtime.stats.active === 0 && plane.runtime.held.bytes === 0,
    () => `${plane.runtime.held.bytes} bytes of ${plane.runtime.stats.active} connections to be given back`,
  )
})

after(() => {
  plane.close()
  upstream.close()
})

function connected<T extends Client>(one: T): T {
  clients.push(one)
  return one
}

const connect = (): Client => connected(client(plane.port))

/** Waits until the worker has all that clients have sent: no client is below what it should hold but those that were given up. */
async function attacked(begin: (at: number) => Client, each: number): Promise<Client[]> {
  const { held } = plane.runtime
  const before = held.givenUp
  const attackers: Client[] = []
  for (let at = 0; at < count; at++) {
    attackers.push(begin(at))
    const all = attackers.length * each
    await until(
      () => held.bytes + (held.givenUp - before) * each * 1.5 + 8192 >= all,
      () => `${all} bytes to have come; ${held.bytes} are held, ${held.givenUp - before} were given up`,
    )
    assert.ok(held.bytes <= limit, `${held.bytes} bytes are held`)
  }
  assert.ok(held.givenUp - before > count / 5, `${held.givenUp - before} were given up`)
  return attackers
}

/** A request with a body of some size that comes in pieces, as a good client's does. */
async function goodRequests(): Promise<void> {
  const get = connect()
  get.send('GET /good HTTP/1.1\r\nHost: a\r\n\r\n')
  await get.until(/^HTTP\/1\.1 200 /)
  const post = connect()
  post.send('POST /good HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n')
  await until(
    () => plane.runtime.held.bytes > 0,
    () => 'the head to have come',
  )
  post.send(large.slice(0, 9000))
  post.send(large.slice(9000))
  await post.until(/^HTTP\/1\.1 200 [^]*\r\n\r\n20000$/)
  const wire = connected(wireClient(plane.port))
  wire.send(requestFrames(1, '/good', { open: true }) + dataFrame(1, large.slice(0, 9000), flag.endStream))
  await wire.frame((one) => one.type === frameType.data && one.payload.includes('9000'), 'an answer')
}

const http1: Readonly<Record<string, string>> = {
  heads: `GET / HTTP/1.1\r\nHost: a\r\n${`X-Full: ${'x'.repeat(5000)}\r\n`.repeat(4)}X-Last: `,
  bodies: `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n${large}`,
  'bodies in chunks': `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n${large}\r\n`,
  'heads whose body does not come': `POST / HTTP/1.1\r\nHost: a\r\n${`X-Full: ${'x'.repeat(5000)}\r\n`.repeat(4)}Content-Length: 5\r\n\r\n`,
}

for (const [what, text] of Object.entries(http1)) {
  test(`incomplete ${what}: the oldest are refused, and good clients are served`, async () => {
    const attackers = await attacked(() => {
      const one = connect()
      one.send(text)
      return one
    }, large.length)
    await attackers[0]?.until(/^HTTP\/1\.1 503 [^]*Connection: close\r\n[^]*Too many incomplete requests/)
    await attackers[0]?.closed()
    await goodRequests()
    assert.equal(attackers.at(-1)?.text(), '')
  })
}

test('requests sent ahead: those who have most of them for longest are cut off', async () => {
  // Not one that would be sent again when the upstream is gone.
  const ahead = `POST /silent HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n${large}`
  const attackers = await attacked(() => {
    const one = connect()
    one.send(ahead)
    return one
  }, large.length)
  await attackers[0]?.closed()
  await goodRequests()
})

test('incomplete bodies over HTTP/2: the oldest are refused, and their connection goes on', async () => {
  const attackers = await attacked(() => {
    const one = connected(wireClient(plane.port))
    one.send(requestFrames(1, '/', { open: true }) + dataFrame(1, large.slice(0, 16_000)))
    return one
  }, 16_000)
  const first = attackers[0] as ReturnType<typeof wireClient>
  await first.frame((one) => one.type === frameType.headers && one.stream === 1, 'an answer')
  await first.frame((one) => one.payload.includes('Too many incomplete requests'), 'a refusal')
  first.send(requestFrames(3, '/good'))
  await first.frame((one) => one.type === frameType.data && one.stream === 3, 'another answer')
  await goodRequests()
})

test('incomplete header blocks: the oldest connections are told to calm down', async () => {
  const field = encodeField('x-full', 'x'.repeat(15_000))
  const attackers = await attacked(() => {
    const one = connected(wireClient(plane.port))
    one.send(frameHead(field.length, frameType.headers, 0, 1) + field)
    return one
  }, 15_000)
  await (attackers[0] as ReturnType<typeof wireClient>).goAway(errorCode.enhanceYourCalm)
  await goodRequests()
})

test('answers that an HTTP/2 client has no window for: the oldest are reset', async () => {
  const attackers = await attacked(() => {
    const one = connected(wireClient(plane.port, [[setting.initialWindowSize, 0]]))
    one.send(requestFrames(1, '/large'))
    return one
  }, 32_768)
  await (attackers[0] as ReturnType<typeof wireClient>).frame(
    (one) => one.type === frameType.reset && one.payload.charCodeAt(3) === errorCode.enhanceYourCalm,
    'a reset',
  )
  await goodRequests()
})

test('what comes byte by byte is held as what it is', async () => {
  const one = connect()
  one.socket.setNoDelay(true)
  one.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n')
  for (let at = 0; at < 3000; at++) {
    one.send('x')
    await new Promise(setImmediate)
  }
  await until(
    () => plane.runtime.held.bytes >= 3000,
    () => `3000 bytes to have come; ${plane.runtime.held.bytes} are held`,
  )
  assert.ok(plane.runtime.held.bytes < 3000 + 4096, `${plane.runtime.held.bytes} bytes are held`)
  one.send('x'.repeat(2000))
  await one.until(/\r\n\r\n5000$/)
})

test('the heads of the streams of one HTTP/2 connection have a bound, too', async () => {
  const fields = [['x-full', 'x'.repeat(15_000)]] as const
  const wire = connected(wireClient(plane.port))
  for (let stream = 1; stream < 61; stream += 2) wire.send(requestFrames(stream, '/silent', { fields }))
  await wire.frame(
    (one) => one.type === frameType.reset && one.payload.charCodeAt(3) === errorCode.refusedStream,
    'REFUSED_STREAM',
  )
  // 256 KiB of heads are seventeen and a bit.
  assert.equal(plane.runtime.openStreams, 18)
})

test('a whole request is not given up for incomplete ones', async () => {
  const whole = connect()
  whole.send(`POST /silent HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n${large}`)
  await until(
    () => upstream.sockets.size > 0 && plane.runtime.held.bytes >= large.length,
    () => 'the request to be under way',
  )
  await attacked(() => {
    const one = connect()
    one.send(http1.bodies as string)
    return one
  }, large.length)
  assert.equal(whole.text(), '')
  assert.equal(whole.socket.destroyed, false)
})
