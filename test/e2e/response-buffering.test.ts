/** A client that takes its time, and an upstream that is done with it: what one has sent and the other has not taken waits in a file. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { oneService, startDataPlane } from './data-plane.ts'
import { client, onRequests, pause, request, startUpstream, unnamedFiles, until } from './sockets.ts'

/** More than the sockets between the two ends take: what they do is up to the system, 10 MB or so. */
const body = randomBytes(32 * 1024 * 1024)
const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

interface Options {
  readonly route?: object
  /** Header lines of the upstream's answer. */
  readonly lines?: string
  readonly settings?: Readonly<Record<string, string>>
  readonly framing?: 'length' | 'chunked' | 'close'
  readonly http2?: boolean
}

/** A gateway before an upstream that answers with `body`, and tells when all of it has been written. */
async function world(
  t: TestContext,
  { route = {}, lines = '', settings = {}, framing = 'length', http2 }: Options = {},
) {
  const upstream = await startUpstream()
  const prefix = mkdtempSync(join(tmpdir(), 'gibbon-spool-'))
  const state = { written: 0, cut: false }
  upstream.serve = onRequests((_, socket) => {
    const head = {
      length: `Content-Length: ${body.length}`,
      chunked: 'Transfer-Encoding: chunked',
      close: 'Connection: close',
    }
    socket.write(`HTTP/1.1 200 OK\r\n${head[framing]}\r\n${lines}\r\n`)
    if (framing === 'chunked') socket.write(`${body.length.toString(16)}\r\n`)
    socket.write(state.cut ? body.subarray(0, body.length - 1000) : body, () => state.written++)
    if (framing === 'chunked') socket.write('\r\n0\r\n\r\n')
    if (framing === 'close' || state.cut) socket.end()
  })
  const plane = await startDataPlane({
    config: oneService(upstream.port, {}, route),
    settings: { prefix, ...settings },
    http2: http2 ?? false,
  })
  t.after(() => {
    plane.close()
    upstream.close()
    rmSync(prefix, { recursive: true, force: true })
  })
  return { plane, upstream, state, prefix, spools: plane.runtime.spools }
}

/** A client that has its answer's head and then reads nothing until it is let. */
async function slowClient(port: number) {
  const { socket, send } = client(port)
  const pieces: Buffer[] = []
  let hasEnded = false
  socket.removeAllListeners('data')
  socket.on('end', () => (hasEnded = true)).on('close', () => (hasEnded = true))
  send(request('/', 'Connection: close'))
  socket.pause()
  const take = async (): Promise<Buffer> => {
    socket.on('data', (bytes: Buffer) => pieces.push(bytes)).resume()
    await until(
      () => hasEnded,
      () => 'the end of the answer',
    )
    return Buffer.concat(pieces)
  }
  return { socket, take }
}

function bodyOf(answer: Buffer): Buffer {
  const begin = answer.indexOf('\r\n\r\n') + 4
  if (!answer.toString('latin1', 0, begin).includes('Transfer-Encoding: chunked')) return answer.subarray(begin)
  const chunks: Buffer[] = []
  for (let at = begin; ;) {
    const line = answer.indexOf('\r\n', at)
    const length = Number.parseInt(answer.toString('latin1', at, line), 16)
    if (!(length > 0)) return Buffer.concat(chunks)
    chunks.push(answer.subarray(line + 2, line + 2 + length))
    at = line + 4 + length
  }
}

for (const framing of ['length', 'chunked', 'close'] as const) {
  test(`an upstream is done with a slow client at once, and the client gets every byte, by ${framing}`, async (t) => {
    const { plane, state, spools, prefix, upstream } = await world(t, { framing })
    const { take, socket } = await slowClient(plane.port)
    await until(
      () => state.written === 1 && spools.bytes > 1024 * 1024,
      () => 'the upstream to have written everything',
    )
    assert.ok(socket.bytesRead < body.length / 2)
    assert.equal(unnamedFiles(prefix), 1)
    assert.deepEqual(readdirSync(join(prefix, 'proxy_temp')), [])
    upstream.cut()
    await pause(20)
    assert.equal(hash(bodyOf(await take())), hash(body))
    await until(
      () => spools.spools === 0 && unnamedFiles(prefix) === 0,
      () => 'the file to be gone',
    )
    assert.deepEqual([spools.bytes, spools.pending], [0, 0])
  })
}

const held: readonly (readonly [why: string, options: Options])[] = [
  ['the route wants no buffering', { route: { response_buffering: false } }],
  ['the upstream wants none', { lines: 'X-Accel-Buffering: no\r\n' }],
  ['nothing may be written', { settings: { proxy_max_temp_file_size: '0' } }],
]

for (const [why, options] of held) {
  test(`an upstream goes by the client's pace where ${why}`, async (t) => {
    const { plane, state, spools } = await world(t, options)
    const { take } = await slowClient(plane.port)
    await pause(500)
    assert.deepEqual([state.written, spools.spools], [0, 0])
    assert.equal(hash(bodyOf(await take())), hash(body))
    assert.equal(state.written, 1)
  })
}

test('where the disk takes nothing the upstream goes by the client’s pace, and nothing is lost', async (t) => {
  const { plane, state, prefix } = await world(t)
  writeFileSync(join(prefix, 'proxy_temp'), 'no folder')
  const { take } = await slowClient(plane.port)
  await pause(500)
  assert.equal(state.written, 0)
  assert.equal(hash(bodyOf(await take())), hash(body))
})

test('what may wait has a bound, from which on the upstream goes by the client’s pace', async (t) => {
  const { plane, state, spools } = await world(t, { settings: { proxy_max_temp_file_size: '1m' } })
  const { take } = await slowClient(plane.port)
  await until(
    () => spools.bytes >= 1024 * 1024,
    () => 'a full file',
  )
  await pause(200)
  assert.equal(state.written, 0)
  assert.ok(spools.bytes < 1024 * 1024 + 128 * 1024, String(spools.bytes))
  assert.equal(hash(bodyOf(await take())), hash(body))
  assert.equal(spools.spools, 0)
})

test('the upstream turns buffering on for an answer of a route that has none', async (t) => {
  const { plane, state } = await world(t, { route: { response_buffering: false }, lines: 'X-Accel-Buffering: yes\r\n' })
  const { take } = await slowClient(plane.port)
  await until(
    () => state.written === 1,
    () => 'the upstream to have written everything',
  )
  assert.equal(hash(bodyOf(await take())), hash(body))
})

test('a client that leaves takes what waited for it along', async (t) => {
  const { plane, spools, prefix } = await world(t)
  const { socket } = await slowClient(plane.port)
  await until(
    () => spools.bytes > 1024 * 1024,
    () => 'something to wait',
  )
  socket.destroy()
  await until(
    () => spools.spools === 0 && unnamedFiles(prefix) === 0,
    () => 'the file to be gone',
  )
  assert.deepEqual([spools.bytes, spools.pending], [0, 0])
})

test('a client gets what came of an answer that broke off, and sees that it did', async (t) => {
  const { plane, state, spools } = await world(t)
  state.cut = true
  const { take } = await slowClient(plane.port)
  await until(
    () => state.written === 1 && spools.bytes > 1024 * 1024,
    () => 'the upstream to have written everything',
  )
  const got = bodyOf(await take())
  assert.equal(hash(got), hash(body.subarray(0, body.length - 1000)))
  assert.equal(spools.spools, 0)
})

test('over HTTP/2 too, where the client’s window says how slow it is', async (t) => {
  const { plane, state, spools } = await world(t, { http2: true })
  const session = http2.connect(`http://127.0.0.1:${plane.port}`)
  t.after(() => session.destroy())
  const stream = session.request({ ':path': '/' })
  stream.pause()
  await until(
    () => state.written === 1 && spools.bytes > 1024 * 1024,
    () => 'the upstream to have written everything',
  )
  const pieces: Buffer[] = []
  stream.on('data', (bytes: Buffer) => pieces.push(bytes)).resume()
  await until(
    () => stream.readableEnded,
    () => 'the end of the answer',
  )
  assert.equal(hash(Buffer.concat(pieces)), hash(body))
  assert.equal(spools.spools, 0)
})

test('clients of every pace get what was sent, however they pause', async (t) => {
  const { plane, spools } = await world(t)
  const answers = await Promise.all(
    Array.from({ length: 6 }, async (_, at) => {
      const { socket, take } = await slowClient(plane.port)
      const early: Buffer[] = []
      for (let turn = 0; turn < at * 4; turn++) {
        const bytes = socket.read(100_000 + 7919 * at) as Buffer | null
        if (bytes) early.push(bytes)
        await pause((turn * 37) % 90)
      }
      return Buffer.concat([...early, await take()])
    }),
  )
  for (const answer of answers) assert.equal(hash(bodyOf(answer)), hash(body))
  assert.deepEqual([spools.spools, spools.bytes, spools.pending], [0, 0, 0])
})
