/**
 * Writing to a socket in as few calls as there are reasons to: text and small pieces are gathered into one string, longer pieces and
 * the text before them into a recycled buffer, and both are written at the end of the event that produced them; large pieces are
 * written from the buffer that they were read into where it can be kept, else from recycled ones.
 */
import type net from 'node:net'
import { directWrites, type DirectWrites } from './direct-write.ts'
import { bufferBytes, giveBack, keepBuffer, takeBuffer } from './read-buffers.ts'

/** Up to this many bytes a piece is cheaper as text. */
const textBytes = 1024
/** Above this many bytes a piece is not gathered, and no more text is. */
const gatherBytes = 16 * 1024

export class Writer {
  readonly #socket: net.Socket
  readonly #direct: DirectWrites | undefined
  /** What was gathered: first what is in the buffer, then the text. */
  #buffer: Buffer | undefined
  #used = 0
  #gathered = ''

  constructor(socket: net.Socket) {
    this.#socket = socket
    this.#direct = directWrites(socket)
  }

  /** Adds text, one byte a character; it is written by `flush`. */
  text(text: string): void {
    this.#gathered += text
  }

  /** Adds a range of bytes, which are copied or kept: the caller may forget them afterwards. */
  bytes(bytes: Buffer, from: number, to: number): void {
    if (to - from <= textBytes) {
      this.#gathered += bytes.toString('latin1', from, to)
      if (this.#gathered.length > gatherBytes) this.#write()
      return
    }
    if (to - from <= gatherBytes) {
      this.#gather(bytes, from, to)
      return
    }
    this.#write()
    const release = keepBuffer(bytes)
    if (release) {
      this.#send(bytes.subarray(from, to), release)
      return
    }
    for (let at = from; at < to; at += bufferBytes) this.#copy(bytes, at, Math.min(to, at + bufferBytes))
  }

  /** Writes what was gathered; false when the socket wants no more until it drains. */
  flush(): boolean {
    this.#write()
    return !this.needsDrain
  }

  /** Whether the socket wants no more until it drains. */
  get needsDrain(): boolean {
    return this.#socket.writableNeedDrain || this.#direct?.isWaiting === true
  }

  #gather(bytes: Buffer, from: number, to: number): void {
    if (this.#used + this.#gathered.length + to - from > bufferBytes) this.#write()
    const buffer = (this.#buffer ??= takeBuffer())
    this.#moveText(buffer)
    this.#used += bytes.copy(buffer, this.#used, from, to)
  }

  /** Appends the text to what is in the buffer, which has room for it. */
  #moveText(buffer: Buffer): void {
    if (this.#gathered === '') return
    this.#used += buffer.write(this.#gathered, this.#used, 'latin1')
    this.#gathered = ''
  }

  #write(): void {
    const buffer = this.#buffer
    if (buffer !== undefined) {
      if (this.#used + this.#gathered.length <= bufferBytes) this.#moveText(buffer)
      const piece = buffer.subarray(0, this.#used)
      this.#buffer = undefined
      this.#used = 0
      this.#send(piece, () => giveBack(buffer))
    }
    const text = this.#gathered
    if (text === '') return
    this.#gathered = ''
    if (this.#direct?.text(text) !== true) this.#socket.write(text, 'latin1')
  }

  #copy(bytes: Buffer, from: number, to: number): void {
    const buffer = takeBuffer()
    bytes.copy(buffer, 0, from, to)
    this.#send(buffer.subarray(0, to - from), () => giveBack(buffer))
  }

  /** Writes bytes that stay as they are until `done` is called. */
  #send(bytes: Buffer, done: () => void): void {
    if (this.#direct?.bytes(bytes, done) !== true) this.#socket.write(bytes, done)
  }
}
