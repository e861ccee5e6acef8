/** What HTTP/2 lets a client say and HTTP/1.1 would read otherwise: it goes on as the one request that it is, or not at all. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { blockFrames, errorCode, flag, frameType } from '../../src/proxy/http2/frames.ts'
import { encodeField } from '../../src/proxy/http2/hpack.ts'
import { type DataPlane, oneService, startDataPlane } from '../e2e/data-plane.ts'
import { dataFrame, requestFrames, wireClient } from '../e2e/http2-wire.ts'
import { ok, onRequests, startUpstream, type Received, type Upstream } from '../e2e/sockets.ts'

let upstream: Upstream
let plane: DataPlane
let received: Received[] = []

before(async () => {
  upstream = await startUpstream()
  upstream.serve = onRequests((request, socket) => {
    received.push(request)
    socket.write(ok('taken'))
  })
  plane = await startDataPlane({ config: oneService(upstream.port), http2: true })
})
after(() => {
  plane.close()
  upstream.close()
})

type Fields = Readonly<Record<string, string>>

const inside = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
const split = `x\r\n\r\n${inside}`

/** A request with other or more fields; repeated ones are written `name#`. */
const head = (stream: number, fields: Fields, endStream: boolean): string =>
  blockFrames(
    stream,
    Object.entries({ ':method': 'POST', ':scheme': 'http', ':path': '/x', ':authority': 'a', ...fields })
      .map(([name, value]) => encodeField(name.replace(/#$/, ''), value))
      .join(''),
    endStream,
  )

interface Downgrade {
  readonly fields?: Fields
  readonly body: string
  readonly trailers?: Fields
  /** What the client gets: a status, or that its stream is reset. */
  readonly outcome: 'reset' | number
}

const downgrades: Readonly<Record<string, Downgrade>> = {
  'H2.CL: no length, for a body': { fields: { 'content-length': '0' }, body: inside, outcome: 'reset' },
  'H2.CL: a shorter length': { fields: { 'content-length': '4' }, body: inside, outcome: 'reset' },
  'H2.CL: a longer length': { fields: { 'content-length': '400' }, body: inside, outcome: 'reset' },
  'H2.CL: the right length': { fields: { 'content-length': String(inside.length) }, body: inside, outcome: 200 },
  'H2.CL: two lengths': { fields: { 'content-length': '0', 'content-length#': '35' }, body: inside, outcome: 400 },
  'H2.CL: a sign': { fields: { 'content-length': `+${inside.length}` }, body: inside, outcome: 400 },
  'H2.TE: chunked': { fields: { 'transfer-encoding': 'chunked' }, body: `0\r\n\r\n${inside}`, outcome: 'reset' },
  'H2.TE: identity': { fields: { 'transfer-encoding': 'identity' }, body: inside, outcome: 'reset' },
  'H2.TE: with _': { fields: { transfer_encoding: 'chunked' }, body: `0\r\n\r\n${inside}`, outcome: 200 },
  'H2.TE: te': { fields: { te: 'trailers, chunked' }, body: inside, outcome: 'reset' },
  'H2.0: a body that nothing announces': { body: inside, outcome: 200 },
  'H2.0: a body of GET': { fields: { ':method': 'GET' }, body: inside, outcome: 200 },
  'H2.0: a body that looks chunked': { body: `0\r\n\r\n${inside}`, outcome: 200 },
  'a line end in a value': { fields: { x: split }, body: '', outcome: 'reset' },
  'a LF in a value': { fields: { x: 'x\ntransfer-encoding: chunked' }, body: '', outcome: 'reset' },
  'a CR in a value': { fields: { x: 'x\rtransfer-encoding: chunked' }, body: '', outcome: 'reset' },
  'a NUL in a value': { fields: { x: 'x\0' }, body: '', outcome: 'reset' },
  'a line end in a name': { fields: { 'x: y\r\ntransfer-encoding': 'chunked' }, body: inside, outcome: 'reset' },
  'a colon in a name': { fields: { 'transfer-encoding: chunked': 'x' }, body: inside, outcome: 'reset' },
  'a blank in a name': { fields: { 'transfer-encoding ': 'chunked' }, body: inside, outcome: 'reset' },
  'a line end in the path': {
    fields: { ':path': `/x HTTP/1.1\r\nHost: a\r\n\r\n${inside}` },
    body: '',
    outcome: 'reset',
  },
  'a blank in the path': { fields: { ':path': '/smuggled HTTP/1.1' }, body: '', outcome: 'reset' },
  'a line end in the method': {
    fields: { ':method': `GET /x HTTP/1.1\r\nHost: a\r\n\r\n${inside}` },
    body: '',
    outcome: 'reset',
  },
  'a line end in the authority': { fields: { ':authority': split }, body: '', outcome: 'reset' },
  'a line end in the scheme': { fields: { ':scheme': `http://a/smuggled HTTP/1.1\r\n` }, body: '', outcome: 'reset' },
  'a Host of its own': { fields: { host: 'b' }, body: '', outcome: 'reset' },
  'Connection that names the length': { fields: { connection: 'content-length' }, body: inside, outcome: 'reset' },
  'an upgrade': { fields: { upgrade: 'h2c' }, body: inside, outcome: 'reset' },
  'a length in trailers': { body: inside, trailers: { 'content-length': '0' }, outcome: 200 },
  'a coding in trailers': { body: inside, trailers: { 'transfer-encoding': 'chunked' }, outcome: 'reset' },
  'a line end in trailers': { body: inside, trailers: { x: split }, outcome: 'reset' },
  'a path in trailers': { body: inside, trailers: { ':path': '/smuggled' }, outcome: 'reset' },
}

suite('a request over HTTP/2 does not become another one over HTTP/1.1', () => {
  for (const [name, { fields = {}, body, trailers, outcome }] of Object.entries(downgrades)) {
    test(name, async () => {
      received = []
      const wire = wireClient(plane.port)
      const isOpen = trailers !== undefined
      wire.send(head(1, fields, false) + dataFrame(1, body, isOpen ? 0 : flag.endStream))
      if (isOpen) wire.send(trailersOf(trailers))
      const first = await wire.frame(
        ({ type, stream }) => stream === 1 && (type === frameType.reset || type === frameType.headers),
        'an end of the first',
      )
      if (outcome === 'reset')
        assert.deepEqual(
          [first.type, first.payload],
          [frameType.reset, `\0\0\0${String.fromCharCode(errorCode.protocol)}`],
        )
      else assert.equal(first.type, frameType.headers)
      wire.send(requestFrames(3, '/next'))
      await wire.frame(
        ({ type, stream, payload }) => stream === 3 && type === frameType.data && payload === 'taken',
        'the next',
      )
      wire.socket.destroy()
      const isTaken = outcome === 200
      assert.deepEqual(
        received.map(({ head, body }) => [head.split(' ')[1], body]),
        [...(isTaken ? [['/x', body]] : []), ['/next', '']],
      )
      if (isTaken) checkFraming(received[0] as Received, body)
    })
  }
})

const trailersOf = (fields: Fields): string =>
  blockFrames(
    1,
    Object.entries(fields)
      .map(([name, value]) => encodeField(name, value))
      .join(''),
    true,
  )

function checkFraming({ head }: Received, body: string): void {
  const lines = head.toLowerCase().split('\r\n')
  const framing = lines.filter((line) => /^(content.length|transfer.encoding):/.test(line))
  assert.deepEqual(framing, [`content-length: ${body.length}`])
}
