/**
 * A strict reading of what a server of HTTP/2 sends (RFC 9113, RFC 7541), that shares nothing with the gateway. It knows what a
 * server sends that uses neither the dynamic table nor Huffman code: anything else is found fault with.
 */
import assert from 'node:assert/strict'

const maxPayload = 16_384
const knownStatuses = [200, 204, 206, 304, 400, 404, 500]
const ofConnections = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te']
/** Whether a number names a field that a response may have, in the static table (RFC 7541 A). */
const mayBeIndexed = (index: number): boolean => index >= 15 && index <= 61 && index !== 57

/** The statuses of all streams, interim ones too; throws where anything is not as it must be. */
export function readAnswers(text: string): number[] {
  const byte = (index: number) => text.charCodeAt(index)
  const number = (index: number) =>
    byte(index) * 2 ** 24 + byte(index + 1) * 65_536 + byte(index + 2) * 256 + byte(index + 3)
  const streams = new Map<number, 'head' | 'body' | 'ended' | 'reset'>()
  const statuses: number[] = []
  let blocks = 0
  let block: { stream: number; text: string; ends: boolean } | undefined
  let last = 2 ** 31 - 1
  for (let from = 0; from < text.length;) {
    assert.ok(from + 9 <= text.length, 'a frame is cut off in its head')
    const length = byte(from) * 65_536 + byte(from + 1) * 256 + byte(from + 2)
    const [type, flags, stream] = [byte(from + 3), byte(from + 4), number(from + 5)]
    const to = from + 9 + length
    assert.ok(to <= text.length, 'a frame is cut off')
    assert.ok(length <= maxPayload, 'a frame is too long')
    assert.ok(from > 0 || (type === 4 && flags === 0), 'SETTINGS is not first')
    assert.ok(stream < 2 ** 31, 'a reserved bit is set')
    const payload = text.slice(from + 9, to)
    if (block) assert.ok(type === 9 && stream === block.stream, 'a header block is interrupted')
    const state = streams.get(stream)
    if ([0, 1, 3, 9].includes(type)) assert.ok(stream % 2 === 1, `a frame of type ${type} of stream ${stream}`)
    if (type === 0) {
      assert.equal(flags & ~1, 0, 'DATA with flags that are not used')
      assert.equal(state, 'body', `DATA in stream ${stream}`)
      if (flags & 1) streams.set(stream, 'ended')
    } else if (type === 1 || type === 9) {
      assert.equal(flags & ~5, 0, 'HEADERS with flags that are not used')
      assert.ok(state === undefined || state === 'head' || state === 'body', `HEADERS in stream ${stream}, ${state}`)
      if (type === 9) assert.ok(block, 'CONTINUATION of nothing')
      block = {
        stream,
        text: (block?.text ?? '') + payload,
        ends: (block?.ends ?? false) || (type === 1 && (flags & 1) > 0),
      }
      if (flags & 4) {
        const status = readBlock(block.text, blocks++ === 0)
        if (state === 'body') {
          assert.equal(status, undefined, 'a status in trailers')
          assert.ok(block.ends, 'trailers that do not end the stream')
        } else {
          assert.ok(status !== undefined, 'a head without a status')
          assert.ok(status >= 200 || !block.ends, 'an interim head ends the stream')
          statuses.push(status)
        }
        streams.set(stream, block.ends ? 'ended' : state === 'body' || Number(status) >= 200 ? 'body' : 'head')
        block = undefined
      }
    } else if (type === 3) {
      assert.equal(length, 4, 'the length of RST_STREAM')
      // Each frame that comes for a closed stream may be answered by one of its own.
      streams.set(stream, 'reset')
    } else if (type === 4) {
      assert.equal(stream, 0, 'SETTINGS of a stream')
      assert.equal(flags & 1 ? length : length % 6, 0, 'the length of SETTINGS')
    } else if (type === 6) {
      assert.ok(stream === 0 && length === 8, 'PING')
    } else if (type === 7) {
      assert.ok(stream === 0 && length >= 8, 'GOAWAY')
      assert.ok(number(from + 9) <= last, 'GOAWAY takes back what it said')
      last = number(from + 9)
    } else if (type === 8) {
      assert.ok(length === 4 && number(from + 9) > 0 && number(from + 9) < 2 ** 31, 'WINDOW_UPDATE')
      assert.ok(stream === 0 || state !== 'reset', 'WINDOW_UPDATE of a stream that was reset')
    } else assert.fail(`a frame of type ${type}`)
    from = to
  }
  assert.equal(block, undefined, 'a header block without an end')
  return statuses
}

/** The status of a header block, if it has one. `isFirst`: it must say that no dynamic table is used. */
function readBlock(text: string, isFirst: boolean): number | undefined {
  let index = 0
  let status: number | undefined
  let fields = 0
  const byte = () => {
    assert.ok(index < text.length, 'a header block is cut off')
    return text.charCodeAt(index++)
  }
  const number = (first: number, bits: number): number => {
    const most = 2 ** bits - 1
    let value = first & most
    if (value < most) return value
    for (let factor = 1; ; factor *= 128) {
      assert.ok(factor < 2 ** 28, 'a number is too long')
      const more = byte()
      value += (more & 127) * factor
      if (more < 128) return value
    }
  }
  const string = (): string => {
    const first = byte()
    assert.ok(first < 128, 'Huffman code')
    const length = number(first, 7)
    assert.ok(index + length <= text.length, 'a string is cut off')
    index += length
    return text.slice(index - length, index)
  }
  const setStatus = (value: number): void => {
    assert.ok(status === undefined && fields === 0, 'the status is not first')
    assert.ok(Number.isInteger(value) && value >= 100 && value <= 999, `status ${value}`)
    status = value
  }
  if (isFirst) assert.equal(byte(), 0x20, 'the dynamic table is not given up')
  for (; index < text.length; fields++) {
    const first = byte()
    if (first & 0x80) {
      const known = number(first, 7)
      if (known >= 8 && known <= 14) setStatus(knownStatuses[known - 8] as number)
      else assert.ok(mayBeIndexed(known), `the field ${known}`)
      continue
    }
    assert.equal(first & 0xe0, 0, 'a field for the dynamic table, or a change of its size')
    const known = number(first, 4)
    const name = known === 0 ? string() : undefined
    const value = string()
    assert.ok(!/[\0\r\n]|^[ \t]|[ \t]$/.test(value), `the value ${JSON.stringify(value)}`)
    if (name !== undefined) {
      assert.match(name, /^[!#$%&'*+\-.^_`|~0-9a-z]+$/)
      assert.ok(!ofConnections.includes(name), `the field ${name}`)
    } else if (known >= 8 && known <= 14) setStatus(Number(value))
    else assert.ok(mayBeIndexed(known), `the name ${known}`)
  }
  return status
}
