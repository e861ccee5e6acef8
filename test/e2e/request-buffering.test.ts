/** Bodies that come slowly: with request_buffering an upstream hears of a request when all of it is there, however long it is. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { oneService, startDataPlane } from './data-plane.ts'
import { client, ok, onRequests, pause, startUpstream, unnamedFiles, until, type Received } from './sockets.ts'

/** More than is kept in memory for one request. */
const body = randomBytes(5 * 1024 * 1024)
const hash = (bytes: Buffer | string) =>
  createHash('sha256')
    .update(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    .digest('hex')

interface Options {
  readonly route?: object
  readonly settings?: Readonly<Record<string, string>>
  readonly http2?: boolean
}

async function world(t: TestContext, { route = {}, settings = {}, http2 }: Options = {}) {
  const upstream = await startUpstream()
  const prefix = mkdtempSync(join(tmpdir(), 'gibbon-spool-'))
  const got: Received[] = []
  upstream.serve = onRequests((request, socket) => {
    got.push(request)
    socket.write(ok('got it'))
  })
  const plane = await startDataPlane({
    config: oneService(upstream.port, { retries: 2 }, route),
    settings: { prefix, ...settings },
    http2: http2 ?? false,
  })
  t.after(() => {
    plane.close()
    upstream.close()
    rmSync(prefix, { recursive: true, force: true })
  })
  return { plane, upstream, got, prefix, spools: plane.runtime.spools }
}

/** Sends a body in pieces, with pauses between. */
async function trickle(send: (bytes: Buffer) => void, bytes: Buffer, pieces = 10): Promise<void> {
  const size = Math.ceil(bytes.length / pieces)
  for (let at = 0; at < bytes.length; at += size) {
    send(bytes.subarray(at, at + size))
    await pause(15)
  }
}

/** Numbers from 0 up to one that is given, the same for the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed * 2654435761 + 1
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const chunkOf = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])

for (const length of [100, 100_000, 900_000, body.length]) {
  test(`the upstream hears of a body of ${length} bytes when all of it is there`, async (t) => {
    const { plane, upstream, got, spools } = await world(t)
    const bytes = body.subarray(0, length)
    const { send, until: untilText } = client(plane.port)
    send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`)
    await trickle(send, bytes.subarray(0, -1))
    await pause(60)
    assert.equal(upstream.connections, 0)
    send(bytes.subarray(-1))
    await untilText(/got it$/)
    assert.match(got[0]?.head ?? '', new RegExp(`\r\nContent-Length: ${length}\r\n`))
    assert.equal(hash(got[0]?.body ?? ''), hash(bytes))
    assert.deepEqual([spools.spools, spools.bytes, spools.pending, spools.patient.size], [0, 0, 0, 0])
  })
}

test('a chunked body that was waited for has a length, unless trailers come behind it', async (t) => {
  const { plane, upstream, got } = await world(t)
  for (const trailers of ['', 'X-Checksum: abc\r\n']) {
    const { send, until: untilText, socket } = client(plane.port)
    const before = upstream.connections
    send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    await trickle((piece) => send(chunkOf(piece)), body)
    await pause(60)
    assert.equal(got.length, trailers ? 1 : 0)
    assert.ok(upstream.connections <= before)
    send(`0\r\n${trailers}\r\n`)
    await untilText(/got it$/)
    const request = got.at(-1)
    assert.match(
      request?.head ?? '',
      trailers ? /\r\nTransfer-Encoding: chunked\r\n/ : /\r\nContent-Length: 5242880\r\n/,
    )
    assert.deepEqual([hash(request?.body ?? ''), request?.trailers], [hash(body), trailers])
    socket.destroy()
    upstream.cut()
    await pause(10)
  }
})

test('an upstream hears of a chunked body at once where request_buffering is off', async (t) => {
  const { plane, upstream } = await world(t, { route: { request_buffering: false } })
  let got = ''
  upstream.serve = (socket) => void socket.on('data', (bytes: Buffer) => (got += bytes.toString('latin1')))
  const { send } = client(plane.port)
  send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (const piece of ['one', 'two']) {
    send(chunkOf(Buffer.from(piece)))
    await until(
      () => got.endsWith(`3\r\n${piece}\r\n`),
      () => `${piece} at the upstream`,
    )
  }
})

const tooMuch: readonly (readonly [why: string, options: Options, noFolder?: boolean])[] = [
  ['is more than a file may hold', { settings: { proxy_max_temp_file_size: '1m' } }],
  ['is more than all files may hold', { settings: { temp_files_limit: '1m', nginx_worker_processes: '1' } }],
  ['may not wait in a file', { settings: { proxy_max_temp_file_size: '0' } }],
  ['finds no disk', {}, true],
]

for (const [why, options, noFolder] of tooMuch) {
  test(`a body that ${why} goes on as it comes, by length and chunked`, async (t) => {
    const { plane, upstream, got, prefix, spools } = await world(t, options)
    if (noFolder) writeFileSync(join(prefix, 'proxy_temp'), 'no folder')
    for (const framing of [`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked']) {
      const frame = framing.startsWith('T') ? chunkOf : (bytes: Buffer) => bytes
      const { send, until: untilText, socket } = client(plane.port)
      const before = upstream.connections
      send(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`)
      await trickle((piece) => send(frame(piece)), body.subarray(0, -1))
      await until(
        () => upstream.connections > before,
        () => 'the upstream to be asked',
      )
      send(frame(body.subarray(-1)))
      if (framing.startsWith('T')) send('0\r\n\r\n')
      await untilText(/got it$/)
      assert.equal(hash(got.at(-1)?.body ?? ''), hash(body))
      assert.match(got.at(-1)?.head ?? '', new RegExp(`\r\n${framing}\r\n`))
      socket.destroy()
      upstream.cut()
      await pause(10)
    }
    assert.deepEqual([spools.spools, spools.bytes, spools.pending], [0, 0, 0])
  })
}

test('a client that leaves before its body is whole has asked nobody', async (t) => {
  const { plane, upstream, spools, prefix } = await world(t)
  const { send, socket } = client(plane.port)
  send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`)
  await trickle(send, body.subarray(0, -1))
  await until(
    () => spools.spools === 1 && spools.bytes > 0,
    () => 'something in the file',
  )
  socket.destroy()
  await until(
    () => spools.spools === 0,
    () => 'the file to be gone',
  )
  assert.deepEqual([upstream.connections, spools.bytes, spools.pending], [0, 0, 0])
  await until(
    () => unnamedFiles(prefix) === 0,
    () => 'its descriptor to be given back',
  )
})

test('a file that a killed process left is cleared away', async (t) => {
  const { plane, prefix } = await world(t)
  const folder = join(prefix, 'proxy_temp')
  mkdirSync(folder)
  for (const name of ['old', 'fresh']) writeFileSync(join(folder, name), 'left')
  utimesSync(join(folder, 'old'), 1, 1)
  const { send, until: untilText } = client(plane.port)
  send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`)
  send(body)
  await untilText(/got it$/)
  assert.deepEqual(readdirSync(folder), ['fresh'])
})

test('bodies of any length, in any pieces, with any pauses, arrive as they were sent, and so do their answers', async (t) => {
  const { plane, upstream, spools } = await world(t, { settings: { proxy_max_temp_file_size: '3m' } })
  upstream.serve = onRequests(({ body }, socket) => socket.write(ok(body), 'latin1'))
  const one = async (seed: number): Promise<void> => {
    const random = generator(seed)
    const bytes = body.subarray(0, random(body.length))
    const chunked = random(2) === 1
    const { send, socket, text } = client(plane.port)
    const framing = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes.length}`
    send(`POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${framing}\r\n\r\n`)
    for (let at = 0; at < bytes.length;) {
      const to = Math.min(bytes.length, at + 1 + random(random(3) === 0 ? 1000 : 600_000))
      const piece = bytes.subarray(at, to)
      send(chunked ? chunkOf(piece) : piece)
      at = to
      if (random(3) === 0) await pause(random(20))
    }
    if (chunked) send('0\r\n\r\n')
    if (random(2) === 0) {
      socket.pause()
      await pause(random(250))
      socket.resume()
    }
    await until(
      () => socket.readableEnded,
      () => `the end of the answer to ${seed}`,
    )
    assert.equal(hash(text().slice(text().indexOf('\r\n\r\n') + 4)), hash(bytes), `seed ${seed}`)
  }
  for (let turn = 0; turn < 4; turn++) await Promise.all(Array.from({ length: 8 }, (_, at) => one(turn * 8 + at)))
  assert.deepEqual([spools.spools, spools.bytes, spools.pending], [0, 0, 0])
})

test('a client that trickles its body costs little more memory than the body has', async (t) => {
  const { plane, spools } = await world(t)
  const { send, socket } = client(plane.port)
  socket.setNoDelay(true)
  send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n')
  send(Buffer.alloc(70_000))
  await until(
    () => spools.pending >= 70_000,
    () => 'the beginning',
  )
  for (let at = 0; at < 300; at++) {
    send('x')
    if (at % 20 === 0) await pause(1)
  }
  await until(
    () => spools.pending === 70_300,
    () => 'all of it',
  )
  socket.destroy()
})

test('much that waits in memory is written, so that everybody has room', async (t) => {
  const { plane, got, spools } = await world(t)
  const bytes = body.subarray(0, 900_000)
  const clients = Array.from({ length: 30 }, () => client(plane.port))
  for (const { send } of clients) send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes.length}\r\n\r\n`)
  await Promise.all(clients.map(({ send }) => trickle(send, bytes.subarray(0, -1))))
  await until(
    () => spools.bytes > 8 * 1024 * 1024 && spools.pending <= 8.1 * 1024 * 1024,
    () => `what is written: ${spools.bytes}, ${spools.pending} in memory`,
  )
  for (const { send } of clients) send(bytes.subarray(-1))
  await Promise.all(clients.map((one) => one.until(/got it$/)))
  assert.ok(got.length === 30 && got.every(({ body }) => hash(body) === hash(bytes)))
  assert.deepEqual([spools.spools, spools.bytes, spools.pending], [0, 0, 0])
})

test('over HTTP/2 as well', async (t) => {
  const { plane, upstream, got, spools } = await world(t, { http2: true })
  const session = http2.connect(`http://127.0.0.1:${plane.port}`)
  t.after(() => session.destroy())
  const stream = session.request({ ':method': 'POST', ':path': '/' })
  let text = ''
  stream.on('data', (bytes: Buffer) => (text += bytes.toString()))
  await trickle((piece) => void stream.write(piece), body.subarray(0, -1))
  await until(
    () => spools.bytes + spools.pending > body.length - 70_000,
    () => `the body: ${spools.bytes + spools.pending}`,
  )
  assert.equal(upstream.connections, 0)
  stream.end(body.subarray(-1))
  await until(
    () => text === 'got it',
    () => 'the answer',
  )
  assert.equal(hash(got[0]?.body ?? ''), hash(body))
  assert.match(got[0]?.head ?? '', /\r\nContent-Length: 5242880\r\n/)
  assert.deepEqual([spools.spools, spools.bytes, spools.pending], [0, 0, 0])
})
