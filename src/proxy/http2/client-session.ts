/**
 * A client's HTTP/2 connection: each stream that it opens is a request.
 * Source: RFC 9113 5.1 (streams), 6.8 (how a connection is ended so that nothing is lost).
 */
import type net from 'node:net'
import type { TLSSocket } from 'node:tls'
import { look, now } from '../clock.ts'
import type { Exchange } from '../exchange.ts'
import type { Holder } from '../held-bytes.ts'
import { plainAddress } from '../http1/client-connection.ts'
import { emptyHead } from '../http1/head.ts'
import type { ProxiedPeer } from '../proxy-protocol.ts'
import type { UsualLines } from '../request-text.ts'
import type { Runtime } from '../runtime.ts'
import { clientCertificate } from '../tls/client-certificate.ts'
import { ClientStream } from './client-stream.ts'
import { readRequestHead } from './fields.ts'
import { errorCode, maxWindow, preface, setting } from './frames.ts'
import type { Fields } from './hpack.ts'
import { Session } from './session.ts'
import type { Stream } from './stream.ts'

/** How long a client may take to learn that the connection ends, before no more requests are taken. */
const noticeMs = 1000
const noticePing = 'goodbye!'

export class ClientSession extends Session implements Holder {
  /** Of frames and header blocks that are not complete; its streams hold for themselves. */
  heldBytes = 0
  /** Of the heads of open streams. */
  headBytes = 0
  readonly scheme: 'http' | 'https'
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
  readonly serverName: string | undefined
  readonly proxied: ProxiedPeer | undefined
  usualLines: UsualLines | undefined
  readonly #runtime: Runtime
  /** When it has had its time: those who ask later do so on another connection. */
  readonly #endMs: number
  #requests = 0
  /** `telling`: the client has been told that the end is near; `leaving`: no more requests are taken. */
  #phase: 'serving' | 'telling' | 'leaving' = 'serving'
  #awaitsBlock = false
  /** Requests that have just begun. */
  readonly #fresh: ClientStream[] = []

  constructor(runtime: Runtime, socket: net.Socket, scheme: 'http' | 'https', proxied?: ProxiedPeer) {
    const { headLimits, http2, timeouts } = runtime
    super({ headBytes: headLimits.headBytes, windowBytes: http2.bodyBytes, sendMs: timeouts.sendMs }, preface)
    this.attach(socket)
    this.#runtime = runtime
    this.scheme = scheme
    this.remoteAddress = plainAddress(socket.remoteAddress)
    this.remotePort = socket.remotePort ?? 0
    this.localAddress = plainAddress(socket.localAddress)
    this.localPort = socket.localPort ?? 0
    this.serverName = (scheme === 'https' && (socket as TLSSocket).servername) || undefined
    this.proxied = proxied
    const openedMs = look()
    this.#endMs = openedMs + http2.lifetimeMs
    this.deadline = Math.min(openedMs + timeouts.headMs, this.#endMs)
    runtime.deadlines.add(this)
    runtime.stats.accepted++
    runtime.stats.active++
    this.greet([
      [setting.maxConcurrentStreams, http2.maxStreams],
      [setting.maxHeaderListSize, headLimits.headBytes],
    ])
  }

  get clientCertificate(): Buffer | undefined {
    return clientCertificate(this.socket)
  }

  protected isUnused(id: number): boolean {
    return id > this.lastId || id % 2 === 0
  }

  protected onOpen(id: number, fields: Fields, endStream: boolean): void {
    if (id % 2 === 0) return this.fail(errorCode.protocol, 'clients open odd streams')
    if (id <= this.lastId) return this.#onClosedStream(id)
    this.noteOpened(id)
    // RFC 9113 6.8: whoever opened it knows from GOAWAY that it was not taken, and may ask elsewhere.
    if (this.#phase === 'leaving' || this.#isFull) return this.refuse(id, errorCode.refusedStream)
    const head = fields.tooLarge ? tooLarge : readRequestHead(fields.list, this.#runtime.headLimits)
    if (head === undefined || (endStream && !('refused' in head) && head.contentLength > 0))
      return this.refuse(id, errorCode.protocol)
    if (this.#phase === 'serving') this.deadline = this.#endMs
    const stream = new ClientStream(this, this.#runtime, id)
    stream.remoteClosed = endStream
    this.streams.set(id, stream)
    this.#count()
    this.#fresh.push(stream)
    stream.start(head)
  }

  /** As many connections, or streams in their place, as there may be, or as many bytes of heads in this one. */
  get #isFull(): boolean {
    const { stats, openStreams, maxConnections, http2 } = this.#runtime
    if (this.headBytes > http2.bodyBytes) return true
    return this.streams.size >= http2.maxStreams || stats.active + openStreams >= maxConnections
  }

  #onClosedStream(id: number): void {
    const byUs = this.mayStillCome(id)
    if (byUs === undefined) this.fail(errorCode.protocol, 'streams are opened in order')
    else if (!byUs) this.fail(errorCode.streamClosed, 'HEADERS of a closed stream')
    else this.spend()
  }

  #count(): void {
    const { maxRequestsPerConnection, draining } = this.#runtime
    if (++this.#requests >= maxRequestsPerConnection || draining) this.drain()
  }

  protected onRead(inBlock: boolean): void {
    // Now, not at once: what came of their bodies with them is there already, and they can be sent twice.
    for (const stream of this.#fresh.splice(0)) stream.travel()
    const { held } = this.#runtime
    if (this.partialBytes !== this.heldBytes && !held.hold(this, this.partialBytes)) return this.giveUp()
    if (inBlock === this.#awaitsBlock || this.state !== 'open' || this.#phase === 'telling') return
    this.#awaitsBlock = inBlock
    if (inBlock) this.deadline = Math.min(this.deadline, now() + this.#runtime.timeouts.headMs)
    else if (this.streams.size > 0) this.deadline = this.#phase === 'serving' ? this.#endMs : Infinity
    else this.#restart()
  }

  /** Others need the room. */
  giveUp(): void {
    this.releasePartial()
    this.fail(errorCode.enhanceYourCalm, 'too much is incomplete')
  }

  #restart(): void {
    this.deadline = Math.min(now() + this.#runtime.timeouts.keepAliveMs, this.#endMs)
  }

  /** The other end broke a rule in one of its streams. */
  blame(): void {
    this.spend()
  }

  protected onAnswered(stream: Stream): void {
    // RFC 9113 8.1: the response is complete, the rest of the request is of no use.
    this.reset(stream, errorCode.none)
  }

  protected onGone(isAnswered: boolean): void {
    if (isAnswered) this.allowance.earn(3)
    if (this.streams.size > 0 || this.state !== 'open') return
    if (this.#phase === 'leaving') this.end()
    else if (this.#phase === 'serving') this.#restart()
  }

  protected onGoAway(): void {
    // It opens no more streams: what is under way is finished.
    if (this.#phase === 'leaving') return
    this.#phase = 'leaving'
    if (this.streams.size === 0) this.end()
  }

  protected onSettings(): void {}

  protected onPong(payload: string): void {
    if (payload === noticePing) this.#leave()
    else this.spend()
  }

  /** Takes no more requests, and ends the connection when those under way are answered. */
  drain(): void {
    if (this.#phase !== 'serving') return
    this.#phase = 'telling'
    this.sendGoAway(maxWindow, errorCode.none)
    this.ping(noticePing)
    this.deadline = now() + noticeMs
  }

  #leave(): void {
    if (this.#phase !== 'telling') return
    this.#phase = 'leaving'
    this.deadline = Infinity
    this.sendGoAway(this.lastId, errorCode.none)
    if (this.streams.size === 0) this.end()
  }

  protected onLate(): void {
    if (this.#phase === 'telling') this.#leave()
    else if (this.#phase === 'serving' && now() >= this.#endMs) this.drain()
    else if (this.#awaitsBlock) this.fail(errorCode.enhanceYourCalm, 'a header block takes too long')
    else this.drain()
  }

  protected onOver(): void {
    this.#runtime.stats.active--
    this.#runtime.held.hold(this, 0)
    this.#runtime.deadlines.delete(this)
  }

  /** What is under way. */
  get exchanges(): readonly Exchange[] {
    return Array.from(this.streams.values(), (stream) => (stream as ClientStream).exchange ?? []).flat()
  }
}

/** Of a head that is too large nothing is known. */
const tooLarge = { refused: true, status: 494, head: emptyHead } as const
