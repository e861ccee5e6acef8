/**
 * HTTP/2's frames, as numbers and as the text that goes on the wire (one character a byte).
 * Source: RFC 9113 4, 6 and 7.
 */

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const flag = { ack: 0x1, endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const

/** Why a stream or a connection is given up. */
export const errorCode = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const

export const setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const

/** What a client says first. */
export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
export const frameHeadBytes = 9
/** The longest payload that everybody takes, and that is taken here. */
export const maxPayloadBytes = 16_384
/** Bytes of DATA that may be sent in a stream, and in all, before the other end says more. */
export const initialWindow = 65_535
export const maxWindow = 2 ** 31 - 1

const { fromCharCode } = String

export const uint32 = (value: number): string =>
  fromCharCode((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)

/** The nine bytes before a payload. */
export const frameHead = (length: number, type: number, flags: number, stream: number): string =>
  fromCharCode((length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff, type, flags) + uint32(stream)

const frame = (type: number, flags: number, stream: number, payload: string): string =>
  frameHead(payload.length, type, flags, stream) + payload

export const settingsFrame = (settings: readonly (readonly [id: number, value: number])[]): string =>
  frame(
    frameType.settings,
    0,
    0,
    settings.map(([id, value]) => fromCharCode(id >>> 8, id & 0xff) + uint32(value)).join(''),
  )

export const settingsAck = frame(frameType.settings, flag.ack, 0, '')
export const pingFrame = (flags: number, payload: string): string => frame(frameType.ping, flags, 0, payload)
export const resetFrame = (stream: number, code: number): string => frame(frameType.reset, 0, stream, uint32(code))
export const windowFrame = (stream: number, bytes: number): string =>
  frame(frameType.windowUpdate, 0, stream, uint32(bytes))
export const goAwayFrame = (lastStream: number, code: number, why: string): string =>
  frame(frameType.goAway, 0, 0, uint32(lastStream) + uint32(code) + why)

/** A header block in as many frames as it takes. */
export function blockFrames(stream: number, block: string, endStream: boolean): string {
  const end = endStream ? flag.endStream : 0
  if (block.length <= maxPayloadBytes) return frame(frameType.headers, end | flag.endHeaders, stream, block)
  let text = frame(frameType.headers, end, stream, block.slice(0, maxPayloadBytes))
  for (let at = maxPayloadBytes; at < block.length; at += maxPayloadBytes) {
    const last = at + maxPayloadBytes >= block.length
    text += frame(frameType.continuation, last ? flag.endHeaders : 0, stream, block.slice(at, at + maxPayloadBytes))
  }
  return text
}
