/** A request that came over HTTP/2, and its response. */
import type net from 'node:net'
import { errors, type GatewayError } from '../answers.ts'
import { now } from '../clock.ts'
import type { Timed } from '../deadlines.ts'
import { type Downstream, Exchange, type OutgoingHead, type RequestBody } from '../exchange.ts'
import { isGrpc, timeoutOf } from '../grpc.ts'
import type { Holder } from '../held-bytes.ts'
import { refusals } from '../http1/client-connection.ts'
import type { Refusal, RequestHead } from '../http1/head.ts'
import type { Successor } from '../http1/tunnel.ts'
import type { ProxiedPeer } from '../proxy-protocol.ts'
import type { UsualLines } from '../request-text.ts'
import { finish } from '../respond.ts'
import type { Runtime } from '../runtime.ts'
import { travel } from '../way.ts'
import { ByteQueue } from './byte-queue.ts'
import type { ClientSession } from './client-session.ts'
import { encodeLines, readTrailers } from './fields.ts'
import { errorCode } from './frames.ts'
import { encodeField, type Fields } from './hpack.ts'
import { Stream } from './stream.ts'

/** Bytes that the client may still send, below which it is taken to wait for more room. */
const littleRoom = 1024

export class ClientStream extends Stream implements Downstream, RequestBody, Timed, Holder {
  readonly httpVersion = 2
  heldBytes = 0
  deadline = Infinity
  /** When the request has to be over by its client's own word. */
  #endsBy = Infinity
  readonly #client: ClientSession
  readonly #runtime: Runtime
  #exchange: Exchange | undefined
  // the request's body
  #headBytes = 0
  #bodyLength = 0
  #bodyBytes = 0
  #trailers = ''
  readonly #waiting = new ByteQueue()
  #ready: (() => void) | undefined
  #readyLimit = 0
  #take: ((bytes: Buffer, from: number, to: number) => boolean) | undefined
  #takeEnd: ((trailers: string) => void) | undefined
  /** Bytes that were handed on to an upstream that then wanted no more. */
  #untaken = 0
  #paused = false
  #owesContinue = false
  // the response
  #head: string | undefined
  #bodiless = false
  /** Whether the client has to take something before anything else goes on. */
  #blocked = false

  constructor(client: ClientSession, runtime: Runtime, id: number) {
    super(client, id)
    this.#client = client
    this.#runtime = runtime
    runtime.openStreams++
    runtime.deadlines.add(this)
  }

  get scheme(): 'http' | 'https' {
    return this.#client.scheme
  }

  get remoteAddress(): string {
    return this.#client.remoteAddress
  }

  get remotePort(): number {
    return this.#client.remotePort
  }

  get localAddress(): string {
    return this.#client.localAddress
  }

  get localPort(): number {
    return this.#client.localPort
  }

  get proxied(): ProxiedPeer | undefined {
    return this.#client.proxied
  }

  get clientCertificate(): Buffer | undefined {
    return this.#client.clientCertificate
  }

  get serverName(): string | undefined {
    return this.#client.serverName
  }

  get usualLines(): UsualLines | undefined {
    return this.#client.usualLines
  }

  set usualLines(lines: UsualLines | undefined) {
    this.#client.usualLines = lines
  }

  get body(): RequestBody {
    return this
  }

  /** The exchange that is under way. */
  get exchange(): Exchange | undefined {
    return this.#exchange
  }

  /** Begins with the request's head, or with what is wrong about it. */
  start(head: RequestHead | Refusal): void {
    this.#runtime.stats.requests++
    if ('refused' in head) {
      this.#exchange = new Exchange(this.#runtime, this, head.head)
      this.#exchange.refuse(refusals[head.status])
      return
    }
    this.#bodyLength = this.remoteClosed ? 0 : head.contentLength
    this.#owesContinue = head.expectsContinue && !this.remoteClosed
    if (isGrpc(head)) this.#endsBy = now() + timeoutOf(head)
    this.#awaitBody()
    this.#headBytes = head.text.length
    this.#client.headBytes += this.#headBytes
    const exchange = (this.#exchange = new Exchange(this.#runtime, this, head))
    const limit = this.#runtime.maxBodyBytes
    if (limit > 0 && head.contentLength > limit) exchange.refuse(errors.payloadTooLarge)
  }

  /** Sends the request on its way, once all that came with its head has been read. */
  travel(): void {
    if (!this.remoteClosed && this.#exchange && !this.#count()) this.giveUp()
    if (this.#exchange && !this.#exchange.responseBegun) travel(this.#exchange)
  }

  /** Tells what is held of this request and its answer now; false where it is too much for all. */
  #count(): boolean {
    const { held } = this.#runtime
    const isGone = this.localClosed && this.remoteClosed
    const fits = held.hold(this, isGone ? 0 : this.#headBytes + this.#waiting.size + this.queuedBytes)
    // Of a whole request the upstream is waited for.
    if (this.remoteClosed && this.#exchange?.responseBegun === false) held.spare(this)
    return fits
  }

  /** The same where nothing can have been added: who holds nothing needs no count. */
  #recount(): void {
    if (this.heldBytes > 0) this.#count()
  }

  /** Others need the room. */
  giveUp(): void {
    this.#waiting.release()
    if (this.#exchange?.responseBegun === false) this.#bodyFailed(errors.overloaded)
    else {
      this.reset(errorCode.enhanceYourCalm)
      this.onLost()
    }
  }

  // ---- what is received

  onFields(fields: Fields, endStream: boolean): void {
    // RFC 9113 8.1: behind the body trailers may come, and nothing else.
    const trailers = endStream && !fields.tooLarge ? readTrailers(fields.list) : undefined
    if (trailers === undefined) this.#violated()
    else {
      this.#trailers = trailers
      this.onBodyEnd()
    }
  }

  onPiece(bytes: Buffer, from: number, to: number): void {
    this.#bodyBytes += to - from
    if (this.#bodyLength >= 0 && this.#bodyBytes > this.#bodyLength) return this.#violated()
    const limit = this.#runtime.maxBodyBytes
    if (limit > 0 && this.#bodyBytes > limit) return this.#bodyFailed(errors.payloadTooLarge)
    this.#awaitBody()
    if (this.#take) this.#handOn(this.#take, bytes, from, to)
    else if (this.#exchange === undefined || this.#exchange.responseBegun) this.giveBack(to - from)
    else this.#keep(bytes, from, to)
  }

  #handOn(take: (bytes: Buffer, from: number, to: number) => boolean, bytes: Buffer, from: number, to: number): void {
    this.#untaken += to - from
    if (!take(bytes, from, to)) {
      this.#paused = true
      this.#wait(Infinity)
    } else if (!this.#paused) this.#handedOn()
  }

  #handedOn(): void {
    const bytes = this.#untaken
    this.#untaken = 0
    this.giveBack(bytes)
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    this.#waiting.append(bytes, from, to)
    if (!this.#count()) return this.giveUp()
    if (this.#ready === undefined) return
    // Whoever wants the whole body gets it, up to a bound of his own.
    if (this.#wantsMore) this.giveBack(to - from)
    if (this.#waiting.length > this.#readyLimit || (!this.#wantsMore && this.receiveWindow < littleRoom))
      this.#callReady()
  }

  get #wantsMore(): boolean {
    return this.#readyLimit > this.#runtime.bodyBufferBytes
  }

  onPressure(): void {
    if (this.#ready && !this.#wantsMore) this.#callReady()
  }

  onBodyEnd(): void {
    // RFC 9113 8.1.1: what is said of the length must be so.
    if (this.#bodyLength > this.#bodyBytes) return this.#violated()
    this.#awaitBody()
    this.#recount()
    this.#callReady()
    const end = this.#takeEnd
    this.#take = this.#takeEnd = undefined
    end?.(this.#trailers)
  }

  /** What came is no valid request: RFC 9113 8.1.1. */
  #violated(): void {
    this.#client.blame()
    this.reset(errorCode.protocol)
    this.onLost()
  }

  /** The body cannot be read to its end: the upstream must not take what it got for the whole. */
  #bodyFailed(problem: GatewayError): void {
    const exchange = this.#exchange
    this.#dropBody()
    exchange?.cancel?.()
    if (exchange === undefined) return
    if (exchange.responseBegun) {
      this.abort()
      finish(exchange)
    } else exchange.refuse(problem)
  }

  /**
   * The client is waited for while it owes its body. Where the response has begun both talk as they please: then the upstream's
   * time to answer holds.
   */
  #awaitBody(): void {
    if (this.#blocked) return
    const isOwed = !this.remoteClosed && !this.#paused && this.#exchange?.responseBegun !== true
    this.#wait(isOwed ? this.#runtime.timeouts.bodyMs : Infinity)
  }

  /** The client is waited for to take what was sent, whatever it sends meanwhile. */
  #awaitReader(): void {
    this.#blocked = true
    this.#wait(this.#runtime.timeouts.sendMs)
  }

  #wait(ms: number): void {
    this.deadline = Math.min(now() + ms, this.#endsBy)
  }

  #callReady(): void {
    const ready = this.#ready
    this.#ready = undefined
    ready?.()
  }

  // ---- the request's body, as the road takes it

  get length(): number {
    return this.#bodyLength
  }

  get complete(): boolean {
    return this.remoteClosed
  }

  get waiting(): readonly Buffer[] {
    return this.#waiting.pieces()
  }

  get waitingBytes(): number {
    return this.#waiting.length
  }

  whenReady(limit: number, ready: () => void): void {
    this.#readyLimit = limit
    const isFull = !this.#wantsMore && (this.receiveWindow < littleRoom || this.#client.isUnderPressure)
    if (this.remoteClosed || this.#waiting.length > limit || (isFull && this.#waiting.length > 0)) {
      ready()
      return
    }
    this.#ready = ready
    if (this.#wantsMore) this.giveBack(this.#waiting.length)
    this.#askForBody()
  }

  #askForBody(): void {
    if (!this.#owesContinue) return
    this.#owesContinue = false
    this.interim(100, '', '')
  }

  pipe(take: (bytes: Buffer, from: number, to: number) => boolean, end: (trailers: string) => void): void {
    this.giveBack(this.#waiting.length)
    this.#waiting.clear()
    this.#recount()
    if (this.remoteClosed) {
      end(this.#trailers)
      return
    }
    this.#take = take
    this.#takeEnd = end
    this.#askForBody()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#awaitBody()
    this.#handedOn()
  }

  #dropBody(): void {
    this.#waiting.clear()
    this.#recount()
    this.#ready = this.#take = this.#takeEnd = undefined
  }

  // ---- the response

  interim(status: number, _reason: string, lines: string): void {
    // RFC 9113 8.6: there is no 101.
    if (this.#head === undefined && status !== 101)
      this.writeHead(encodeField(':status', String(status)) + encodeLines(lines), false)
  }

  begin(head: OutgoingHead): void {
    const length =
      head.length !== undefined && head.length >= 0 ? encodeField('content-length', String(head.length)) : ''
    this.#head = encodeField(':status', String(head.status)) + length + encodeLines(head.lines)
    this.#bodiless = head.bodiless
    this.#awaitBody()
  }

  send(bytes: Buffer, from: number, to: number): void {
    if (this.#bodiless || from === to) return
    this.#sendHead(false)
    this.writeBytes(bytes, from, to)
  }

  sendText(text: string): void {
    if (this.#bodiless || text === '') return
    this.#sendHead(false)
    this.writeText(text)
  }

  flush(): boolean {
    if (!this.#bodiless) this.#sendHead(false)
    const goesOn = this.push()
    if (!goesOn) {
      this.#awaitReader()
      // Others are given up for it; its own bound is that nothing more is read from the upstream.
      this.#count()
    }
    return goesOn
  }

  #sendHead(endStream: boolean): void {
    const head = this.#head
    this.#head = ''
    if (head) this.writeHead(head, endStream)
  }

  end(trailers: string): void {
    this.#exchange = undefined
    this.#dropBody()
    this.#awaitReader()
    const isEmpty = this.#head !== '' && trailers === ''
    this.#sendHead(isEmpty)
    this.writeEnd(encodeLines(trailers))
    if (this.waits) this.#count()
  }

  abort(): void {
    this.#exchange = undefined
    this.#dropBody()
    this.reset(errorCode.internal)
  }

  /** Never asked for: a request that came over HTTP/2 has no `Upgrade`. */
  upgrade(_lines: string, _successor: (socket: net.Socket) => Successor): void {
    this.abort()
  }

  // ---- what happens to the stream

  onProgress(): void {
    this.#recount()
    this.#wait(this.#runtime.timeouts.sendMs)
  }

  onWritable(): void {
    this.#blocked = false
    this.#awaitBody()
    this.#exchange?.onDrain?.()
  }

  onDeadline(): void {
    const isOver = now() >= this.#endsBy
    if (this.#exchange && !this.#exchange.responseBegun)
      this.#bodyFailed(isOver ? errors.gatewayTimeout : errors.requestTimeout)
    else {
      this.reset(errorCode.cancel)
      this.onLost()
    }
  }

  /** The client has given up, or is given up. */
  onLost(): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    this.#dropBody()
    if (exchange === undefined) return
    exchange.cancel?.()
    if (!exchange.responseBegun) exchange.status = 499
    finish(exchange)
  }

  onGone(): void {
    this.#client.headBytes -= this.#headBytes
    this.#runtime.held.hold(this, 0)
    this.#runtime.openStreams--
    this.#runtime.deadlines.delete(this)
  }

  protected reset(code: number): void {
    this.session.reset(this, code)
  }
}
