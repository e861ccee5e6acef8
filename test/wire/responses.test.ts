/** The corpus of responses through the gateway: what is ambiguous is 502 or cut, and nothing of it reaches the next request. */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { Duplex } from 'node:stream'
import { after, before, suite, test } from 'node:test'
import { type DataPlane, oneService, startDataPlane } from '../e2e/data-plane.ts'
import { ok, onRequests, startUpstream, type Upstream } from '../e2e/sockets.ts'
import { responseCases, type ResponseCase } from './responses.ts'

let upstream: Upstream
let plane: DataPlane
/** How the upstream answers the next requests, on whatever connection they come. */
let answer: (head: string, socket: Duplex) => void = () => {}

before(async () => {
  upstream = await startUpstream()
  upstream.serve = onRequests(({ head }, socket) => answer(head, socket))
  plane = await startDataPlane({ config: oneService(upstream.port, { retries: 0 }) })
})
after(() => {
  plane.close()
  upstream.close()
})

interface Got {
  readonly status: number
  readonly body: string
  readonly complete: boolean
}

/** Asks with Node's own client, which reads strictly. */
function ask(agent: http.Agent, method: string, path: string): Promise<Got> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { agent, method, path, port: plane.port, host: '127.0.0.1', timeout: 3000 },
      (response) => {
        let body = ''
        const done = () => resolve({ status: response.statusCode ?? 0, body, complete: response.complete })
        response
          .on('data', (bytes: Buffer) => (body += bytes.toString('latin1')))
          .on('end', done)
          .on('error', done)
      },
    )
    request.on('timeout', () => request.destroy(new Error('no answer in time')))
    request.on('error', reject).end()
  })
}

function expected({ outcome, bytes }: ResponseCase, got: Got): Got {
  if (outcome === 502) return { ...got, status: 502, complete: true }
  const whole = bytes.slice(bytes.indexOf('\r\n\r\n') + 4)
  const body = outcome.body === '*' ? got.body : outcome.body === '=' ? whole : outcome.body
  return { status: outcome.status === 0 ? got.status : (outcome.status ?? 200), body, complete: outcome.cut !== true }
}

suite(`${responseCases.length} responses`, () => {
  test('have names of their own', () => {
    assert.equal(new Set(responseCases.map(({ name }) => name)).size, responseCases.length)
  })

  for (const one of responseCases) {
    test(one.name, async () => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
      try {
        answer = (_, socket) => {
          socket.write(one.bytes, 'latin1')
          if (one.ends) socket.end()
        }
        const got = await ask(agent, one.method, '/first')
        assert.deepEqual(got, expected(one, got))
        if (got.status === 502) assert.doesNotMatch(got.body, /poison|hello/)
        answer = (head, socket) => socket.write(ok(head.split(' ')[1] ?? ''))
        for (const path of ['/second', '/third']) {
          assert.deepEqual(await ask(agent, 'GET', path), { status: 200, body: path, complete: true })
        }
      } finally {
        agent.destroy()
      }
    })
  }
})
