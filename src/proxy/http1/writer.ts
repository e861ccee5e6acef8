/**
 * Writing to a socket in as few calls as there are reasons to: text and small pieces are gathered into one string, which is
 * written at once at the end of the event that produced them; large pieces are written from the buffer that they were read into
 * where it can be kept, else from recycled ones.
 */
import type net from 'node:net'
import { directWrites, type DirectWrites } from './direct-write.ts'
import { bufferBytes, giveBack, keepBuffer, takeBuffer } from './read-buffers.ts'

/** Above this many bytes a piece is copied as bytes, not gathered as text. */
const gatherBytes = 16 * 1024

export class Writer {
  readonly #socket: net.Socket
  readonly #direct: DirectWrites | undefined
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
    if (to - from <= gatherBytes) {
      this.#gathered += bytes.toString('latin1', from, to)
      if (this.#gathered.length > gatherBytes) this.#write()
      return
    }
    this.#write()
    const release = keepBuffer(bytes)
    if (release) {
      this.#socket.write(bytes.subarray(from, to), release)
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

  #write(): void {
    const text = this.#gathered
    if (text === '') return
    this.#gathered = ''
    if (this.#direct?.write(text) !== true) this.#socket.write(text, 'latin1')
  }

  #copy(bytes: Buffer, from: number, to: number): void {
    const buffer = takeBuffer()
    bytes.copy(buffer, 0, from, to)
    this.#socket.write(buffer.subarray(0, to - from), () => giveBack(buffer))
  }
}
