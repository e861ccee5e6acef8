/**
 * A client's connection: requests are read from it one after the other, each is answered before the next is looked at.
 * Source: RFC 9112 9 (connection management).
 */
import type net from 'node:net'
import type { TLSSocket } from 'node:tls'
import { errors, type GatewayError } from '../answers.ts'
import { look, now } from '../clock.ts'
import type { Timed } from '../deadlines.ts'
import { type Downstream, Exchange, type OutgoingHead, type RequestBody } from '../exchange.ts'
import type { ProxiedPeer } from '../proxy-protocol.ts'
import type { UsualLines } from '../request-text.ts'
import { copyOf, grown, release } from '../growing.ts'
import type { Holder } from '../held-bytes.ts'
import { ByteQueue } from '../http2/byte-queue.ts'
import { finish } from '../respond.ts'
import type { Runtime } from '../runtime.ts'
import { clientCertificate } from '../tls/client-certificate.ts'
import { travel } from '../way.ts'
import { ChunkedBody, LengthBody, noBody, type BodyReader } from './body.ts'
import { emptyHead, findHeadEnd, parseRequestHead, PartialHead, type Refusal, type RequestHead } from './head.ts'
import type { SocketEvents } from './socket.ts'
import type { Successor } from './tunnel.ts'
import { Writer } from './writer.ts'

/** Bytes of later requests that are kept while one is being answered; above it the socket is not read. */
const maxKeptBytes = 64 * 1024
/** Bytes of a request's body that nobody wants, but that are read to keep the connection. */
const maxDiscardedBytes = 64 * 1024
/** How long a closed connection is read on, so that the client gets to read its response (RFC 9112 9.6). */
const lingerMs = 2000
/** How long a connection without a request yet is waited for when the gateway stops. */
const firstRequestMs = 1000

const CR = 13
const LF = 10

/** What is said of a head that is refused. */
export const refusals: Readonly<Record<Refusal['status'], GatewayError>> = {
  400: errors.badRequest,
  414: errors.uriTooLong,
  494: errors.headTooLarge,
  501: errors.notImplemented,
  505: errors.versionNotSupported,
}

type State = 'idle' | 'head' | 'exchange' | 'discarding' | 'sending' | 'closing' | 'closed'

export class ClientConnection implements SocketEvents, Downstream, RequestBody, Timed, Holder {
  readonly httpVersion = 1
  readonly scheme: 'http' | 'https'
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localPort: number
  readonly serverName: string | undefined
  readonly proxied: ProxiedPeer | undefined
  usualLines: UsualLines | undefined
  deadline: number
  heldBytes = 0
  readonly #runtime: Runtime
  readonly #socket: net.Socket
  readonly #writer: Writer
  #state: State = 'idle'
  #consuming = false
  /** Bytes read but not looked at yet: the beginning of a head, or later requests. */
  #kept: Buffer | undefined
  #keptLength = 0
  #partial: PartialHead | undefined
  /** Of a request whose client is waited for, what its head takes. */
  #headBytes = 0
  #paused = false
  #clientDone = false
  #keepAlive = true
  #requests = 0
  #exchange: Exchange | undefined
  /** Who has taken the socket over after an upgrade. */
  #successor: Successor | undefined
  // the request's body
  #body: BodyReader = noBody
  #bodyLength = 0
  #bodyBytes = 0
  #waiting: ByteQueue | undefined
  #ready: (() => void) | undefined
  #readyLimit = 0
  #take: ((bytes: Buffer, from: number, to: number) => boolean) | undefined
  #takeEnd: ((trailers: string) => void) | undefined
  #owesContinue = false
  // the response's body
  #chunked = false
  #bodiless = false
  #endsWithConnection = false

  constructor(runtime: Runtime, socket: net.Socket, scheme: 'http' | 'https', proxied?: ProxiedPeer) {
    this.#runtime = runtime
    this.#socket = socket
    this.#writer = new Writer(socket)
    this.scheme = scheme
    this.remoteAddress = plainAddress(socket.remoteAddress)
    this.remotePort = socket.remotePort ?? 0
    this.localPort = socket.localPort ?? 0
    this.serverName = (scheme === 'https' && (socket as TLSSocket).servername) || undefined
    this.proxied = proxied
    this.deadline = look() + runtime.timeouts.headMs
    runtime.deadlines.add(this)
    runtime.stats.accepted++
    runtime.stats.active++
  }

  get body(): RequestBody {
    return this
  }

  get clientCertificate(): Buffer | undefined {
    return clientCertificate(this.#socket)
  }

  get localAddress(): string {
    return plainAddress(this.#socket.localAddress)
  }

  // ---- reading

  onBytes(bytes: Buffer, length: number): void {
    look()
    if (this.#state === 'closing' || this.#state === 'closed') return
    if (this.#successor !== undefined) {
      this.#successor.onBytes(bytes, length)
      return
    }
    if (this.#kept === undefined) {
      this.#consume(bytes, 0, length)
      return
    }
    this.#consumeKept(grown(this.#kept, this.#keptLength, bytes, 0, length), this.#keptLength + length)
  }

  #consumeKept(bytes: Buffer, length: number): void {
    this.#kept = undefined
    this.#consume(bytes, 0, length, true)
    this.#recount()
  }

  /** Reads `at..end`; where the bytes are `own`, nobody else writes into them. */
  #consume(bytes: Buffer, at: number, end: number, own = false): void {
    this.#consuming = true
    while (at < end) {
      if (this.#state === 'idle' || this.#state === 'head') at = this.#readHead(bytes, at, end, own)
      else if (this.#state === 'closing' || this.#state === 'closed') break
      else if (!this.#body.done && !this.#body.failed) at = this.#readBody(bytes, at, end)
      else {
        this.#keep(bytes, at, end, own)
        break
      }
    }
    this.#consuming = false
  }

  #keep(bytes: Buffer, at: number, end: number, own: boolean): void {
    this.#kept = own && at === 0 ? bytes : copyOf(bytes, at, end)
    this.#keptLength = end - at
    if (this.#state !== 'head' && this.#keptLength > maxKeptBytes) this.#pause()
    if (!this.#count()) this.giveUp()
  }

  /** Tells what is held of this client's now; false where it is too much for all. */
  #count(): boolean {
    const { held } = this.#runtime
    const fits = held.hold(this, this.#headBytes + (this.#kept?.length ?? 0) + (this.#waiting?.size ?? 0))
    // Of a whole request the upstream is waited for.
    if (this.#body.done && this.#kept === undefined && this.#exchange?.responseBegun === false) held.spare(this)
    return fits
  }

  /** The same where nothing can have been added: who holds nothing needs no count. */
  #recount(): void {
    if (this.heldBytes > 0) this.#count()
  }

  /** Others need the room. */
  giveUp(): void {
    if (this.#kept) release(this.#kept)
    this.#kept = undefined
    this.#waiting?.release()
    if (this.#state === 'head') this.#reject(errors.overloaded)
    else if (this.#state === 'exchange' && this.#exchange?.responseBegun === false) this.#bodyFailed(errors.overloaded)
    else this.#leave()
  }

  #readHead(bytes: Buffer, at: number, end: number, own: boolean): number {
    // RFC 9112 2.2: empty lines before a request line are skipped.
    while (this.#partial === undefined && at < end && (bytes[at] === CR || bytes[at] === LF)) at++
    if (at === end) return end
    const limits = this.#runtime.headLimits
    const headEnd = findHeadEnd(bytes, at, at + (this.#partial?.searched ?? 0), end)
    if (headEnd < 0) {
      const refusal = (this.#partial ??= new PartialHead()).check(bytes, at, end, limits)
      if (refusal) return this.#refuseHead(refusal, end)
      if (this.#state === 'idle') {
        this.#state = 'head'
        this.deadline = now() + this.#runtime.timeouts.headMs
      }
      this.#keep(bytes, at, end, own)
      return end
    }
    this.#partial = undefined
    const head = parseRequestHead(bytes, at, headEnd, limits)
    if ('refused' in head) return this.#refuseHead(head, end)
    return this.#begin(head, bytes, headEnd, end)
  }

  /** What cannot be understood is answered, and nothing after it is believed. */
  #refuseHead(refusal: Refusal, end: number): number {
    this.#reject(refusals[refusal.status], refusal.head)
    return end
  }

  #reject(problem: GatewayError, head: RequestHead = emptyHead): void {
    this.#keepAlive = false
    this.#partial = this.#kept = undefined
    this.#body = noBody
    this.#state = 'exchange'
    this.deadline = Infinity
    this.#exchange = new Exchange(this.#runtime, this, head)
    this.#runtime.stats.requests++
    this.#exchange.refuse(problem)
  }

  #begin(head: RequestHead, bytes: Buffer, at: number, end: number): number {
    this.#state = 'exchange'
    this.deadline = Infinity
    this.#runtime.stats.requests++
    this.#keepAlive = head.minor === 0 ? head.persistence === 'keep-alive' : head.persistence !== 'close'
    if (++this.#requests >= this.#runtime.maxRequestsPerConnection) this.#keepAlive = false
    this.#beginBody(head)
    const exchange = (this.#exchange = new Exchange(this.#runtime, this, head))
    const limit = this.#runtime.maxBodyBytes
    if (limit > 0 && head.contentLength > limit) exchange.refuse(errors.payloadTooLarge)
    else {
      if (!this.#body.done) at = this.#beginBodyOf(head, bytes, at, end)
      if (this.#exchange === exchange && !exchange.responseBegun) travel(exchange)
    }
    return at
  }

  /** Reads what has come of a body. As long as it is not complete, the head waits with it. */
  #beginBodyOf(head: RequestHead, bytes: Buffer, at: number, end: number): number {
    const next = at < end ? this.#readBody(bytes, at, end) : at
    if (this.#body.done || this.#state !== 'exchange') return next
    this.#headBytes = head.text.length
    if (!this.#count()) this.giveUp()
    return next
  }

  #beginBody(head: RequestHead): void {
    this.#bodyLength = head.chunked ? -1 : Math.max(0, head.contentLength)
    this.#bodyBytes = 0
    this.#owesContinue = false
    if (this.#bodyLength === 0) {
      this.#body = noBody
      return
    }
    this.#body = head.chunked ? new ChunkedBody() : new LengthBody(this.#bodyLength)
    this.#owesContinue = head.expectsContinue && head.minor > 0
    this.deadline = now() + this.#runtime.timeouts.bodyMs
  }

  #readBody(bytes: Buffer, at: number, end: number): number {
    at = this.#body.read(bytes, at, end, this.#onPiece)
    if (this.#state !== 'exchange' && this.#state !== 'discarding') return end
    if (this.#body.failed) {
      this.#bodyFailed(errors.badRequest)
      return end
    }
    if (this.#body.done) this.#bodyDone()
    else {
      this.deadline = now() + this.#runtime.timeouts.bodyMs
      if (this.#ready && this.waitingBytes > this.#readyLimit) this.#callReady()
    }
    return at
  }

  #onPiece = (bytes: Buffer, from: number, to: number): void => {
    this.#bodyBytes += to - from
    if (this.#state === 'discarding') return
    const limit = this.#runtime.maxBodyBytes
    if (limit > 0 && this.#bodyBytes > limit) {
      this.#bodyFailed(errors.payloadTooLarge)
      return
    }
    if (this.#exchange?.responseBegun && !this.#take) return
    if (this.#take) {
      if (!this.#take(bytes, from, to)) this.#pause()
      return
    }
    const waiting = (this.#waiting ??= new ByteQueue())
    waiting.append(bytes, from, to, this.#body.done)
    if (!this.#count()) this.giveUp()
    else if (waiting.length > maxKeptBytes && !this.#ready) this.#pause()
  }

  #bodyDone(): void {
    this.deadline = Infinity
    if (this.#state === 'discarding') {
      this.#next()
      return
    }
    this.#recount()
    this.#callReady()
    const end = this.#takeEnd
    this.#take = this.#takeEnd = undefined
    end?.(this.#body.trailers)
  }

  /** The body cannot be read to its end: the upstream must not take what it got for the whole. */
  #bodyFailed(problem: GatewayError): void {
    const exchange = this.#exchange
    this.#keepAlive = false
    if (this.#state === 'discarding' || exchange === undefined) {
      this.#close()
      return
    }
    this.#dropBody()
    exchange.cancel?.()
    if (exchange.responseBegun) {
      this.abort()
      finish(exchange)
    } else exchange.refuse(problem)
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
    return this.#body.done
  }

  get waiting(): readonly Buffer[] {
    return this.#waiting?.pieces() ?? []
  }

  get waitingBytes(): number {
    return this.#waiting?.length ?? 0
  }

  whenReady(limit: number, ready: () => void): void {
    if (this.#body.done || this.waitingBytes > limit) {
      ready()
      return
    }
    this.#ready = ready
    this.#readyLimit = limit
    this.#askForBody()
  }

  #askForBody(): void {
    if (this.#owesContinue) {
      this.#owesContinue = false
      this.interim(100, 'Continue', '')
    }
    this.resume()
  }

  pipe(take: (bytes: Buffer, from: number, to: number) => boolean, end: (trailers: string) => void): void {
    this.#waiting = undefined
    this.#recount()
    if (this.#body.done) {
      end(this.#body.trailers)
      return
    }
    this.#take = take
    this.#takeEnd = end
    this.#askForBody()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#state === 'exchange' && !this.#body.done) this.deadline = now() + this.#runtime.timeouts.bodyMs
    this.#socket.resume()
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.deadline = Infinity
    this.#socket.pause()
  }

  // ---- the response

  interim(status: number, reason: string, lines: string): void {
    if (this.#exchange === undefined || this.#exchange.head.minor === 0) return
    this.#writer.text(`HTTP/1.1 ${status} ${reason}\r\n${lines}\r\n`)
    this.#writer.flush()
  }

  begin(head: OutgoingHead): void {
    const minor = this.#exchange?.head.minor ?? 1
    const isLast = this.#clientDone && this.#kept === undefined && !this.#consuming
    if (this.#runtime.draining || isLast || !this.#isBodyHarmless()) this.#keepAlive = false
    this.#bodiless = head.bodiless
    this.#chunked = this.#endsWithConnection = false
    let framing = ''
    if (head.length !== undefined && head.length >= 0) framing = `Content-Length: ${head.length}\r\n`
    else if (head.length !== undefined && !head.bodiless) {
      if (minor > 0) {
        this.#chunked = true
        framing = 'Transfer-Encoding: chunked\r\n'
      } else {
        this.#endsWithConnection = true
        this.#keepAlive = false
      }
    }
    const connection = this.#keepAlive ? 'Connection: keep-alive' : 'Connection: close'
    this.#writer.text(`HTTP/1.1 ${head.status} ${head.reason}\r\n${framing}${connection}\r\n${head.lines}\r\n`)
  }

  /** Whether what is left of the request's body can be read away, so that the connection stays of use. */
  #isBodyHarmless(): boolean {
    if (this.#body.done) return true
    if (this.#owesContinue || this.#body.failed) return false
    return this.#take !== undefined || this.#isBodyShort()
  }

  #isBodyShort(): boolean {
    return this.#bodyLength >= 0 && this.#bodyLength - this.#bodyBytes <= maxDiscardedBytes
  }

  send(bytes: Buffer, from: number, to: number): void {
    if (this.#bodiless || to === from || this.#state !== 'exchange') return
    if (!this.#chunked) {
      this.#writer.bytes(bytes, from, to)
      return
    }
    this.#writer.text(`${(to - from).toString(16)}\r\n`)
    this.#writer.bytes(bytes, from, to)
    this.#writer.text('\r\n')
  }

  sendText(text: string): void {
    if (!this.#bodiless) this.#writer.text(text)
  }

  flush(): boolean {
    if (this.#state !== 'exchange') return true
    const goesOn = this.#writer.flush()
    if (!goesOn) this.#awaitReader()
    return goesOn
  }

  /** The client takes its time, and its request's head waits with it. Its answer has begun, so that others are given up for it, not it. */
  #awaitReader(): void {
    this.deadline = now() + this.#runtime.timeouts.sendMs
    if (this.#exchange === undefined || this.#headBytes > 0) return
    this.#headBytes = this.#exchange.head.text.length
    this.#count()
  }

  end(trailers: string): void {
    if (this.#state !== 'exchange') return
    if (this.#chunked) this.#writer.text(`0\r\n${trailers}\r\n`)
    this.#writer.flush()
    this.#exchange = undefined
    this.#dropBody()
    if (!this.#keepAlive || !(this.#body.done || this.#isBodyShort())) {
      this.#close()
      return
    }
    if (this.#body.done) {
      this.#next()
      return
    }
    this.#state = 'discarding'
    this.deadline = now() + this.#runtime.timeouts.bodyMs
    this.resume()
  }

  abort(): void {
    this.#exchange = undefined
    this.#dropBody()
    if (this.#state === 'closed') return
    if (!this.#endsWithConnection) {
      this.#close()
      return
    }
    this.#state = 'closed'
    // Where its end is the connection's, only a reset tells the client that the response is not complete.
    if (this.scheme === 'http') this.#socket.resetAndDestroy()
    else this.#socket.destroy()
  }

  upgrade(lines: string, successor: (socket: net.Socket) => Successor): void {
    if (this.#state !== 'exchange') return
    this.#writer.text(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${lines}\r\n`)
    this.#writer.flush()
    this.deadline = Infinity
    this.#successor = successor(this.#socket)
    const early = this.#kept?.subarray(0, this.#keptLength)
    this.#kept = undefined
    this.#headBytes = 0
    this.#recount()
    this.resume()
    if (early) this.#successor.onBytes(early, early.length)
    if (this.#clientDone) this.#successor.onEnd()
  }

  #dropBody(): void {
    this.#waiting = undefined
    this.#headBytes = 0
    this.#ready = this.#take = this.#takeEnd = undefined
    this.#recount()
  }

  /** The connection is free for the next request, which may have been read already. */
  #next(): void {
    if (!this.#keepAlive || (this.#clientDone && this.#kept === undefined && !this.#consuming)) {
      this.#close()
      return
    }
    this.#body = noBody
    if (this.#writer.needsDrain) {
      // A client that asks without reading the answers must not make them pile up.
      this.#state = 'sending'
      this.deadline = now() + this.#runtime.timeouts.sendMs
      return
    }
    this.#state = 'idle'
    this.deadline = now() + this.#runtime.timeouts.keepAliveMs
    this.resume()
    const kept = this.#kept
    if (kept === undefined || this.#consuming) return
    this.#consumeKept(kept, this.#keptLength)
    if (this.#clientDone && (this.#state === 'idle' || this.#state === 'head')) this.#close()
  }

  /** Ends the connection so that everything written still arrives. */
  #close(): void {
    if (this.#state === 'closing' || this.#state === 'closed') return
    this.#state = 'closing'
    this.#kept = undefined
    this.#recount()
    this.deadline = now() + this.#runtime.timeouts.sendMs
    this.#socket.end(() => (this.deadline = look() + lingerMs))
    this.#paused = true
    this.resume()
  }

  // ---- what happens on the socket

  onDeadline(): void {
    switch (this.#state) {
      case 'head':
        this.#reject(errors.requestTimeout)
        return
      case 'exchange':
        if (this.#exchange && !this.#exchange.responseBegun) this.#bodyFailed(errors.requestTimeout)
        else this.#leave()
        return
      case 'idle':
        this.#close()
        return
      case 'sending':
        this.#leave()
        return
      case 'discarding':
      case 'closing':
        this.#socket.destroy()
        return
      case 'closed':
        return
    }
  }

  onEnd(): void {
    this.#clientDone = true
    if (this.#successor && this.#state === 'exchange') this.#successor.onEnd()
    else if (this.#state === 'exchange' || this.#state === 'sending') {
      if (!this.#body.done) this.#bodyFailed(errors.badRequest)
    } else if (this.#state === 'closing') this.#socket.destroySoon()
    else this.#close()
  }

  onDrain(): void {
    look()
    this.#successor?.onDrain()
    if (this.#state === 'sending') this.#next()
    if (this.#state !== 'exchange' || this.#successor) return
    this.deadline = this.#body.done ? Infinity : now() + this.#runtime.timeouts.bodyMs
    this.#exchange?.onDrain?.()
  }

  onClose(): void {
    this.#runtime.stats.active--
    this.#runtime.deadlines.delete(this)
    this.#leave()
  }

  /** The client has gone, or is given up. */
  #leave(): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    this.#state = 'closed'
    this.#kept = undefined
    this.#dropBody()
    this.#socket.destroy()
    if (exchange === undefined) return
    exchange.cancel?.()
    if (!exchange.responseBegun) exchange.status = 499
    finish(exchange)
  }

  /** Ends the connection as soon as nothing is going on: at once when it is idle. */
  drain(): void {
    if (this.#successor) this.#successor.drain()
    else if (this.#state !== 'idle') this.#keepAlive = false
    else if (this.#requests > 0) this.#close()
    // Whoever has just connected is about to ask.
    else this.deadline = Math.min(this.deadline, Date.now() + firstRequestMs)
  }

  /** What is under way: nothing between requests. */
  get exchanges(): readonly Exchange[] {
    return this.#exchange ? [this.#exchange] : []
  }

  destroy(): void {
    this.#leave()
  }
}

/** An address without the prefix that a listener of both families puts before IPv4 ones. */
export const plainAddress = (address = ''): string => (address.startsWith('::ffff:') ? address.slice(7) : address)
