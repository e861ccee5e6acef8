/** A client of HTTP/2 for tests that says exactly the frames it is told to, and shows those that come back. */
import { encodeField } from '../../src/proxy/http2/hpack.ts'
import { blockFrames, frameHead, frameType, preface, settingsFrame } from '../../src/proxy/http2/frames.ts'
import { client, until, type Client } from './sockets.ts'

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: string
}

export interface WireClient extends Client {
  readonly frames: () => readonly Frame[]
  /** Resolves with the first frame that is like this. */
  readonly frame: (isIt: (frame: Frame) => boolean, what: string) => Promise<Frame>
  readonly goAway: (code: number) => Promise<Frame>
}

/** Connects and introduces itself. */
export function wireClient(port: number, settings: readonly (readonly [number, number])[] = []): WireClient {
  const plain = client(port)
  plain.send(preface + settingsFrame(settings))
  const frames = () => framesOf(plain.text())
  const frame = async (isIt: (frame: Frame) => boolean, what: string) => {
    await until(
      () => frames().some(isIt),
      () => `${what} in ${JSON.stringify(frames())}`,
    )
    return frames().find(isIt) as Frame
  }
  const goAway = (code: number) =>
    frame((one) => one.type === frameType.goAway && one.payload.charCodeAt(7) === code, `GOAWAY ${code}`)
  return { ...plain, frames, frame, goAway }
}

export function framesOf(text: string): Frame[] {
  const frames: Frame[] = []
  const byte = (at: number) => text.charCodeAt(at)
  for (let at = 0; at + 9 <= text.length;) {
    const length = (byte(at) << 16) | (byte(at + 1) << 8) | byte(at + 2)
    if (at + 9 + length > text.length) break
    const stream = (byte(at + 5) << 24) | (byte(at + 6) << 16) | (byte(at + 7) << 8) | byte(at + 8)
    frames.push({ type: byte(at + 3), flags: byte(at + 4), stream, payload: text.slice(at + 9, at + 9 + length) })
    at += 9 + length
  }
  return frames
}

/** The frames of a request without a body, or of the head of one with `open`. */
export const requestFrames = (
  stream: number,
  path: string,
  { open = false, fields = [] }: { open?: boolean; fields?: readonly (readonly [string, string])[] } = {},
): string =>
  blockFrames(
    stream,
    [
      [':method', open ? 'POST' : 'GET'] as const,
      [':scheme', 'http'] as const,
      [':path', path] as const,
      [':authority', 'a.test'] as const,
      ...fields,
    ]
      .map(([name, value]) => encodeField(name, value))
      .join(''),
    !open,
  )

export const dataFrame = (stream: number, payload: string, flags = 0): string =>
  frameHead(payload.length, frameType.data, flags, stream) + payload
