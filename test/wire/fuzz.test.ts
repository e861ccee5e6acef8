/**
 * The parser against a second reading of the RFC, and the whole gateway against Node's own server, with requests made by chance.
 * How long, and by what chance: see `seeds.ts`.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { oneService, startDataPlane } from '../e2e/data-plane.ts'
import { chance, mutated } from './mutate.ts'
import { readAll } from './oracle.ts'
import { parseAll } from './parse.ts'
import { shown } from './requests.ts'
import { secondsEach, withEachSeed } from './seeds.ts'

withEachSeed('the parser and a second reading of the RFC agree on requests made by chance', (context, seed) => {
  const next = chance(seed)
  let runs = 0
  let read = 0
  for (const until = Date.now() + secondsEach * 1000; Date.now() < until; runs++) {
    const text = mutated(next)
    const [mine, other] = [parseAll(Buffer.from(text, 'latin1')), readAll(text)]
    const message = `seed ${seed}, run ${runs}: ${shown(text)}`
    assert.deepEqual(mine.requests, other.requests, message)
    // What cannot become good any more may be refused before it is complete.
    if (!(other.end === 'incomplete' && mine.end === 'refused')) assert.equal(mine.end, other.end, message)
    read += mine.requests.length
  }
  context.diagnostic(`${runs} texts with ${read} requests`)
  assert.ok(read > 0)
})

const sentinel = 'GET /sentinel HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

withEachSeed(
  'whatever is sent, the gateway neither fails nor sends on what a strict server refuses',
  async (context, seed) => {
    const refusedThere: string[] = []
    let got: string[] = []
    const upstream = http.createServer((request, response) => {
      got.push(request.url ?? '')
      request.resume().on('end', () => response.end('ok'))
    })
    // Methods that Node does not know are no fault of the gateway's, nor is a request that is cut because its client has left.
    const harmless = new Set(['HPE_INVALID_METHOD', 'HPE_INVALID_EOF_STATE', 'ECONNRESET'])
    upstream.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      if (!harmless.has(String(error.code)) && !isBeyondAscii(error)) refusedThere.push(String(error.code))
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    })
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    const config = oneService((upstream.address() as net.AddressInfo).port)
    const plane = await startDataPlane({ config, settings: { client_header_timeout: '1s', client_body_timeout: '1s' } })
    const next = chance(seed)
    let runs = 0
    for (const until = Date.now() + secondsEach * 1000; Date.now() < until;) {
      const texts = Array.from({ length: 16 }, () => mutated(next))
      got = []
      const answers = await Promise.all(texts.map((text) => answerTo(plane.port, text + sentinel)))
      for (const [at, answer] of answers.entries()) {
        const message = `seed ${seed}, run ${runs + at}: ${shown(texts[at] ?? '')}: ${answer.slice(0, 300)}`
        const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
        assert.ok(
          statuses.every((status) => status < 500 || status === 501 || status === 505),
          message,
        )
        // A refusal is the last word on a connection, unless the request itself was well read.
        const refusal = statuses.findIndex((status) => status === 501 || status === 505)
        assert.ok(refusal < 0 || refusal === statuses.length - 1, message)
      }
      assert.deepEqual(refusedThere, [], `seed ${seed}, runs ${runs} to ${runs + 16}: ${texts.map(shown).join('\n')}`)
      runs += texts.length
    }
    context.diagnostic(`${runs} connections`)
    assert.deepEqual(
      plane.log.filter((line) => /^(error|crit)/.test(line)),
      [],
    )
    plane.close()
    upstream.close()
    upstream.closeAllConnections()
  },
)

/** Sends a text and no more, and gives all that comes back. */
function answerTo(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(text, 'latin1'))
    socket.on('data', (bytes: Buffer) => (answer += bytes.toString('latin1'))).on('error', () => {})
    socket.on('end', () => socket.destroy()).on('close', () => resolve(answer))
  })
}

/** Whether Node refused a query for its bytes beyond ASCII, which go on as they are, as in Kong: read alike, if not liked by all. */
function isBeyondAscii({ code, rawPacket }: NodeJS.ErrnoException & { rawPacket?: Buffer }): boolean {
  const [line = ''] = rawPacket?.toString('latin1').split('\r\n', 1) ?? []
  return code === 'HPE_INVALID_URL' && /^[^?]*\?.*[\u0080-\u00ff]/.test(line)
}
