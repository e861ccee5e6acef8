/**
 * What sockets read into. All of a worker share one buffer, and what must outlive the event is copied. A socket whose reads are
 * large gets buffers of its own for as long as they are: whoever passes such bytes on keeps the buffer until they are written, and
 * nothing is copied.
 */
import type net from 'node:net'
import { streamBinding, streamHandle } from './stream-binding.ts'

export const bufferBytes = 32 * 1024
/** A read this long means that more of the same follows. */
const bulkBytes = 16 * 1024
const maxFree = 64

const shared = Buffer.allocUnsafeSlow(bufferBytes)
const free: Buffer[] = []

/** A buffer of `bufferBytes` that nobody else uses; `giveBack` recycles it. */
export const takeBuffer = (): Buffer => free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes)

export function giveBack(buffer: Buffer): void {
  if (free.length < maxFree) free.push(buffer)
}

/** A buffer of one socket. It is free when nobody keeps it and the socket reads into another. */
class OwnBuffer {
  readonly bytes = takeBuffer()
  #keepers = 0
  #isLeft = false

  get isKept(): boolean {
    return this.#keepers > 0
  }

  keep(): void {
    this.#keepers++
  }

  readonly release = (): void => {
    this.#keepers--
    this.#giveBack()
  }

  /** The socket reads into another one from now on. */
  leave(): void {
    this.#isLeft = true
    this.#giveBack()
  }

  #giveBack(): void {
    if (this.#isLeft && this.#keepers === 0) giveBack(this.bytes)
  }
}

/** The buffer of the read at hand, where it is the socket's own. */
let atHand: OwnBuffer | undefined

/** Keeps the buffer that these bytes stand in until the function given back is called; undefined where they have to be copied. */
export function keepBuffer(bytes: Buffer): (() => void) | undefined {
  if (atHand === undefined || atHand.bytes !== bytes) return undefined
  atHand.keep()
  return atHand.release
}

interface Reader {
  onBytes(bytes: Buffer, length: number): void
}

/** The reads of one socket, as `onread` of node:net takes them. */
export class Reads {
  /** Who is told; what comes before it is set is lost. */
  events: Reader | undefined
  readonly #isPaused: () => boolean
  #own: OwnBuffer | undefined
  #isBulk = false
  /** Whether the next read may be into another buffer; at first it is into any. */
  #changes = true
  #begun = false

  constructor(events: Reader | undefined, isPaused: () => boolean) {
    this.events = events
    this.#isPaused = isPaused
  }

  /** Has a socket without TLS tell of short reads without Node's function in between, which does no more for them than call this. */
  takeOver(socket: net.Socket): void {
    const handle = streamHandle(socket)
    if (streamBinding === undefined || typeof handle?.onread !== 'function') return
    const { streamBaseState, kReadBytesOrError } = streamBinding
    const usual = handle.onread
    handle.onread = (bytes) => {
      const length = streamBaseState[kReadBytesOrError] as number
      if (length <= 0 || length >= bulkBytes || this.#own !== undefined) return usual.call(handle, bytes)
      this.events?.onBytes(shared, length)
      return undefined
    }
  }

  readonly callback = (length: number, bytes: Uint8Array): boolean => {
    this.#isBulk = length >= bulkBytes
    this.#changes = this.#isBulk || this.#own !== undefined
    if (this.#changes) atHand = this.#own
    this.events?.onBytes(bytes as Buffer, length)
    if (this.#changes) atHand = undefined
    return true
  }

  /** The buffer to read into next; undefined where it stays the same, of which Node takes no notice. */
  readonly buffer = (): Uint8Array => (this.#changes ? this.#next() : same)

  #next(): Uint8Array {
    const own = this.#own
    if (!this.#begun) {
      this.#begun = true
      return shared
    }
    if (this.#isBulk && own?.isKept === false) return same
    // While nothing is read, no buffer waits for it.
    if (!this.#isBulk || this.#isPaused()) {
      this.#own = undefined
      own?.leave()
      return shared
    }
    this.#own = new OwnBuffer()
    own?.leave()
    return this.#own.bytes
  }
}

const same = undefined as unknown as Uint8Array
