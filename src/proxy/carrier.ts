/** What carries a request to its peer: a connection of HTTP/1.1, or a stream of HTTP/2. */
import type { Carried } from './http1/upstream-connection.ts'

export interface Carrier {
  /** Whether the peer has taken the connection. */
  readonly connected: boolean
  /** Whether the connection has carried a request before this one. */
  readonly reused: boolean
  /** Whether the protocol itself says where a body ends, so that none is chunked. */
  readonly framed: boolean
  /** Begins a request with its head, as text of HTTP/1.1; the body follows by `send` and `finish`. */
  carry(carried: Carried, head: string): void
  send(bytes: Buffer, from: number, to: number): void
  sendText(text: string): void
  /** Writes what was given; false when the peer is slower than that. */
  flush(): boolean
  /** The request is complete; `trailers` are lines for a protocol that is `framed`. */
  finish(trailers: string): void
  /** Lets more be read after `onReadDone` gave false. */
  resume(): void
  /** Gives the request up: nothing more is told of it. */
  abandon(): void
}
