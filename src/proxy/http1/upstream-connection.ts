/**
 * A connection to a peer: carries one request at a time, and goes back to its pool when both sides have said all of it.
 * Source: RFC 9112 6.3 (where a response ends) and 9.3 (persistence).
 */
import type net from 'node:net'
import type { TLSSocket } from 'node:tls'
import { look, now } from '../clock.ts'
import type { Carrier } from '../carrier.ts'
import type { Deadlines, Timed } from '../deadlines.ts'
import { ChunkedBody, LengthBody, noBody, UntilCloseBody, type BodyReader } from './body.ts'
import { idOf } from './fields.ts'
import { findHeadEnd, firstById, type HeadLimits, parseResponseHead, type ResponseHead } from './head.ts'
import type { SocketEvents } from './socket.ts'
import { Writer } from './writer.ts'

/**
 * Why a request got no (whole) response: no connection (refused, or not in time), one that closed, silence, or something that is
 * not HTTP. With the first two nothing of the request has been sent; with the last one the peer says that it did nothing with it.
 */
export type Failure = 'refused' | 'connect timeout' | 'closed' | 'timeout' | 'invalid' | 'unprocessed'

/** The request that a connection carries, told of what happens. */
export interface Carried {
  readonly method: string
  readonly connectTimeoutMs: number
  readonly writeTimeoutMs: number
  readonly readTimeoutMs: number
  /** Whether it asks for WebSocket: then 101 is an answer to it. */
  readonly upgrades: boolean
  onInterim(head: ResponseHead): void
  onHead(head: ResponseHead): void
  onPiece(bytes: Buffer, from: number, to: number): void
  /** Everything read at once has been told; false when nothing more should be read until `resume`. */
  onReadDone(): boolean
  onEnd(trailers: string): void
  /** The peer has agreed to speak WebSocket: gives who takes the socket over. `early` is what came behind the head. */
  onUpgrade(head: ResponseHead, socket: net.Socket, early: Buffer): SocketEvents
  /** The socket takes more of the request's body. */
  onWritable(): void
  onFailure(failure: Failure, carrier: Carrier): void
  /** A peer somewhere has turned unhealthy, or healthy again, while nothing of a response has come. */
  onPeersTurned(carrier: Carrier): void
}

interface Home {
  /** Takes an idle connection back for `idleMs` at most; false where it is not wanted. */
  release(idleMs: number): boolean
  /** The connection is no more, or soon will be: it must not be given to anybody. May be told more than once. */
  closed(): void
}

const keepAlive = idOf('keep-alive')
const upgrade = idOf('upgrade')

const isWebSocket = (head: ResponseHead): boolean => firstById(head, upgrade)?.toLowerCase() === 'websocket'

/** Interim responses that one request may get; more is a peer that talks without end. */
const maxInterim = 16

export class UpstreamConnection implements Carrier, SocketEvents, Timed {
  readonly framed = false
  deadline = Infinity
  /** Whether it carried a request before the present one. */
  reused = false
  readonly #limits: HeadLimits
  readonly #deadlines: Deadlines
  readonly #home: Home
  #socket!: net.Socket
  #writer!: Writer
  #connected = false
  #closed = false
  #requests = 0
  #carried: Carried | undefined
  #requestDone = false
  #head: ResponseHead | undefined
  #body: BodyReader = noBody
  #partial: Buffer | undefined
  #searched = 0
  #interims = 0
  #paused = false
  /** Who has taken the socket over. */
  #successor: SocketEvents | undefined

  constructor(limits: HeadLimits, deadlines: Deadlines, home: Home) {
    this.#limits = limits
    this.#deadlines = deadlines
    this.#home = home
  }

  /** Gives the connection its socket, which need not be connected yet. */
  attach(socket: net.Socket): void {
    this.#socket = socket
    this.#writer = new Writer(socket)
    this.#deadlines.add(this)
    socket.once((socket as TLSSocket).encrypted ? 'secureConnect' : 'connect', () => {
      this.#connected = true
      look()
      this.#onProgress()
    })
  }

  isSpent(maxRequests: number): boolean {
    return maxRequests > 0 && this.#requests >= maxRequests
  }

  /** Begins a request with its head; the body follows by `send` and `finish`. */
  carry(carried: Carried, head: string): void {
    this.reused = this.#requests++ > 0
    this.#carried = carried
    this.#requestDone = false
    this.#head = undefined
    this.#interims = 0
    this.deadline = this.#connected ? Infinity : now() + carried.connectTimeoutMs
    this.#writer.text(head)
  }

  send(bytes: Buffer, from: number, to: number): void {
    this.#writer.bytes(bytes, from, to)
  }

  sendText(text: string): void {
    this.#writer.text(text)
  }

  /** Writes what was given; false when the peer is slower than that. */
  flush(): boolean {
    const goesOn = this.#writer.flush()
    if (!goesOn && this.#connected && this.#carried) this.deadline = now() + this.#carried.writeTimeoutMs
    return goesOn
  }

  /** The request is complete. */
  finish(): void {
    this.#requestDone = true
    this.#writer.flush()
    this.#onProgress()
  }

  /** While the peer takes all that there is of the request, nobody waits for it: the client's own deadline holds. */
  #onProgress(): void {
    if (!this.#carried || !this.#connected || this.#paused) return
    if (this.#requestDone) this.deadline = now() + this.#carried.readTimeoutMs
    else this.deadline = this.#writer.needsDrain ? now() + this.#carried.writeTimeoutMs : Infinity
  }

  /** Lets the socket be read again after `onReadDone` gave false. */
  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#onProgress()
    this.#socket.resume()
  }

  /** Whether the peer has taken the connection. */
  get connected(): boolean {
    return this.#connected
  }

  /** Lets a request that still waits for its response think again whether this is the place to wait. */
  peersTurned(): void {
    if (this.#head === undefined) this.#carried?.onPeersTurned(this)
  }

  /** Gives the request up: nothing more is told of it. */
  abandon(): void {
    this.#carried = undefined
    this.destroy()
  }

  destroy(): void {
    this.#home.closed()
    this.#socket.destroy()
  }

  // ---- what happens on the socket

  onBytes(bytes: Buffer, length: number): void {
    look()
    if (this.#successor) {
      this.#successor.onBytes(bytes, length)
      return
    }
    if (this.#carried === undefined) {
      // Nobody asked: whatever this is, the next request must not get it for its response.
      this.destroy()
      return
    }
    if (this.#partial === undefined) {
      this.#read(bytes, 0, length)
      return
    }
    const all = Buffer.concat([this.#partial, bytes.subarray(0, length)])
    this.#partial = undefined
    this.#read(all, 0, all.length)
  }

  #read(bytes: Buffer, at: number, end: number): void {
    const carried = this.#carried as Carried
    if (this.#requestDone) this.deadline = now() + carried.readTimeoutMs
    while (this.#head === undefined && at < end) {
      at = this.#readHead(carried, bytes, at, end)
      if (this.#carried !== carried) return
    }
    if (this.#head === undefined) return
    if (!this.#body.done) at = this.#body.read(bytes, at, end, this.#onPiece)
    if (this.#carried !== carried) return
    if (this.#body.failed) {
      this.#fail('invalid')
      return
    }
    if (this.#body.done) this.#complete(at < end)
    else if (!carried.onReadDone()) this.#pause()
  }

  #onPiece = (bytes: Buffer, from: number, to: number): void => this.#carried?.onPiece(bytes, from, to)

  #readHead(carried: Carried, bytes: Buffer, at: number, end: number): number {
    const headEnd = findHeadEnd(bytes, at, at + this.#searched, end)
    if ((headEnd < 0 ? end : headEnd) - at > this.#limits.headBytes) {
      this.#fail('invalid')
      return end
    }
    if (headEnd < 0) {
      this.#searched = end - at
      this.#partial = Buffer.from(bytes.subarray(at, end))
      if (!mayBeHead(this.#partial)) this.#fail('invalid')
      return end
    }
    this.#searched = 0
    const head = parseResponseHead(bytes, at, headEnd, this.#limits.headers)
    if (head === undefined || (head.status === 101 && !(carried.upgrades && isWebSocket(head)))) {
      this.#fail('invalid')
      return end
    }
    if (head.status === 101) {
      this.#hand(carried, head, Buffer.from(bytes.subarray(headEnd, end)))
      return end
    }
    if (head.status < 200) {
      if (++this.#interims > maxInterim) this.#fail('invalid')
      else carried.onInterim(head)
      return headEnd
    }
    this.#head = head
    this.#body = bodyOf(head, carried.method)
    carried.onHead(head)
    return headEnd
  }

  /** From here on the socket is another's; no request is carried on it any more. */
  #hand(carried: Carried, head: ResponseHead, early: Buffer): void {
    this.#home.closed()
    this.#carried = undefined
    this.deadline = Infinity
    this.#successor = carried.onUpgrade(head, this.#socket, early)
  }

  #complete(moreCame = false): void {
    const carried = this.#carried
    if (carried === undefined) return
    // An early response: the rest of the request is of no use to anybody, and the connection cannot carry another.
    const head = this.#head as ResponseHead
    const reusable = this.#requestDone && !moreCame && isPersistent(head) && !this.#writer.needsDrain
    const { trailers } = this.#body
    this.#carried = undefined
    this.#head = undefined
    this.deadline = Infinity
    if (!reusable || !this.#home.release(idleTimeOf(head))) this.destroy()
    carried.onEnd(trailers)
  }

  #pause(): void {
    this.#paused = true
    this.deadline = Infinity
    this.#socket.pause()
  }

  #fail(failure: Failure): void {
    const carried = this.#carried
    this.#carried = undefined
    this.destroy()
    carried?.onFailure(failure, this)
  }

  onEnd(): void {
    if (this.#successor) {
      this.#successor.onEnd()
      return
    }
    if (this.#carried && this.#head && this.#body instanceof UntilCloseBody) {
      this.#requestDone = false
      this.#complete()
      return
    }
    this.#fail('closed')
  }

  onDrain(): void {
    look()
    this.#onProgress()
    this.#carried?.onWritable()
    this.#successor?.onDrain()
  }

  onClose(): void {
    if (this.#closed) return
    this.#closed = true
    this.#deadlines.delete(this)
    this.#home.closed()
    this.#fail(this.#connected ? 'closed' : 'refused')
    this.#successor?.onClose()
  }

  onDeadline(): void {
    if (this.#carried === undefined) this.destroy()
    else this.#fail(this.#connected ? 'timeout' : 'connect timeout')
  }
}

/** Where a response's body ends (RFC 9112 6.3). */
function bodyOf(head: ResponseHead, method: string): BodyReader {
  if (method === 'HEAD' || head.status === 204 || head.status === 304) return noBody
  if (head.chunked) return new ChunkedBody()
  if (head.contentLength >= 0) return new LengthBody(head.contentLength)
  return new UntilCloseBody()
}

const isPersistent = (head: ResponseHead): boolean =>
  head.minor === 0 ? head.persistence === 'keep-alive' : head.persistence !== 'close'

/**
 * How long the peer keeps the connection open by its own word (`Keep-Alive: timeout=SECONDS`), less a second for the way; Infinity
 * where it gives none. A request sent on a connection that is just being closed is lost, and not every request may be sent twice.
 */
function idleTimeOf(head: ResponseHead): number {
  const parameters = firstById(head, keepAlive)
  if (parameters === undefined) return Infinity
  const seconds = /(?:^|[,\s])timeout=(\d{1,9})/i.exec(parameters)?.[1]
  return seconds === undefined ? Infinity : Math.max(0, Number(seconds) - 1) * 1000
}

const beginning = Buffer.from('HTTP/1.')

/** Whether these first bytes can be those of a response: a peer that speaks something else is not waited for. */
function mayBeHead(bytes: Buffer): boolean {
  const length = Math.min(bytes.length, beginning.length)
  return bytes.compare(beginning, 0, length, 0, length) === 0
}
