/**
 * The gateway and what HTTP/2 clients say by chance: it goes on, it answers in valid frames, and what it sends on is what nghttp2
 * (Node's server) reads in the same bytes, once, as a strict server of HTTP/1.1 takes it.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { oneService, startDataPlane } from '../e2e/data-plane.ts'
import { pause, until } from '../e2e/sockets.ts'
import { readAnswers } from './answers-of-http2.ts'
import { conversation, framesOf, preface, record } from './conversations.ts'
import { chance, type Chance } from './mutate.ts'
import { shown } from './requests.ts'
import { secondsEach, withEachSeed } from './seeds.ts'

const together = 16
/** How long a client that has said all waits for more, in ms. */
const quietMs = 60
/** Longer than all limits of a connection together, on a machine that is busy with other tests. */
const endMs = 30_000

/** A request as a server got it. */
interface Got {
  readonly what: string
  readonly from: string
}

/** What a client heard, and whether the other end was first to end the connection. */
interface Heard {
  readonly text: string
  readonly isReset: boolean
}

withEachSeed(
  'whatever frames are sent, the gateway answers in frames and sends on whole requests',
  async (context, seed) => {
    const upstream = await startUpstream()
    const oracle = await startOracle()
    const plane = await startDataPlane({
      config: oneService(upstream.port, {}, { preserve_host: true }),
      http2: true,
      settings: { client_header_timeout: '1s', client_body_timeout: '1s', keepalive_timeout: '1s' },
    })
    let good = http2.connect(`http://127.0.0.1:${plane.port}`)
    const recorded = await record()
    /** Each connection has chance of its own, so that what others do makes no difference to it. */
    const chosen = (run: number) => {
      const next = chance(seed, run)
      return { next, text: conversation(next, recorded) }
    }
    // They say no more and do not leave: the gateway's limits end them.
    const patient = Promise.all(
      Array.from({ length: together }, async (_, run) => {
        const { next, text } = chosen(run)
        const heard = await say(plane.port, text, addressOf(run), next, Infinity)
        statusesOf(text, heard, `seed ${seed}: ${shown(text)}`)
      }),
    )
    let runs = together
    let answered = 0
    let compared = 0
    for (const end = Date.now() + secondsEach * 1000; Date.now() < end; runs += together) {
      upstream.got.length = 0
      const said = await Promise.all(
        Array.from({ length: together }, async (_, at) => {
          const { next, text } = chosen(runs + at)
          return { text, heard: await say(plane.port, text, addressOf(runs + at), next) }
        }),
      )
      const conversations = await Promise.all(
        said.map(async ({ text, heard }, at) => {
          const got = upstream.got.filter(({ from }) => from === addressOf(runs + at)).map(({ what }) => what)
          return { text, heard, got, others: await oracle.missing(text, got) }
        }),
      )
      const told = `seed ${seed}, runs ${runs} to ${runs + together}`
      for (const [at, { text, heard, got, others }] of conversations.entries()) {
        const message = `seed ${seed}, run ${runs + at}: ${shown(text)}: ${shown(heard.text)}`
        const statuses = statusesOf(text, heard, message)
        answered += statuses.length
        assert.ok(
          statuses.every((status) => status < 500 || status === 501 || status === 505),
          message,
        )
        assert.ok(got.length <= headStreams(text), `${got.join('\n')} of ${message}`)
        if (others === undefined) continue
        assert.deepEqual(others, [], message)
        compared += got.length
      }
      assert.deepEqual(upstream.refused, [], `${told}: ${conversations.map(({ text }) => shown(text)).join('\n')}`)
      // On a busy machine it may have been idle for as long as it may be.
      if (good.closed) good = http2.connect(`http://127.0.0.1:${plane.port}`)
      assert.equal(await statusOf(good), 200, told)
    }
    await patient
    good.close()
    await until(
      () => plane.runtime.stats.active === 0,
      () => 'all connections to end',
    )
    assert.deepEqual([plane.runtime.held.bytes, plane.runtime.openStreams], [0, 0])
    assert.deepEqual(
      plane.log.filter((line) => /^(error|crit)/.test(line)),
      [],
    )
    context.diagnostic(`${runs} connections, ${answered} answers, ${compared} requests compared`)
    assert.ok(answered > 0 && compared > 0)
    plane.close()
    upstream.close()
    oracle.close()
  },
)

/** Each connection is known to the upstream by its address. */
const addressOf = (run: number): string => `127.${1 + ((run >> 16) & 127)}.${(run >> 8) & 255}.${run & 255}`

function statusesOf(text: string, { text: answer, isReset }: Heard, message: string): number[] {
  // Who does not begin as HTTP/2 does is answered in HTTP/1.1.
  if (!text.startsWith(preface.slice(0, 12)))
    return [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  // What was on its way when the connection was reset is cut off anywhere.
  const whole = isReset ? framesOf(answer).join('') : answer
  try {
    return readAnswers(whole)
  } catch (error) {
    throw new Error(message, { cause: error })
  }
}

/** How many streams have a header block at all: there can be no more requests. */
function headStreams(text: string): number {
  const heads = framesOf(text.slice(preface.length)).filter((frame) => frame.charCodeAt(3) === 1)
  return new Set(heads.map((frame) => frame.slice(6, 9))).size
}

async function statusOf(session: http2.ClientHttp2Session): Promise<number> {
  const [headers] = (await once(session.request({ ':path': '/good' }).resume(), 'response')) as [{ ':status': number }]
  return headers[':status']
}

/** Says a text in some pieces, waits until nothing more has come for `patienceMs` or it is hung up on, and gives what came. */
async function say(
  port: number,
  text: string,
  localAddress: string,
  next: Chance,
  patienceMs = quietMs,
): Promise<Heard> {
  const cuts = Array.from({ length: next(4) }, () => next(text.length)).sort((a, b) => a - b)
  let answer = ''
  let heardAt = Date.now()
  let isReset = false
  const socket = net.connect({ port, host: '127.0.0.1', localAddress, allowHalfOpen: true, noDelay: true })
  socket.on('error', () => (isReset = true))
  socket.on('data', (bytes: Buffer) => {
    answer += bytes.toString('latin1')
    heardAt = Date.now()
  })
  socket.on('end', () => socket.end())
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  let from = 0
  for (const cut of [...cuts, text.length]) {
    socket.write(text.slice(from, cut), 'latin1')
    from = cut
    await pause(1)
  }
  heardAt = Date.now()
  while (Date.now() - heardAt < patienceMs && !socket.destroyed) await pause(10)
  socket.end()
  const late = setTimeout(() => socket.destroy(new Error('late')), endMs)
  const isLate = await Promise.race([closed.then(() => false), pause(endMs - 1000).then(() => true)])
  clearTimeout(late)
  assert.ok(!isLate, `a connection does not end: ${shown(text)}`)
  return { text: answer, isReset }
}

/** What a request is, as far as both versions of HTTP can say it. */
const summary = (method: string, path: string, headers: Readonly<Record<string, unknown>>, body: string): string =>
  JSON.stringify([
    method,
    path,
    ['x-one', 'x-two', 'x-custom', 'authorization', 'cookie'].map((name) => headers[name]),
    body,
  ])

async function startUpstream() {
  const got: Got[] = []
  const refused: string[] = []
  const server = http.createServer((request, response) => {
    let body = ''
    request.on('error', () => {})
    request.on('data', (bytes: Buffer) => (body += bytes.toString('latin1')))
    request.on('end', () => {
      const what = summary(String(request.method), String(request.url), request.headers, body)
      if (request.url !== '/good') got.push({ what, from: String(request.headers['x-real-ip']) })
      response.end('ok')
    })
  })
  const harmless = new Set(['HPE_INVALID_METHOD', 'HPE_INVALID_EOF_STATE', 'ECONNRESET'])
  server.on('clientError', (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket) => {
    const isBeyondAscii =
      error.code === 'HPE_INVALID_URL' && /[\x80-\xff]/.test(error.rawPacket?.toString('latin1') ?? '')
    if (!harmless.has(String(error.code)) && !isBeyondAscii)
      refused.push(`${error.code} ${shown(error.rawPacket?.toString('latin1') ?? '')}`)
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    got,
    refused,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** Node's server, which is nghttp2, as a second reader of the same bytes. */
async function startOracle() {
  const server = http2.createServer()
  const sessions = new Map<number, { requests: string[]; failed: boolean }>()
  server.on('session', (session) => {
    const one = { requests: [] as string[], failed: false }
    sessions.set(Number(session.socket.remotePort), one)
    session.on('error', () => (one.failed = true))
    session.on('goaway', () => {})
    session.on('stream', (stream, headers) => {
      let body = ''
      stream.on('error', () => {})
      stream.on('data', (bytes: Buffer) => (body += bytes.toString('latin1')))
      stream.on('end', () => {
        one.requests.push(summary(String(headers[':method']), String(headers[':path']), headers, body))
        if (!stream.destroyed) stream.respond({}, { endStream: true })
      })
    })
  })
  server.on('sessionError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  return {
    /**
     * Which of these requests it does not read in a text; undefined where it gives up the connection, or a stream: it refuses
     * trailers, for one, that the gateway leaves out, as it may (RFC 9110 6.5.1).
     */
    async missing(text: string, got: readonly string[]): Promise<string[] | undefined> {
      if (got.length === 0) return []
      let answer = ''
      const socket = net.connect({ port, host: '127.0.0.1' })
      socket.on('error', () => {}).on('data', (bytes: Buffer) => (answer += bytes.toString('latin1')))
      await once(socket, 'connect')
      const own = Number(socket.localPort)
      socket.write(text, 'latin1')
      const givesUp = () =>
        socket.destroyed ||
        sessions.get(own)?.failed ||
        framesOf(answer).some((frame) => [3, 7].includes(frame.charCodeAt(3)))
      const missing = () => without(got, sessions.get(own)?.requests ?? [])
      for (let left = 500; left > 0 && !givesUp() && missing().length > 0; left--) await pause(10)
      const found = givesUp() ? undefined : missing()
      socket.destroy()
      sessions.delete(own)
      return found
    },
    close: () => void server.close(),
  }
}

/** What is in a list more often than in another one. */
function without(list: readonly string[], others: readonly string[]): string[] {
  const left = [...others]
  return list.filter((one) => {
    const index = left.indexOf(one)
    if (index >= 0) left.splice(index, 1)
    return index < 0
  })
}
