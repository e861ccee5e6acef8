import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FrameReader } from './frame-reader.ts'
import { blockFrames, flag, frameHead, frameType, pingFrame, windowFrame } from './frames.ts'

/** What a reader tells when it is given these pieces. */
function told(pieces: readonly Buffer[], maxBlockBytes = 65_536): string[] {
  const events: string[] = []
  let data = ''
  const text = (bytes: Buffer, from: number, to: number) => bytes.toString('latin1', from, to)
  const reader = new FrameReader(
    {
      onBlock: (stream, end, dependsOn, bytes, from, to) =>
        events.push(`block ${stream} ${end} ${dependsOn} ${text(bytes, from, to)}`),
      onData: (stream, length, padding, end) => {
        data = ''
        events.push(`data ${stream} ${length} ${padding} ${end}`)
      },
      onDataPiece: (bytes, from, to) => (data += text(bytes, from, to)),
      onDataEnd: () => events.push(`body ${data}`),
      onFrame: (type, flags, stream, bytes, from, to) =>
        events.push(`frame ${type} ${flags} ${stream} ${text(bytes, from, to)}`),
      onBadFrame: (code, why) => events.push(`bad ${code} ${why}`),
    },
    maxBlockBytes,
  )
  for (const piece of pieces) reader.read(piece, 0, piece.length)
  return events
}

const data = (payload: string, flags = 0, stream = 1) =>
  frameHead(payload.length, frameType.data, flags, stream) + payload

const frames = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 300 }).map((text) => data(text)),
  fc
    .string({ unit: 'binary-ascii', maxLength: 300 })
    .map((text) => data(`\x03${text}abc`, flag.padded | flag.endStream, 3)),
  fc.string({ unit: 'binary-ascii', maxLength: 300 }).map((text) => blockFrames(5, text, true)),
  fc.integer({ min: 16_000, max: 40_000 }).map((length) => blockFrames(7, 'h'.repeat(length), false)),
  fc.constant(pingFrame(0, '12345678')),
  fc.constant(windowFrame(0, 10)),
)

test('frames are the same however the network cuts them', () => {
  fc.assert(
    fc.property(
      fc.array(frames, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 50 }),
      (list, sizes) => {
        const bytes = Buffer.from(list.join(''), 'latin1')
        const pieces: Buffer[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] as number
          pieces.push(bytes.subarray(at, at + size))
          at += size
        }
        assert.deepEqual(told(pieces), told([bytes]))
        assert.ok(!told([bytes]).some((event) => event.startsWith('bad')))
      },
    ),
    { numRuns: 200 },
  )
})

const headers = (payload: string, flags: number, stream = 1) =>
  frameHead(payload.length, frameType.headers, flags, stream) + payload
const continuation = (payload: string, flags = 0, stream = 1) =>
  frameHead(payload.length, frameType.continuation, flags, stream) + payload

const bad = {
  'a frame longer than agreed': frameHead(16_385, frameType.ping, 0, 0),
  'a frame within a header block': headers('x', 0) + pingFrame(0, '12345678'),
  'a block continued in another stream': headers('x', 0) + continuation('x', flag.endHeaders, 3),
  'the continuation of nothing': continuation('x', flag.endHeaders),
  'a header block of no stream': headers('x', flag.endHeaders, 0),
  'body bytes of no stream': data('x', 0, 0),
  'more padding than payload': data('\x05abc', flag.padded),
  'a header block with more padding than payload': headers('\x05abc', flag.padded | flag.endHeaders),
  'a padded frame without even a length': data('', flag.padded),
  'an empty continuation': headers('x', 0) + continuation(''),
  'a header block in single bytes': headers('x', 0) + continuation('x').repeat(100),
  'a header block without end': headers('x', 0) + continuation('x'.repeat(16_000)).repeat(5),
} as const

for (const [what, text] of Object.entries(bad)) {
  test(`${what} ends the reading`, () => {
    const events = told([Buffer.from(text, 'latin1'), Buffer.from(pingFrame(0, '12345678'), 'latin1')])
    assert.match(events.at(-1) ?? '', /^bad \d+ /)
  })
}
