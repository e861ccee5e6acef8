/** One way through two connections that have become one: bytes pass at the pace of whoever takes them. */
import type net from 'node:net'
import { Writer } from './http1/writer.ts'

export class Flow {
  /** Whether the taker is slower than what came, so that no more is read. */
  blocked = false
  readonly #from: net.Socket
  readonly #writer: Writer

  constructor(from: net.Socket, to: net.Socket) {
    this.#from = from
    this.#writer = new Writer(to)
  }

  /** Adds bytes, which are copied or kept; `flush` writes them. */
  add(bytes: Buffer, length: number): void {
    this.#writer.bytes(bytes, 0, length)
  }

  flush(): void {
    this.blocked = !this.#writer.flush()
    if (this.blocked) this.#from.pause()
  }

  /** The taker can take more. */
  resume(): void {
    if (!this.blocked) return
    this.blocked = false
    this.#from.resume()
  }
}
