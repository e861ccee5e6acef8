/**
 * Bodies of HTTP/1.1 messages: where they end, and the pieces they come in.
 * Source: RFC 9112 6 (message body) and 7 (chunked transfer coding).
 */
import { nameByte } from './fields.ts'
import { mayTrail } from './trailers.ts'

/** Takes a body's bytes as they come. */
export interface BodyReader {
  /** True once the whole body, trailers included, has been read. */
  readonly done: boolean
  /** True once the bytes were not a valid body; nothing can be read from the connection any more. */
  readonly failed: boolean
  /** Trailer lines that may be passed on, each ending in CRLF; the empty string where there are none. */
  readonly trailers: string
  /** Reads what belongs to the body from `at..end`, gives each piece to `onPiece`, and returns where it stopped. */
  read(bytes: Buffer, at: number, end: number, onPiece: (bytes: Buffer, from: number, to: number) => void): number
}

/** The body that has no bytes. */
export const noBody: BodyReader = { done: true, failed: false, trailers: '', read: (_bytes, at) => at }

/** A body of a known length in bytes. */
export class LengthBody implements BodyReader {
  done = false
  readonly failed = false
  readonly trailers = ''
  #left: number

  constructor(length: number) {
    this.#left = length
    this.done = length === 0
  }

  read(bytes: Buffer, at: number, end: number, onPiece: (bytes: Buffer, from: number, to: number) => void): number {
    const to = Math.min(end, at + this.#left)
    this.#left -= to - at
    this.done = this.#left === 0
    if (to > at) onPiece(bytes, at, to)
    return to
  }
}

/** A response's body that ends with its connection; `done` stays false. */
export class UntilCloseBody implements BodyReader {
  readonly done = false
  readonly failed = false
  readonly trailers = ''

  read(bytes: Buffer, at: number, end: number, onPiece: (bytes: Buffer, from: number, to: number) => void): number {
    if (end > at) onPiece(bytes, at, end)
    return end
  }
}

const CR = 13
const LF = 10
const SP = 32
const HTAB = 9
const COLON = 58
const SEMICOLON = 59

/** Hexadecimal digits of a chunk's size: 2^52 bytes is more than any, and stays exact. */
const maxSizeDigits = 13
/** Bytes of chunk extensions in a whole body: they carry nothing that anybody reads. */
const maxExtensionBytes = 4096
const maxTrailerBytes = 8192

type ChunkState = 'size' | 'extension' | 'size end' | 'data' | 'data end' | 'data LF' | 'trailers' | 'last LF'

/** A chunked body. Line ends are CRLF and nothing else; extensions are read over; trailers are kept as far as they may be passed on. */
export class ChunkedBody implements BodyReader {
  done = false
  failed = false
  trailers = ''
  #state: ChunkState = 'size'
  #left = 0
  #digits = 0
  #extensionBytes = 0
  #trailerBytes = 0
  #line = ''

  read(bytes: Buffer, at: number, end: number, onPiece: (bytes: Buffer, from: number, to: number) => void): number {
    while (at < end && !this.done && !this.failed) {
      if (this.#state === 'data') {
        const to = Math.min(end, at + this.#left)
        this.#left -= to - at
        onPiece(bytes, at, to)
        at = to
        if (this.#left === 0) this.#state = 'data end'
      } else {
        this.#step(bytes[at++] as number)
      }
    }
    return at
  }

  #step(byte: number): void {
    switch (this.#state) {
      case 'size':
        return this.#size(byte)
      case 'extension':
        if (byte === CR) this.#state = 'size end'
        else if ((byte < SP && byte !== HTAB) || byte === 0x7f || ++this.#extensionBytes > maxExtensionBytes)
          this.failed = true
        return
      case 'size end':
        if (byte !== LF) this.failed = true
        this.#state = this.#left > 0 ? 'data' : 'trailers'
        return
      case 'data end':
        if (byte !== CR) this.failed = true
        this.#state = 'data LF'
        return
      case 'data LF':
        if (byte !== LF) this.failed = true
        this.#state = 'size'
        this.#digits = 0
        return
      case 'trailers':
        return this.#trailer(byte)
      case 'last LF':
        if (byte === LF) this.done = true
        else this.failed = true
        return
      case 'data':
        return
    }
  }

  #size(byte: number): void {
    const value = hexDigit(byte)
    if (value >= 0) {
      this.#left = this.#left * 16 + value
      if (++this.#digits > maxSizeDigits) this.failed = true
      return
    }
    if (this.#digits === 0) this.failed = true
    else if (byte === CR) this.#state = 'size end'
    else if (byte === SEMICOLON) this.#state = 'extension'
    else this.failed = true
  }

  #trailer(byte: number): void {
    if (byte === CR && this.#line === '') {
      this.#state = 'last LF'
      return
    }
    this.#line += String.fromCharCode(byte)
    if (++this.#trailerBytes > maxTrailerBytes) this.failed = true
    if (byte !== LF) return
    if (!isFieldLine(this.#line)) this.failed = true
    else if (mayTrail(this.#line.slice(0, this.#line.indexOf(':')))) this.trailers += this.#line
    this.#line = ''
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 0x20
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

function isFieldLine(line: string): boolean {
  if (!line.endsWith('\r\n')) return false
  let at = 0
  while (nameByte[line.charCodeAt(at)]) at++
  if (at === 0 || line.charCodeAt(at) !== COLON) return false
  for (at++; at < line.length - 2; at++) {
    const code = line.charCodeAt(at)
    if ((code < SP && code !== HTAB) || code === 0x7f) return false
  }
  return true
}
