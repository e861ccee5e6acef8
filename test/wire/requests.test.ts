/** The corpus of requests through the gateway: each refused, or forwarded as one request that every reader reads alike. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, suite, test } from 'node:test'
import { type DataPlane, oneService, startDataPlane } from '../e2e/data-plane.ts'
import { onRequests, pause, startUpstream, type Upstream } from '../e2e/sockets.ts'
import { openReaders, readerNames, withoutReader, type Readers } from './readers.ts'
import { requestCases, shown, type Read, type RequestCase } from './requests.ts'

const sentinel = 'GET /sentinel HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const sentinelRead: Read = { method: 'GET', target: '/sentinel', body: '' }

let upstream: Upstream
let plane: DataPlane
/** Requests as they came on the wire, whole, in their order. */
let seen: string[] = []
const forwarded = new Map<string, RequestCase>()

before(async () => {
  upstream = await startUpstream()
  upstream.serve = onRequests(({ head, body }, socket) => {
    seen.push(head + body)
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  plane = await startDataPlane({ config: oneService(upstream.port) })
})
after(() => {
  plane.close()
  upstream.close()
})

/** Sends bytes in pieces, and gives all that comes back until the gateway ends the connection. */
function send(pieces: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = net.connect(plane.port, '127.0.0.1', () => void write())
    const write = async () => {
      for (const piece of pieces) {
        socket.write(piece, 'latin1')
        if (pieces.length > 1) await pause(0)
      }
    }
    const timer = setTimeout(() => reject(new Error(`the connection stays open: ${text}`)), 3000)
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1'))).on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(text)
    })
  })
}

const readOf = (raw: string): Read => {
  const [, method = '', target = ''] = /^([^ ]+) ([^ ]+) HTTP\/1\.1\r\n/.exec(raw) ?? []
  return { method, target, body: raw.slice(raw.indexOf('\r\n\r\n') + 4) }
}

/** Those of final responses: 100 comes, too, where a body is waited for. */
const statuses = (text: string) => [...text.matchAll(/^HTTP\/1\.1 ([2-9]\d\d) /gm)].map(([, status]) => Number(status))

async function check({ outcome, bytes, last, kept = [], dropped = [] }: RequestCase, pieces: readonly string[]) {
  seen = []
  const text = await send(pieces)
  const refused = typeof outcome === 'number'
  const wanted = refused ? [] : last ? outcome : [...outcome, sentinelRead]
  assert.deepEqual(seen.map(readOf), wanted, shown(bytes))
  if (refused) assert.deepEqual(statuses(text), [outcome])
  else assert.deepEqual(statuses(text).slice(0, outcome.length), Array(outcome.length).fill(200))
  if (!refused && seen[0] !== undefined) checkLines(seen[0].split('\r\n\r\n')[0] ?? '', kept, dropped)
}

function checkLines(head: string, kept: readonly string[], dropped: readonly string[]): void {
  const lines = head.toLowerCase().split('\r\n').slice(1)
  for (const line of kept)
    assert.ok(
      lines.some((one) => one.startsWith(line)),
      `${line} in ${head}`,
    )
  for (const name of dropped) assert.ok(!lines.some((one) => one.startsWith(`${name}:`)), `no ${name} in ${head}`)
  const framing = lines.filter((one) => /^(content-length|transfer-encoding):/.test(one))
  assert.ok(framing.length <= 1, `one framing in ${head}`)
}

suite(`${requestCases.length} requests`, () => {
  test('are many, and have names of their own', () => {
    assert.ok(requestCases.length >= 600)
    assert.equal(new Set(requestCases.map(({ name }) => name)).size, requestCases.length)
  })

  for (const one of requestCases) {
    test(one.name, async () => {
      await check(one, [one.bytes + sentinel])
      for (const raw of seen) forwarded.set(raw.replace(/x-kong-request-id: \S+/i, 'X-Kong-Request-Id: 0'), one)
    })
  }

  test('come to the same however they are cut into pieces', async () => {
    for (const one of requestCases) {
      const all = one.bytes + sentinel
      // Where a reader may stop: in the first line, in the head, at its end, in the body.
      const cuts = [1, 10, 17, all.indexOf('\r\n\r\n') + 2, all.indexOf('\r\n\r\n') + 5].filter(
        (cut) => cut < all.length,
      )
      const places = [0, ...new Set(cuts.toSorted((a, b) => a - b)), all.length]
      await check(
        one,
        places.slice(1).map((end, at) => all.slice(places[at], end)),
      )
    }
  })
})

suite('every request that was forwarded is the same single request', () => {
  let readers: Readers
  before(async () => void (readers = await openReaders()))
  after(() => readers.close())

  for (const name of readerNames) {
    test(`to ${name}`, { skip: withoutReader(name) }, async () => {
      assert.ok(forwarded.size > 150, `${forwarded.size} requests`)
      const reader = await readers.start(name)
      for (const [raw, { name: what, refusedBy = [] }] of forwarded) {
        const found = await reader.read(raw + sentinel)
        // One that refuses it reads nothing behind it either.
        const wanted = refusedBy.includes(name) && found.length === 0 ? [] : [readOf(raw), sentinelRead]
        assert.deepEqual(found, wanted, `${what}: ${shown(raw)}`)
      }
    })
  }
})
