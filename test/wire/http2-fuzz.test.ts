/**
 * The gateway and what HTTP/2 clients say by chance: it goes on, it answers in valid frames, what it sends on is taken by a strict
 * server of HTTP/1.1 and is no more than there were streams, and nothing of it stays.
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
    const plane = await startDataPlane({
      config: oneService(upstream.port, {}, { preserve_host: true }),
      http2: true,
      settings: { client_header_timeout: '1s', client_body_timeout: '1s', keepalive_timeout: '1s' },
    })
    const good = http2.connect(`http://127.0.0.1:${plane.port}`)
    const next = chance(seed)
    const recorded = await record()
    // They say no more and do not leave: the gateway's limits end them.
    const patient = Promise.all(
      Array.from({ length: together }, async () => {
        const text = conversation(next, recorded)
        const heard = await say(plane.port, text, '127.0.0.9', next, Infinity)
        statusesOf(text, heard, `seed ${seed}: ${shown(text)}`)
      }),
    )
    let runs = 0
    let answered = 0
    let sentOn = 0
    for (const end = Date.now() + secondsEach * 1000; Date.now() < end; runs += together) {
      const texts = Array.from({ length: together }, () => conversation(next, recorded))
      upstream.got.length = 0
      const heard = await Promise.all(texts.map((text, at) => say(plane.port, text, addressOf(at), next)))
      const told = `seed ${seed}, runs ${runs} to ${runs + together}`
      for (const [at, text] of texts.entries()) {
        const message = `seed ${seed}, run ${runs + at}: ${shown(text)}: ${shown(heard[at]?.text ?? '')}`
        const statuses = statusesOf(text, heard[at] as Heard, message)
        answered += statuses.length
        assert.ok(
          statuses.every((status) => status < 500 || status === 501 || status === 505),
          message,
        )
        const got = upstream.got.filter(({ from }) => from === addressOf(at)).map(({ what }) => what)
        assert.ok(got.length <= headStreams(text), `${got.join('\n')} of ${message}`)
        sentOn += got.length
      }
      assert.deepEqual(upstream.refused, [], `${told}: ${texts.map(shown).join('\n')}`)
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
    context.diagnostic(`${runs} connections, ${answered} answers, ${sentOn} requests sent on`)
    assert.ok(answered > 0 && sentOn > 0)
    plane.close()
    upstream.close()
  },
)

/** Each of the connections that are made together is known to the upstream by its address. */
const addressOf = (at: number): string => `127.0.0.${at + 10}`

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
