/**
 * The load generator's connections over HTTP/2: several requests under way on each, in frames that are made beforehand, since a whole
 * implementation would cost more than the gateways that it is to measure.
 * Source: RFC 9113 4.1 (frames), 6 (their kinds); RFC 7541 6 (fields).
 */
import type { Socket } from 'node:net'
import { answerTail } from './messages.ts'

/** What is told of answers: their status where it is 200 and the body is whole, else 0. */
export interface Http2Events {
  readonly onAnswer: (status: number) => void
  readonly onTrouble: (what: string) => void
}

const type = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const
const flag = { ack: 1, endStream: 1, endHeaders: 4 } as const
const headBytes = 9
const [maxWindow, firstWindow] = [2 ** 31 - 1, 65_535]
const initialWindowSize = 4
/** Bytes of fields that both ends remember where neither says otherwise. */
const usualTable = 4096

/** Speaks HTTP/2 on a socket: asks the same on so many streams at a time, for ever. Gives what reads the socket's bytes. */
export function speakHttp2(
  socket: Socket,
  { text, streams }: { readonly text: string; readonly streams: number },
  { onAnswer, onTrouble }: Http2Events,
): { begin(): void; read(bytes: Buffer, size: number): true } {
  const { first, later } = framesOf(text)
  /** The streams that are open: whether what came so far is a 200, and whether its last bytes are those of every body. */
  const open = new Map<number, { isGood: boolean; isWhole: boolean }>()
  let rest: Buffer = Buffer.alloc(0)
  let nextId = 1
  let due = 0
  const own: Buffer[] = []

  const ask = (frame: Buffer): Buffer => {
    const copy = Buffer.from(frame)
    copy.writeUInt32BE(nextId, 5)
    open.set(nextId, { isGood: false, isWhole: false })
    nextId += 2
    return copy
  }

  function onFrame(kind: number, flags: number, id: number, payload: Buffer): void {
    const stream = open.get(id)
    if (kind === type.headers && stream) stream.isGood = fieldsAre200(payload)
    if (kind === type.data && stream && payload.length > 0) stream.isWhole = endsWell(payload)
    if ((kind === type.headers || kind === type.data) && stream && flags & flag.endStream) {
      open.delete(id)
      due++
      onAnswer(stream.isGood && stream.isWhole ? 200 : 0)
    }
    if (kind === type.settings && !(flags & flag.ack)) {
      if (tableSize(payload) < usualTable) onTrouble('the gateway remembers too few fields')
      own.push(frame(type.settings, flag.ack, 0, Buffer.alloc(0)))
    }
    if (kind === type.ping && !(flags & flag.ack)) own.push(frame(type.ping, flag.ack, 0, payload))
    if (kind === type.reset) onTrouble(`a stream was reset with ${payload.readUInt32BE()}`)
    if (kind === type.goAway) onTrouble(`told to go away with ${payload.readUInt32BE(4)}`)
  }

  return {
    begin() {
      const greeting = Buffer.concat([
        Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'),
        frame(type.settings, 0, 0, Buffer.from([0, initialWindowSize, ...bytesOf(maxWindow)])),
        frame(type.windowUpdate, 0, 0, Buffer.from(bytesOf(maxWindow - firstWindow))),
      ])
      socket.write(Buffer.concat([greeting, ask(first), ...Array.from({ length: streams - 1 }, () => ask(later))]))
    },
    read(bytes, size) {
      const piece = bytes.subarray(0, size)
      const all = rest.length > 0 ? Buffer.concat([rest, piece]) : piece
      let at = 0
      while (all.length - at >= headBytes) {
        const end = at + headBytes + all.readUIntBE(at, 3)
        if (end > all.length) break
        onFrame(all[at + 3]!, all[at + 4]!, all.readUInt32BE(at + 5), all.subarray(at + headBytes, end))
        at = end
      }
      rest = Buffer.from(all.subarray(at))
      for (; due > 0; due--) own.push(ask(later))
      if (own.length > 0) socket.write(own.length === 1 ? own[0]! : Buffer.concat(own))
      own.length = 0
      return true
    },
  }
}

/** RFC 7541 6.3: sizes of the table may come before the first field; `:status 200` is the eighth that everybody knows. */
function fieldsAre200(block: Buffer): boolean {
  let at = 0
  while (at < block.length && (block[at]! & 0xe0) === 0x20) {
    if ((block[at++]! & 0x1f) === 0x1f) while (block[at++]! & 0x80);
  }
  return block[at] === 0x88
}

const endsWell = (payload: Buffer): boolean =>
  payload.length >= answerTail.length &&
  payload.compare(answerTail, 0, answerTail.length, payload.length - answerTail.length) === 0

function tableSize(settings: Buffer): number {
  for (let at = 0; at + 6 <= settings.length; at += 6)
    if (settings.readUInt16BE(at) === 1) return settings.readUInt32BE(at + 2)
  return usualTable
}

const bytesOf = (value: number): readonly number[] => [
  (value >>> 24) & 0xff,
  (value >>> 16) & 0xff,
  (value >>> 8) & 0xff,
  value & 0xff,
]

function frame(kind: number, flags: number, id: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(headBytes)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = kind
  head[4] = flags
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, payload])
}

/** A request of HTTP/1.1 as frames: the first brings its fields, and has them remembered; later ones name them, as clients do. */
function framesOf(text: string): { readonly first: Buffer; readonly later: Buffer } {
  const [request = '', ...lines] = text.trimEnd().split('\r\n')
  const [, path = ''] = request.split(' ')
  const fields = lines.map((line) => {
    const [name = '', value = ''] = line.split(/: (.*)/)
    return [name.toLowerCase() === 'host' ? ':authority' : name.toLowerCase(), value] as const
  })
  const isPseudo = ([name]: readonly [string, string]) => name.startsWith(':')
  const { true: pseudo = [], false: plain = [] } = Object.groupBy(fields, (field) => `${isPseudo(field)}` as const)
  const remembered = [[':path', path] as const, ...pseudo, ...plain]
  // `:method GET` and `:scheme http` are the second and the sixth that everybody knows.
  const known = [0x82, 0x86]
  const all = flag.endStream | flag.endHeaders
  const brought = remembered.flatMap(([name, value]) => [0x40, ...string(name), ...string(value)])
  const named = remembered.flatMap((_, at) => integer(62 + remembered.length - 1 - at, 7, 0x80))
  return {
    first: frame(type.headers, all, 0, Buffer.from([...known, ...brought])),
    later: frame(type.headers, all, 0, Buffer.from([...known, ...named])),
  }
}

const string = (text: string): readonly number[] => [...integer(text.length, 7, 0), ...Buffer.from(text, 'latin1')]

/** RFC 7541 5.1: a number in the low bits of a byte, or in more of them. */
function integer(value: number, bits: number, high: number): readonly number[] {
  const most = 2 ** bits - 1
  if (value < most) return [high | value]
  const bytes = [high | most]
  let left = value - most
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 0x80)
  return [...bytes, left]
}
