/**
 * Conversations of HTTP/2 clients, by chance: valid ones, some as nghttp2 writes them (Huffman code, dynamic table), some of our own
 * with fields that attackers send; then frames and bytes of them are changed. One character a byte.
 */
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import { type Chance, some } from './mutate.ts'

export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

const { fromCharCode } = String
const number = (value: number, bytes: number): string =>
  bytes === 0 ? '' : number(Math.floor(value / 256), bytes - 1) + fromCharCode(value & 255)

/** A frame (RFC 9113 4.1). */
const frame = (type: number, flags: number, stream: number, payload: string): string =>
  number(payload.length, 3) + fromCharCode(type, flags) + number(stream, 4) + payload

/** A length of less than 127 + 128 (RFC 7541 5.1) and the text, not in Huffman code. */
const string = (text: string): string =>
  (text.length < 127 ? fromCharCode(text.length) : fromCharCode(127, text.length - 127)) + text

/** A field with its name spelt out: without indexing, into the dynamic table, or never to be indexed (RFC 7541 6.2). */
const field = (next: Chance, [name, value]: Field): string =>
  some(['\x00', '\x40', '\x10'], next) + string(name) + string(value)

type Field = readonly [name: string, value: string]

/** What attackers put among the fields. */
const odd: readonly Field[] = [
  ['transfer-encoding', 'chunked'],
  ['transfer_encoding', 'chunked'],
  ['content-length', '0'],
  ['content-length', '3'],
  ['content-length', '5'],
  ['content-length', '+5'],
  ['content-length', '5, 5'],
  ['host', 'b'],
  ['host', 'a'],
  ['connection', 'close, x-one'],
  ['upgrade', 'websocket'],
  ['te', 'trailers'],
  ['te', 'gzip'],
  ['expect', '100-continue'],
  ['trailer', 'x-one'],
  ['cookie', 'a=b'],
  ['X-Upper', 'a'],
  ['x-one', 'a\r\nTransfer-Encoding: chunked'],
  ['x-one', 'a\nb'],
  ['x-one', 'a\rb'],
  ['x-one', 'a\0b'],
  ['x-one', ' a'],
  ['x-one', '\x7f\x80\xff'],
  ['x-one\r\ncontent-length', '5'],
  ['x one', 'a'],
  ['x:one', 'a'],
  ['x-one ', 'a'],
  ['', 'a'],
  ['x-real-ip', '192.0.2.1'],
  [':path', '/again'],
  [':path', '/a b'],
  [':path', '/x HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled'],
  [':path', '/\xc3\xa9?\xff'],
  [':path', '*'],
  [':path', ''],
  [':method', 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET'],
  [':method', 'CONNECT'],
  [':authority', 'a\r\nx: y'],
  [':authority', 'u@a'],
  [':status', '200'],
  [':protocol', 'websocket'],
  [':scheme', 'https'],
]

/** The head of a request as a block, and the frames that it comes in. */
function head(next: Chance, stream: number, endStream: boolean): string[] {
  const fields: Field[] = [
    [':method', endStream ? some(['GET', 'HEAD', 'DELETE'], next) : 'POST'],
    [':scheme', 'http'],
    [':path', `/${stream}`],
    [':authority', 'a'],
    ['x-two', 'b'.repeat(next(200))],
  ]
  for (let left = next(3); left > 0; left--) {
    const one = some(odd, next)
    const same = fields.findIndex(([name]) => name === one[0])
    fields.splice(same < 0 || next(4) === 0 ? next(fields.length + 1) : same, same < 0 ? 0 : 1, one)
  }
  const sizes = next(4) === 0 ? some(['\x20', '\x3f\xe1\x1f', '\x20\x3f\xe1\x1f', '\x3f\xe2\x1f'], next) : ''
  const block = sizes + fields.map((one) => field(next, one)).join('')
  const flags = endStream ? 1 : 0
  if (next(3) > 0) {
    const [before, after, more] = some(
      [
        ['', '', 0],
        ['\x03', '\0\0\0', 8],
        ['\0\0\0\0\x10', '', 32],
      ] as const,
      next,
    )
    return [frame(1, flags | 4 | more, stream, before + block + after)]
  }
  const cut = next(block.length)
  const second = cut + next(block.length - cut)
  return [
    frame(1, flags, stream, block.slice(0, cut)),
    frame(9, 0, stream, block.slice(cut, second)),
    frame(9, 4, stream, block.slice(second)),
  ]
}

function request(next: Chance, stream: number): string[] {
  const endStream = next(2) === 0
  if (endStream) return head(next, stream, true)
  const body = 'hello'.slice(0, 3 + next(3))
  const end = some(
    [
      [frame(0, 1, stream, body)],
      [frame(0, 0, stream, body), frame(0, 1, stream, '')],
      [frame(0, 9, stream, `\x02${body}\0\0`)],
      [frame(0, 8, stream, `\x04${body}\0\0\0\0`), frame(0, 1, stream, body)],
      [frame(0, 0, stream, body), frame(1, 5, stream, field(next, some([['x-trailer', 'a'] as const, ...odd], next)))],
      [frame(0, 0, stream, body), frame(3, 0, stream, number(8, 4))],
      [frame(0, 0, stream, body)],
    ],
    next,
  )
  return [...head(next, stream, false), ...end]
}

/** Frames beside requests. */
const others: readonly ((next: Chance) => string)[] = [
  (next) => frame(2, 0, 1 + next(9), number(next(9), 4) + '\x10'),
  (next) => frame(3, 0, 1 + next(9), number(next(14), 4)),
  (next) =>
    frame(
      4,
      0,
      0,
      number(1 + next(6), 2) + number(some([0, 1, 100, 16_384, 65_535, 2 ** 31 - 1, 2 ** 32 - 1], next), 4),
    ),
  () => frame(4, 1, 0, ''),
  (next) => frame(6, next(2), 0, 'opaque!!'),
  (next) => frame(7, 0, 0, number(next(9), 4) + number(next(14), 4) + 'why'),
  (next) => frame(8, 0, next(9), number(some([0, 1, 65_535, 2 ** 31 - 1], next), 4)),
  (next) => frame(5, 4, 1, number(2 + next(4), 4)),
  (next) => frame(10 + next(246), next(256), next(9), 'x'.repeat(next(300))),
]

function own(next: Chance): string[] {
  const frames = [frame(4, 0, 0, next(3) === 0 ? number(4, 2) + number(next(40), 4) : '')]
  for (let stream = 1, left = 1 + next(4); left > 0; left--, stream += 2) {
    frames.push(...request(next, stream))
    if (next(4) === 0) frames.push(some(others, next)(next))
  }
  return frames
}

type Change = (frames: string[], next: Chance) => void

const at = (frames: string[], next: Chance, change: (one: string) => string): void => {
  if (frames.length === 0) return
  const index = next(frames.length)
  frames[index] = change(frames[index] as string)
}
const byteAt = (text: string, index: number, byte: number): string =>
  text.slice(0, index) + fromCharCode(byte) + text.slice(index + 1)

const changes: readonly Change[] = [
  function flip(frames, next) {
    at(frames, next, (one) => {
      const index = next(one.length)
      return byteAt(one, index, one.charCodeAt(index) ^ (1 << next(8)))
    })
  },
  function overwrite(frames, next) {
    at(frames, next, (one) => byteAt(one, next(one.length), next(256)))
  },
  function lengthen(frames, next) {
    at(frames, next, (one) => number(some([0, 1, 4, 8, 255, 16_384, 16_385, 2 ** 24 - 1], next), 3) + one.slice(3))
  },
  function type(frames, next) {
    at(frames, next, (one) => byteAt(one, 3, next(12)))
  },
  function flags(frames, next) {
    at(frames, next, (one) => byteAt(one, 4, some([0, 1, 4, 5, 8, 9, 12, 13, 32, 37, 255], next)))
  },
  function stream(frames, next) {
    at(
      frames,
      next,
      (one) => one.slice(0, 5) + number(some([0, 1, 2, 3, 5, 9, 2 ** 31 - 1, 2 ** 31 + 1], next), 4) + one.slice(9),
    )
  },
  function truncate(frames, next) {
    at(frames, next, (one) => one.slice(0, next(one.length)))
  },
  function shorten(frames, next) {
    at(frames, next, (one) => {
      const payload = one.slice(9, 9 + next(one.length))
      return number(payload.length, 3) + one.slice(3, 9) + payload
    })
  },
  function insert(frames, next) {
    frames.splice(next(frames.length + 1), 0, some(others, next)(next))
  },
  function duplicate(frames, next) {
    frames.splice(next(frames.length + 1), 0, frames[next(frames.length)] ?? '')
  },
  function drop(frames, next) {
    frames.splice(next(frames.length), 1)
  },
  function swap(frames, next) {
    frames.splice(next(frames.length + 1), 0, ...frames.splice(next(frames.length), 1))
  },
  function cutOff(frames, next) {
    frames.length = next(frames.length + 1)
  },
]

/** A conversation that nobody has had. `recorded` are those of `record`. */
export function conversation(next: Chance, recorded: readonly (readonly string[])[]): string {
  const frames = next(3) === 0 ? [...some(recorded, next)] : own(next)
  for (let left = next(4); left > 0; left--) some(changes, next)(frames, next)
  const text = preface + frames.join('')
  return next(40) === 0 ? byteAt(text, next(preface.length), next(256)) : text
}

/** The whole frames of a text; what is behind the last is left out. */
export function framesOf(text: string): string[] {
  const frames: string[] = []
  const byte = (index: number) => text.charCodeAt(index)
  for (let from = 0; from + 9 <= text.length;) {
    const to = from + 9 + byte(from) * 65_536 + byte(from + 1) * 256 + byte(from + 2)
    if (to > text.length) break
    frames.push(text.slice(from, to))
    from = to
  }
  return frames
}

/** What Node's client, which is nghttp2, says for a few requests. */
export async function record(): Promise<string[][]> {
  const heads: http2.OutgoingHttpHeaders[] = [
    { ':path': '/one', 'user-agent': 'some-agent/1.0', accept: '*/*', 'x-custom': 'custom-value' },
    { ':path': '/two?a=b', 'user-agent': 'some-agent/1.0', cookie: ['a=b', 'c=d'], 'x-custom': 'custom-value' },
    { ':path': '/three', ':method': 'POST', 'content-type': 'text/plain', 'x-custom': 'other-value' },
    { ':path': '/four', ':method': 'PUT', 'content-length': '5', authorization: 'Bearer abc' },
  ]
  const all: string[][] = []
  for (const chosen of [heads.slice(0, 2), heads.slice(2), heads, heads.toReversed()]) {
    let said = ''
    const server = net.createServer((socket) => {
      socket.on('data', (bytes: Buffer) => (said += bytes.toString('latin1'))).on('error', () => {})
      socket.write(frame(4, 0, 0, '') + frame(4, 1, 0, ''), 'latin1')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const session = http2.connect(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
    session.on('error', () => {})
    await once(session, 'remoteSettings')
    for (const one of chosen) {
      const stream = session.request(one, { endStream: one[':method'] === undefined })
      stream.on('error', () => {})
      if (one[':method'] !== undefined) stream.end('hello')
    }
    while (framesOf(said.slice(preface.length)).filter((text) => text.charCodeAt(4) & 1).length < chosen.length + 1)
      await new Promise((resolve) => setTimeout(resolve, 5))
    all.push(framesOf(said.slice(preface.length)))
    session.destroy()
    server.close()
  }
  return all
}
