/** Cuts what is received into frames; those of a header block are put together. Source: RFC 9113 4 and 6. */
import { copyOf, grown, release } from '../growing.ts'
import { errorCode, flag, frameHeadBytes, frameType, maxPayloadBytes } from './frames.ts'

/** Takes the frames. Bytes are only valid during the call. */
export interface FrameEvents {
  /** A whole header block; `dependsOn` is the stream that it names for its parent in the old tree of priorities, if any. */
  onBlock(stream: number, endStream: boolean, dependsOn: number, bytes: Buffer, from: number, to: number): void
  /** A frame of body bytes begins, of which `length` count in flow control, padding included. */
  onData(stream: number, length: number, padding: number, endStream: boolean): void
  onDataPiece(bytes: Buffer, from: number, to: number): void
  onDataEnd(): void
  /** Any other frame, whole. */
  onFrame(type: number, flags: number, stream: number, bytes: Buffer, from: number, to: number): void
  /** The other end does not speak HTTP/2 properly; nothing more is read. */
  onBadFrame(code: number, why: string): void
}

/** A block that is cut into more pieces than these, and one more for so many bytes, is meant to cost memory. */
const freePieces = 8
const pieceBytes = 256

export class FrameReader {
  readonly #events: FrameEvents
  readonly #maxBlockBytes: number
  /** The beginning of a frame that is not there yet as a whole. */
  #kept: Buffer | undefined
  #keptLength = 0
  #stopped = false
  // a header block under way
  #blockStream = 0
  #blockEnds = false
  #dependsOn = 0
  #block: Buffer[] = []
  #blockBytes = 0
  // a DATA frame under way
  #inData = false
  #dataLeft = 0
  #paddingLeft = 0

  constructor(events: FrameEvents, maxBlockBytes: number) {
    this.#events = events
    this.#maxBlockBytes = maxBlockBytes
  }

  /** Whether a header block has begun, and its end is awaited. */
  get inBlock(): boolean {
    return this.#blockStream !== 0
  }

  /** Bytes of frames and header blocks that are not complete. */
  get heldBytes(): number {
    return (this.#kept?.length ?? 0) + (this.#block.length > 0 ? this.#blockBytes : 0)
  }

  /** Reads nothing more, and gives the memory back at once; not from within a read. */
  release(): void {
    if (this.#kept) release(this.#kept)
    for (const piece of this.#block) release(piece)
    this.stop()
  }

  stop(): void {
    this.#stopped = true
    this.#kept = undefined
    this.#block = []
  }

  read(bytes: Buffer, at: number, end: number): void {
    const isOwn = this.#kept !== undefined
    if (this.#kept) {
      bytes = grown(this.#kept, this.#keptLength, bytes, at, end)
      end = this.#keptLength + end - at
      this.#kept = undefined
      at = 0
    }
    while (!this.#stopped) {
      const next = this.#inData ? this.#readData(bytes, at, end) : this.#readFrame(bytes, at, end)
      if (next === at) break
      at = next
    }
    if (at === end || this.#stopped) return
    this.#kept = isOwn && at === 0 ? bytes : copyOf(bytes, at, end)
    this.#keptLength = end - at
  }

  /** Reads one frame, of DATA only the beginning; gives where it ends, `at` itself where it is not there yet. */
  #readFrame(bytes: Buffer, at: number, end: number): number {
    if (end - at < frameHeadBytes) return at
    const length = bytes.readUIntBE(at, 3)
    const type = bytes[at + 3] as number
    const flags = bytes[at + 4] as number
    const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff
    if (length > maxPayloadBytes) return this.#bad(errorCode.frameSize, 'the frame is too long', at)
    if (this.inBlock && (type !== frameType.continuation || stream !== this.#blockStream))
      return this.#bad(errorCode.protocol, 'a header block is interrupted', at)
    const from = at + frameHeadBytes
    if (type === frameType.data) return this.#beginData(bytes, at, from, end, length, flags, stream)
    if (end - from < length) return at
    const to = from + length
    if (type === frameType.headers) this.#beginBlock(bytes, from, to, flags, stream)
    else if (type === frameType.continuation) this.#continueBlock(bytes, from, to, flags, stream)
    else this.#events.onFrame(type, flags, stream, bytes, from, to)
    return to
  }

  #bad(code: number, why: string, at: number): number {
    this.stop()
    this.#events.onBadFrame(code, why)
    return at
  }

  // ---- header blocks

  #beginBlock(bytes: Buffer, from: number, to: number, flags: number, stream: number): void {
    if (stream === 0) return void this.#bad(errorCode.protocol, 'HEADERS without a stream', 0)
    let padding = 0
    if (flags & flag.padded) padding = from < to ? (bytes[from++] as number) : to
    this.#dependsOn = 0
    if (flags & flag.priority) {
      this.#dependsOn = to - from < 5 ? 0 : bytes.readUInt32BE(from) & 0x7fff_ffff
      from += 5
    }
    if (from + padding > to) return void this.#bad(errorCode.protocol, 'more padding than payload', 0)
    this.#blockStream = stream
    this.#blockEnds = (flags & flag.endStream) !== 0
    this.#addToBlock(bytes, from, to - padding, flags)
  }

  #continueBlock(bytes: Buffer, from: number, to: number, flags: number, stream: number): void {
    if (!this.inBlock || stream === 0) return void this.#bad(errorCode.protocol, 'CONTINUATION of nothing', 0)
    // An empty frame that is not the last says nothing: there could be any number of them (CVE-2024-27316).
    if (from === to && !(flags & flag.endHeaders))
      return void this.#bad(errorCode.enhanceYourCalm, 'empty CONTINUATION', 0)
    this.#addToBlock(bytes, from, to, flags)
  }

  #addToBlock(bytes: Buffer, from: number, to: number, flags: number): void {
    const complete = (flags & flag.endHeaders) !== 0
    this.#blockBytes += to - from
    if (this.#blockBytes > this.#maxBlockBytes)
      return void this.#bad(errorCode.enhanceYourCalm, 'the header block is too long', 0)
    if (complete && this.#block.length === 0) {
      this.#endBlock(bytes, from, to)
      return
    }
    this.#block.push(copyOf(bytes, from, to))
    if (this.#block.length > freePieces + this.#blockBytes / pieceBytes)
      return void this.#bad(errorCode.enhanceYourCalm, 'the header block comes in too many pieces', 0)
    if (!complete) return
    const whole = Buffer.concat(this.#block)
    this.#block = []
    this.#endBlock(whole, 0, whole.length)
  }

  #endBlock(bytes: Buffer, from: number, to: number): void {
    const stream = this.#blockStream
    this.#blockStream = 0
    this.#blockBytes = 0
    this.#events.onBlock(stream, this.#blockEnds, this.#dependsOn, bytes, from, to)
  }

  // ---- bodies

  #beginData(
    bytes: Buffer,
    at: number,
    from: number,
    end: number,
    length: number,
    flags: number,
    stream: number,
  ): number {
    if (stream === 0) return this.#bad(errorCode.protocol, 'DATA without a stream', at)
    const isPadded = (flags & flag.padded) !== 0
    if (isPadded && length > 0 && from >= end) return at
    const padding = isPadded ? (length > 0 ? (bytes[from] as number) : 0) : 0
    const before = isPadded ? 1 : 0
    if (before + padding > length) return this.#bad(errorCode.protocol, 'more padding than payload', at)
    this.#inData = true
    this.#dataLeft = length - before - padding
    this.#paddingLeft = padding
    this.#events.onData(stream, length, before + padding, (flags & flag.endStream) !== 0)
    return this.#dataLeft === 0 ? this.#readData(bytes, from + before, end) : from + before
  }

  #readData(bytes: Buffer, at: number, end: number): number {
    if (this.#dataLeft > 0) {
      const to = Math.min(end, at + this.#dataLeft)
      this.#dataLeft -= to - at
      if (to > at) this.#events.onDataPiece(bytes, at, to)
      at = to
    }
    if (this.#dataLeft === 0) {
      const to = Math.min(end, at + this.#paddingLeft)
      this.#paddingLeft -= to - at
      at = to
      if (this.#paddingLeft === 0 && !this.#stopped) {
        this.#inData = false
        this.#events.onDataEnd()
      }
    }
    return at
  }
}
