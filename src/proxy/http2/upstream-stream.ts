/** A request on its way to a peer over HTTP/2, and what comes back. */
import type { Carrier } from '../carrier.ts'
import { now } from '../clock.ts'
import type { Timed } from '../deadlines.ts'
import type { ResponseHead } from '../http1/head.ts'
import type { Carried, Failure } from '../http1/upstream-connection.ts'
import { encodeLines, encodeRequest, readResponseHead, readTrailers } from './fields.ts'
import { errorCode } from './frames.ts'
import type { Fields } from './hpack.ts'
import { Stream } from './stream.ts'
import type { UpstreamSession } from './upstream-session.ts'

/** Interim responses that one request may get; more is a peer that talks without end. */
const maxInterim = 16

/** What it says of a request that its stream was given up for this; for anything else, that it was closed. */
const failures: Readonly<Record<number, Failure>> = {
  [errorCode.refusedStream]: 'unprocessed',
  [errorCode.protocol]: 'invalid',
  [errorCode.flowControl]: 'invalid',
  [errorCode.frameSize]: 'invalid',
  [errorCode.compression]: 'invalid',
}

export class UpstreamStream extends Stream implements Carrier, Timed {
  readonly framed = true
  readonly reused: boolean
  deadline = Infinity
  readonly #upstream: UpstreamSession
  #carried: Carried | undefined
  /** The head, until it is known whether anything follows it; empty once it is sent. */
  #block = ''
  #requestDone = false
  #response: ResponseHead | undefined
  #interims = 0
  #bytes = 0
  /** Bytes that were handed on to a client that has not taken them yet. */
  #untaken = 0
  #paused = false

  constructor(upstream: UpstreamSession, id: number, reused: boolean) {
    super(upstream, id)
    this.#upstream = upstream
    this.reused = reused
    upstream.deadlines.add(this)
  }

  get connected(): boolean {
    return this.#upstream.connected
  }

  // ---- the request

  carry(carried: Carried, head: string): void {
    this.#carried = carried
    this.#block = encodeRequest(head, this.#upstream.scheme)
    this.deadline = this.connected ? Infinity : now() + carried.connectTimeoutMs
  }

  send(bytes: Buffer, from: number, to: number): void {
    this.#sendHead(false)
    this.writeBytes(bytes, from, to)
  }

  sendText(text: string): void {
    this.#sendHead(false)
    this.writeText(text)
  }

  flush(): boolean {
    this.#sendHead(false)
    const goesOn = this.push()
    this.#wait()
    return goesOn
  }

  finish(trailers: string): void {
    this.#requestDone = true
    this.#sendHead(trailers === '')
    this.writeEnd(encodeLines(trailers))
    this.#wait()
  }

  #sendHead(endStream: boolean): void {
    const block = this.#block
    this.#block = ''
    if (block !== '') this.writeHead(block, endStream)
  }

  /** Sets how long the peer may now take: to connect, to take the request, or to answer. */
  #wait(): void {
    const carried = this.#carried
    if (carried === undefined || this.#paused || !this.connected) return
    if (this.waits) this.deadline = now() + carried.writeTimeoutMs
    else this.deadline = this.#requestDone || this.#response ? now() + carried.readTimeoutMs : Infinity
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#handedOn()
    this.#wait()
  }

  abandon(): void {
    this.#carried = undefined
    this.session.reset(this, errorCode.cancel)
  }

  /** Lets a request that still waits for its response think again whether this is the place to wait. */
  peersTurned(): void {
    if (this.#response === undefined) this.#carried?.onPeersTurned(this)
  }

  onConnected(): void {
    this.#wait()
  }

  // ---- the response

  onFields(fields: Fields, endStream: boolean): void {
    this.#wait()
    if (this.#response !== undefined) this.#onTrailers(fields, endStream)
    else {
      const head = fields.tooLarge ? undefined : readResponseHead(fields.list, this.#upstream.maxHeaders)
      if (head === undefined || head.status === 101 || (head.status < 200 && endStream)) this.#fail('invalid')
      else if (head.status < 200) this.#onInterim(head)
      else this.#onHead(head, endStream)
    }
  }

  #onInterim(head: ResponseHead): void {
    if (++this.#interims > maxInterim) this.#fail('invalid')
    else this.#carried?.onInterim(head)
  }

  #onHead(head: ResponseHead, endStream: boolean): void {
    this.#response = head
    this.#wait()
    this.#carried?.onHead(head)
    if (endStream) this.#complete('')
    else this.#upstream.touch(this)
  }

  #onTrailers(fields: Fields, endStream: boolean): void {
    const trailers = endStream && !fields.tooLarge ? readTrailers(fields.list, this.#isGrpc) : undefined
    if (trailers === undefined) this.#fail('invalid')
    else this.#complete(trailers)
  }

  get #isGrpc(): boolean {
    return /\r\ncontent-type: application\/grpc/.test(this.#response?.text ?? '')
  }

  onPiece(bytes: Buffer, from: number, to: number): void {
    const head = this.#response
    this.#bytes += to - from
    if (head === undefined || (head.contentLength >= 0 && this.#bytes > head.contentLength))
      return this.#fail('invalid')
    this.#wait()
    this.#untaken += to - from
    this.#carried?.onPiece(bytes, from, to)
    this.#upstream.touch(this)
  }

  /** Everything that was read at once has been told. */
  onReadDone(): void {
    if (this.#carried === undefined || this.#paused) return
    if (this.#carried.onReadDone()) this.#handedOn()
    else {
      this.#paused = true
      this.deadline = Infinity
    }
  }

  #handedOn(): void {
    const bytes = this.#untaken
    this.#untaken = 0
    this.giveBack(bytes)
  }

  onBodyEnd(): void {
    if (this.#response === undefined) this.#fail('invalid')
    else this.#complete('')
  }

  #complete(trailers: string): void {
    const carried = this.#carried
    const head = this.#response
    // RFC 9113 8.1.1: a client of HTTP/1.1 would take what follows for the rest of this response.
    const isShort = head !== undefined && head.contentLength > this.#bytes && !isBodiless(head, carried?.method)
    if (isShort) return this.#fail('invalid')
    this.#carried = undefined
    this.deadline = Infinity
    // An early response: the rest of the request is of no use to anybody.
    if (!this.localClosed) this.session.reset(this, errorCode.cancel)
    carried?.onEnd(trailers)
  }

  #fail(failure: Failure): void {
    const carried = this.#carried
    this.#carried = undefined
    this.session.reset(this, failure === 'invalid' ? errorCode.protocol : errorCode.cancel)
    carried?.onFailure(failure, this)
  }

  // ---- what happens to the stream

  onProgress(): void {
    this.#wait()
  }

  onWritable(): void {
    this.#wait()
    this.#carried?.onWritable()
  }

  onPressure(): void {}

  onDeadline(): void {
    if (this.connected) this.#upstream.retire()
    this.#fail(this.connected ? 'timeout' : 'connect timeout')
  }

  onLost(code: number): void {
    const carried = this.#carried
    this.#carried = undefined
    carried?.onFailure(this.connected ? (failures[code] ?? 'closed') : 'refused', this)
  }

  onGone(): void {
    this.#upstream.deadlines.delete(this)
  }
}

const isBodiless = ({ status }: ResponseHead, method: string | undefined): boolean =>
  method === 'HEAD' || status === 204 || status === 304
