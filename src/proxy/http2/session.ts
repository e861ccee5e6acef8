/**
 * A connection that carries many streams: what both ends of it have in common.
 * Source: RFC 9113 (HTTP/2), the sections named below.
 */
import type net from 'node:net'
import { look } from '../clock.ts'
import type { Timed } from '../deadlines.ts'
import type { SocketEvents } from '../http1/socket.ts'
import { Writer } from '../http1/writer.ts'
import { Allowance } from './allowance.ts'
import { FrameReader, type FrameEvents } from './frame-reader.ts'
import {
  blockFrames,
  errorCode,
  flag,
  frameHead,
  frameType,
  goAwayFrame,
  initialWindow,
  maxWindow,
  pingFrame,
  resetFrame,
  setting,
  settingsAck,
  settingsFrame,
  windowFrame,
} from './frames.ts'
import { HeaderDecoder, withoutTable, type Fields } from './hpack.ts'
import type { Stream } from './stream.ts'

export interface SessionLimits {
  /** Bytes of a head: its names and values. */
  readonly headBytes: number
  /** Bytes of bodies that all streams may hold together. */
  readonly windowBytes: number
  /** How long what was written may take to be taken once the connection is being closed, in ms. */
  readonly sendMs: number
}

/** Bytes that are gathered before they are written without waiting for the end of the event loop's turn. */
const gatherBytes = 64 * 1024
/** Bytes that the other end has not taken, above which nothing more is read from it: they could be answers to pings. */
const maxUnsentBytes = 64 * 1024
/** Streams that are remembered as closed, so that frames which were on their way are no surprise. */
const maxClosed = 256
/** How long a closed connection is read on, so that the other end gets to read why. */
const lingerMs = 2000

const { none, protocol, flowControl, frameSize, streamClosed, compression, enhanceYourCalm } = errorCode

export abstract class Session implements SocketEvents, FrameEvents, Timed {
  deadline = Infinity
  /** Bytes that may be sent in all streams together. */
  sendWindow = initialWindow
  /** Bytes that may be sent in a new stream. */
  peerWindow = initialWindow
  protected socket!: net.Socket
  protected readonly streams = new Map<number, Stream>()
  protected readonly allowance = new Allowance()
  protected state: 'preface' | 'open' | 'closing' | 'closed' = 'preface'
  /** The highest stream that the other end has opened. */
  protected lastId = 0
  readonly #limits: SessionLimits
  #writer!: Writer
  readonly #reader: FrameReader
  readonly #decoder = new HeaderDecoder()
  /** Streams that wait until something can be sent again, the longest waiting first. */
  readonly #waiting = new Set<Stream>()
  /** Closed streams, and whether this end was first to give them up. */
  readonly #closed = new Map<number, boolean>()
  #prefaceLeft: string
  #gathered = 0
  #scheduled = false
  #blocksBegun = false
  #receiveWindow: number
  #returned = 0
  /** The stream of the DATA frame that is being read. */
  #receiving: Stream | undefined
  #endsStream = false
  #readingPaused = false

  constructor(limits: SessionLimits, expectedPreface: string) {
    this.#limits = limits
    this.#reader = new FrameReader(this, limits.headBytes * 2)
    this.#prefaceLeft = expectedPreface
    this.#receiveWindow = limits.windowBytes
  }

  /** Gives the connection its socket, which need not be connected yet. */
  attach(socket: net.Socket): void {
    this.socket = socket
    this.#writer = new Writer(socket)
  }

  /** Says the first words of this end. */
  protected greet(settings: readonly (readonly [id: number, value: number])[]): void {
    const window = this.#limits.windowBytes
    this.write(settingsFrame(settings) + (window > initialWindow ? windowFrame(0, window - initialWindow) : ''))
  }

  // ---- what the two ends do differently

  /** A header block for a stream that is not open. */
  protected abstract onOpen(id: number, fields: Fields, endStream: boolean): void
  /** The other end opens no more streams, or takes none above `lastId`. */
  protected abstract onGoAway(lastId: number, code: number): void
  /** The other end has told what it can. */
  protected abstract onSettings(id: number, value: number): void
  protected abstract onPong(payload: string): void
  /** A stream has ended; `isAnswered` where this end had sent all that it would. */
  protected abstract onGone(isAnswered: boolean): void
  protected abstract onLate(): void
  /** The connection is gone. */
  protected abstract onOver(): void

  get #isOver(): boolean {
    return this.state === 'closing' || this.state === 'closed'
  }

  // ---- reading

  onBytes(bytes: Buffer, length: number): void {
    look()
    if (this.#isOver) return
    const at = this.#readPreface(bytes, length)
    if (at < length) this.#reader.read(bytes, at, length)
    if (this.socket.writableLength > maxUnsentBytes) this.#pauseReading()
    this.onRead(this.#reader.inBlock)
  }

  /** Bytes of frames and header blocks that are not complete. */
  protected get partialBytes(): number {
    return this.#reader.heldBytes
  }

  protected releasePartial(): void {
    this.#reader.release()
  }

  /** Everything that has come is read; `inBlock` where the rest of a header block is awaited. */
  protected abstract onRead(inBlock: boolean): void

  #readPreface(bytes: Buffer, length: number): number {
    if (this.#prefaceLeft === '') return 0
    const count = Math.min(length, this.#prefaceLeft.length)
    if (bytes.toString('latin1', 0, count) !== this.#prefaceLeft.slice(0, count)) {
      this.fail(protocol, 'not the preface of HTTP/2')
      return length
    }
    this.#prefaceLeft = this.#prefaceLeft.slice(count)
    return count
  }

  #pauseReading(): void {
    this.#readingPaused = true
    this.socket.pause()
  }

  onBadFrame(code: number, why: string): void {
    this.fail(code, why)
  }

  onFrame(type: number, flags: number, stream: number, bytes: Buffer, from: number, to: number): void {
    // RFC 9113 3.4: settings come first.
    if (this.state === 'preface' && (type !== frameType.settings || flags & flag.ack))
      return this.fail(protocol, 'SETTINGS has to be first')
    switch (type) {
      case frameType.priority:
        return this.#onPriority(stream, bytes, from, to)
      case frameType.reset:
        return this.#onReset(stream, bytes, from, to)
      case frameType.settings:
        return this.#onSettings(flags, stream, bytes, from, to)
      case frameType.ping:
        return this.#onPing(flags, stream, bytes, from, to)
      case frameType.goAway:
        return this.#onGoAway(stream, bytes, from, to)
      case frameType.windowUpdate:
        return this.#onWindowUpdate(stream, bytes, from, to)
      case frameType.pushPromise:
        return this.fail(protocol, 'PUSH_PROMISE was not asked for')
      default:
        // RFC 9113 5.5: what is not known is ignored.
        this.spend()
    }
  }

  /** Counts a frame that leads to nothing. */
  protected spend(): void {
    if (!this.allowance.spend()) this.fail(enhanceYourCalm, 'too many frames that lead to nothing')
  }

  #onPriority(id: number, bytes: Buffer, from: number, to: number): void {
    if (id === 0) return this.fail(protocol, 'PRIORITY without a stream')
    if (to - from !== 5) return this.#refuseFrame(id, frameSize)
    if ((bytes.readUInt32BE(from) & maxWindow) === id) return this.#refuseFrame(id, protocol)
    this.spend()
  }

  /** Gives up the stream of a frame that is wrong. */
  #refuseFrame(id: number, code: number): void {
    const stream = this.streams.get(id)
    if (stream) this.lose(stream, code)
    // RFC 9113 6.4: a stream that has never been open cannot be reset.
    else if (this.isUnused(id)) this.fail(code, 'a frame of a stream that was never open')
    else {
      this.write(resetFrame(id, code))
      this.spend()
    }
  }

  #onReset(id: number, bytes: Buffer, from: number, to: number): void {
    if (to - from !== 4) return this.fail(frameSize, 'RST_STREAM has four bytes')
    if (id === 0 || this.isUnused(id)) return this.fail(protocol, 'RST_STREAM of a stream that was never open')
    const stream = this.streams.get(id)
    this.spend()
    if (stream) this.drop(stream, bytes.readUInt32BE(from))
  }

  /** Whether a stream has never been open. */
  protected abstract isUnused(id: number): boolean

  #onSettings(flags: number, stream: number, bytes: Buffer, from: number, to: number): void {
    if (stream !== 0) return this.fail(protocol, 'SETTINGS of a stream')
    if (flags & flag.ack) {
      if (to > from) this.fail(frameSize, 'an acknowledgement says nothing')
      return
    }
    if ((to - from) % 6 !== 0) return this.fail(frameSize, 'SETTINGS come in six bytes each')
    for (let at = from; at < to; at += 6) {
      if (!this.#set(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2))) return
    }
    if (this.state === 'preface') this.state = 'open'
    this.write(settingsAck)
    this.spend()
    this.#pump()
  }

  #set(id: number, value: number): boolean {
    if (id === setting.enablePush && value > 1) this.fail(protocol, 'ENABLE_PUSH is 0 or 1')
    else if (id === setting.maxFrameSize && (value < 2 ** 14 || value >= 2 ** 24))
      this.fail(protocol, 'no such MAX_FRAME_SIZE')
    else if (id === setting.initialWindowSize) this.#moveWindows(value)
    if (this.state === 'closing') return false
    this.onSettings(id, value)
    return true
  }

  /** RFC 9113 6.9.2: a new size holds for streams that are open, too. */
  #moveWindows(value: number): void {
    if (value > maxWindow) return this.fail(flowControl, 'no such INITIAL_WINDOW_SIZE')
    const change = value - this.peerWindow
    this.peerWindow = value
    for (const stream of this.streams.values()) {
      stream.sendWindow += change
      if (stream.sendWindow > maxWindow) return this.fail(flowControl, 'a window is too wide')
    }
  }

  #onPing(flags: number, stream: number, bytes: Buffer, from: number, to: number): void {
    if (stream !== 0) return this.fail(protocol, 'PING of a stream')
    if (to - from !== 8) return this.fail(frameSize, 'PING has eight bytes')
    const payload = bytes.toString('latin1', from, to)
    if (flags & flag.ack) return this.onPong(payload)
    this.write(pingFrame(flag.ack, payload))
    this.spend()
  }

  protected ping(payload: string): void {
    this.write(pingFrame(0, payload))
  }

  #onGoAway(stream: number, bytes: Buffer, from: number, to: number): void {
    if (stream !== 0) return this.fail(protocol, 'GOAWAY of a stream')
    if (to - from < 8) return this.fail(frameSize, 'GOAWAY has eight bytes')
    this.spend()
    this.onGoAway(bytes.readUInt32BE(from) & maxWindow, bytes.readUInt32BE(from + 4))
  }

  #onWindowUpdate(id: number, bytes: Buffer, from: number, to: number): void {
    if (to - from !== 4) return this.fail(frameSize, 'WINDOW_UPDATE has four bytes')
    if (id !== 0 && this.isUnused(id)) return this.fail(protocol, 'WINDOW_UPDATE of a stream that was never open')
    const increment = bytes.readUInt32BE(from) & maxWindow
    this.spend()
    if (id === 0) {
      if (increment === 0) return this.fail(protocol, 'WINDOW_UPDATE by nothing')
      this.sendWindow += increment
      if (this.sendWindow > maxWindow) return this.fail(flowControl, 'the window is too wide')
    } else {
      const stream = this.streams.get(id)
      if (stream === undefined) return
      stream.sendWindow += increment
      if (increment === 0) return this.lose(stream, protocol)
      if (stream.sendWindow > maxWindow) return this.lose(stream, flowControl)
    }
    this.#pump()
  }

  onBlock(id: number, endStream: boolean, dependsOn: number, bytes: Buffer, from: number, to: number): void {
    if (this.state === 'preface') return this.fail(protocol, 'SETTINGS has to be first')
    const fields = this.#decoder.decode(bytes, from, to, this.#limits.headBytes)
    if (fields === undefined) return this.fail(compression, 'a header block is not valid')
    if (dependsOn === id && dependsOn !== 0) return this.#refuseFrame(this.noteOpened(id), protocol)
    const stream = this.streams.get(id)
    if (stream === undefined) return this.onOpen(id, fields, endStream)
    if (stream.remoteClosed) return this.lose(stream, streamClosed)
    if (endStream) stream.remoteClosed = true
    stream.onFields(fields, endStream)
    this.settle(stream)
  }

  /** Remembers that a stream has been used. */
  protected noteOpened(id: number): number {
    if (id > this.lastId) this.lastId = id
    return id
  }

  onData(id: number, length: number, padding: number, endStream: boolean): void {
    if (this.state === 'preface') return this.fail(protocol, 'SETTINGS has to be first')
    this.#receiving = undefined
    if (this.isUnused(id)) return this.fail(protocol, 'DATA of a stream that was never open')
    this.#receiveWindow -= length
    if (this.#receiveWindow < 0) return this.fail(flowControl, 'more DATA than the connection has room for')
    if (length > padding) this.allowance.earn(1)
    else if (!endStream) this.spend()
    const stream = this.streams.get(id)
    if (stream === undefined || stream.remoteClosed) {
      this.giveBack(length)
      if (stream) this.lose(stream, streamClosed)
      else if (this.#closed.get(id) === false) this.fail(streamClosed, 'DATA of a closed stream')
      return
    }
    if (!stream.receive(length)) return this.lose(stream, flowControl)
    if (padding > 0) stream.giveBack(padding)
    this.#receiving = stream
    this.#endsStream = endStream
  }

  onDataPiece(bytes: Buffer, from: number, to: number): void {
    this.#receiving?.onPiece(bytes, from, to)
  }

  onDataEnd(): void {
    const stream = this.#receiving
    this.#receiving = undefined
    if (stream === undefined || stream.remoteClosed) return
    if (this.#endsStream) {
      stream.remoteClosed = true
      stream.onBodyEnd()
      this.settle(stream)
    } else if (this.isUnderPressure) {
      for (const one of this.streams.values()) one.onPressure()
    }
  }

  /** Bytes that streams held are gone: the other end may send as many again. */
  giveBack(bytes: number): void {
    this.#returned += bytes
    if (this.#returned < this.#limits.windowBytes / 4) return
    this.openWindow(0, this.#returned)
    this.#receiveWindow += this.#returned
    this.#returned = 0
  }

  /** Whether streams hold so much that the other end may soon send nothing more. */
  get isUnderPressure(): boolean {
    return this.#receiveWindow < this.#limits.windowBytes / 4
  }

  openWindow(stream: number, bytes: number): void {
    this.write(windowFrame(stream, bytes))
  }

  // ---- writing

  /** Whether the socket takes more. */
  get isWritable(): boolean {
    return !this.#writer.needsDrain
  }

  /** Gathers what is to be written until the event loop has been through all sockets: many streams then share one write. */
  protected write(text: string): void {
    if (this.#isOver) return
    this.#writer.text(text)
    this.#gather(text.length)
  }

  #gather(bytes: number): void {
    this.#gathered += bytes
    if (this.#gathered > gatherBytes) this.#flush()
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#flushLater)
  }

  #flushLater = (): void => {
    this.#scheduled = false
    this.#flush()
  }

  #flush(): void {
    this.#gathered = 0
    if (!this.#isOver) this.#writer.flush()
  }

  sendBlock(stream: number, block: string, endStream: boolean): void {
    this.write(blockFrames(stream, this.#blocksBegun ? block : withoutTable + block, endStream))
    this.#blocksBegun = true
  }

  sendData(stream: Stream, text: string, endStream: boolean): void {
    this.#countSent(stream, text.length)
    this.write(frameHead(text.length, frameType.data, endStream ? flag.endStream : 0, stream.id) + text)
  }

  sendDataBytes(stream: Stream, bytes: Buffer, from: number, to: number, endStream: boolean): void {
    if (this.state === 'closed') return
    this.#countSent(stream, to - from)
    this.#writer.text(frameHead(to - from, frameType.data, endStream ? flag.endStream : 0, stream.id))
    this.#writer.bytes(bytes, from, to)
    this.#gather(to - from)
  }

  /** Each may be answered by two frames that open windows. */
  #countSent(stream: Stream, bytes: number): void {
    stream.sendWindow -= bytes
    this.sendWindow -= bytes
    this.allowance.earn(2)
  }

  /** Tells a stream when something can be sent again. */
  wait(stream: Stream): void {
    this.#waiting.add(stream)
  }

  /** Lets the streams that wait send, in turn, a frame each. */
  #pump(): void {
    for (let moved = true; moved && this.#waiting.size > 0;) {
      moved = false
      for (const stream of Array.from(this.#waiting)) {
        if (!this.isWritable) return
        this.#waiting.delete(stream)
        moved = (stream.pump() && stream.waits) || moved
        if (stream.waits) this.#waiting.add(stream)
      }
    }
  }

  // ---- the end of streams

  /** A stream of which both ends have said all is over. */
  settle(stream: Stream): void {
    if (!stream.localClosed || !this.streams.has(stream.id)) return
    if (stream.remoteClosed) this.#forget(stream, false)
    else this.onAnswered(stream)
  }

  /** This end has said all, the other one not. */
  protected abstract onAnswered(stream: Stream): void

  /** Gives a stream up. */
  reset(stream: Stream, code: number): void {
    if (!this.streams.has(stream.id)) return
    this.write(resetFrame(stream.id, code))
    this.#forget(stream, true)
  }

  /** Gives a stream up for what the other end did. */
  protected lose(stream: Stream, code: number): void {
    this.reset(stream, code)
    this.spend()
    stream.onLost(code)
  }

  /** Takes note that the other end has given a stream up. */
  protected drop(stream: Stream, code: number): void {
    this.#forget(stream, false)
    stream.onLost(code)
  }

  /** Refuses a stream before it is one. */
  protected refuse(id: number, code: number): void {
    this.#noteClosed(id, true)
    this.write(resetFrame(id, code))
    this.spend()
  }

  #forget(stream: Stream, byUs: boolean): void {
    const isAnswered = stream.localClosed
    this.streams.delete(stream.id)
    this.#waiting.delete(stream)
    this.#noteClosed(stream.id, byUs)
    stream.giveAllBack()
    stream.onGone()
    this.onGone(isAnswered)
  }

  #noteClosed(id: number, byUs: boolean): void {
    this.#closed.set(id, byUs)
    if (this.#closed.size <= maxClosed) return
    for (const oldest of this.#closed.keys()) {
      this.#closed.delete(oldest)
      return
    }
  }

  /** Whether frames of a closed stream may still be on their way; undefined where it was closed long ago, or never open. */
  protected mayStillCome(id: number): boolean | undefined {
    return this.#closed.get(id)
  }

  // ---- the end of the connection

  protected sendGoAway(lastId: number, code: number, why = ''): void {
    this.write(goAwayFrame(lastId, code, why))
  }

  /** Gives the connection up, and says why. */
  protected fail(code: number, why: string): void {
    if (this.#isOver) return
    this.sendGoAway(this.lastId, code, why)
    this.end()
    this.loseAll(code)
  }

  /** Ends the connection so that everything written still arrives. */
  protected end(): void {
    if (this.#isOver) return
    this.#flush()
    this.state = 'closing'
    this.#reader.stop()
    this.deadline = look() + this.#limits.sendMs
    this.socket.end(() => (this.deadline = look() + lingerMs))
    this.socket.resume()
  }

  protected loseAll(code: number): void {
    for (const stream of Array.from(this.streams.values())) {
      this.#forget(stream, true)
      stream.onLost(code)
    }
  }

  /** The other end has gone: nobody that speaks HTTP/2 ends only one half of a connection. */
  onEnd(): void {
    look()
    if (this.state === 'closing') this.socket.destroySoon()
    else {
      this.end()
      // What was reset may look like this in TLS, and takes nothing any more.
      this.deadline = look() + lingerMs
      this.loseAll(none)
    }
  }

  onDrain(): void {
    look()
    if (this.#readingPaused) {
      this.#readingPaused = false
      this.socket.resume()
    }
    this.#pump()
  }

  onClose(): void {
    look()
    if (this.state === 'closed') return
    this.state = 'closed'
    this.#reader.stop()
    this.loseAll(errorCode.cancel)
    this.onOver()
  }

  onDeadline(): void {
    if (this.state === 'closing') this.socket.destroy()
    else this.onLate()
  }

  destroy(): void {
    this.socket.destroy()
    this.onClose()
  }
}
