/** The last step of the road: the request goes to the upstream, and what comes back to the client. */
import type net from 'node:net'
import { errors } from './answers.ts'
import type { Outcome } from './balancer/health/count.ts'
import type { Peer, PickFailure } from './balancer/peer.ts'
import type { Carrier } from './carrier.ts'
import { look, now } from './clock.ts'
import type { Exchange } from './exchange.ts'
import { idOf } from './http1/fields.ts'
import { firstById, firstValue, type ResponseHead } from './http1/head.ts'
import { keptLines, nominatedNames } from './http1/lines.ts'
import { responseDrop } from './http1/fields.ts'
import type { SocketEvents } from './http1/socket.ts'
import { Tunnel } from './http1/tunnel.ts'
import type { Carried, Failure } from './http1/upstream-connection.ts'
import type { RoutePlan } from './plan.ts'
import type { ServicePlan } from './service-plan.ts'
import { timedPick, type Debugged } from './request-debug.ts'
import { ByteQueue } from './http2/byte-queue.ts'
import { RequestBuffer } from './request-buffer.ts'
import { requestText, upstreamName } from './request-text.ts'
import { beginUpstreamResponse, breakOff, endBody, sendPiece, switchProtocols } from './respond.ts'
import { ResponseBuffer } from './response-buffer.ts'
import type { Step } from './step.ts'

const upgrade = idOf('upgrade')

/** Sends the request on; the answer, if not that of an error found at once, comes by `respond.ts`. */
export function forward(exchange: Exchange): Step {
  const plan = exchange.plan as RoutePlan
  if (plan.service === undefined) return errors.noService
  exchange.upgrades = exchange.head.upgrade && asksForWebSocket(exchange)
  const forwarding = new Forwarding(exchange, plan, plan.service)
  const { body } = exchange.downstream
  // A call of gRPC may be a conversation, which has no end to wait for.
  const waits = plan.route.request_buffering && !plan.service.http2
  if (body.complete || exchange.redirection?.body) forwarding.begin()
  else if (waits) body.whenReady(exchange.runtime.bodyBufferBytes, () => forwarding.beginWhenWhole())
  else body.whenReady(-1, () => forwarding.begin())
  return undefined
}

/** RFC 6455 4.1: a GET without a body, whose `Connection` names `Upgrade`. Any other upgrade is dropped, as RFC 9110 7.8 allows. */
function asksForWebSocket({ head, redirection, downstream }: Exchange): boolean {
  return (
    firstById(head, upgrade)?.toLowerCase() === 'websocket' &&
    head.method === 'GET' &&
    (redirection?.method ?? 'GET') === 'GET' &&
    head.minor > 0 &&
    downstream.body.length === 0 &&
    head.nominated?.includes('upgrade') === true
  )
}

/** Methods that may be sent twice, since twice means the same as once (RFC 9110 9.2.2). */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** Bytes of a call's body that are kept until its response begins: as much as most calls have. */
const keptBytes = 16 * 1024

/** What a failure says of the peer. */
const outcomes: Readonly<Record<Failure, Outcome>> = {
  refused: 'tcp failure',
  'connect timeout': 'timeout',
  closed: 'tcp failure',
  timeout: 'timeout',
  invalid: 'tcp failure',
  unprocessed: 'tcp failure',
}

class Forwarding implements Carried {
  readonly method: string
  readonly connectTimeoutMs: number
  readonly writeTimeoutMs: number
  readonly readTimeoutMs: number
  readonly upgrades: boolean
  readonly #exchange: Exchange
  readonly #plan: RoutePlan
  readonly #service: ServicePlan
  #connection: Carrier | undefined
  /** Where the request is now, and since when. */
  #peer: Peer | undefined
  #sentMs = 0
  #hash: number | undefined
  #tries = 0
  #tried: Set<Peer> | undefined
  /** True once body bytes were handed on that are not kept: then the request cannot be sent again. */
  #streaming = false
  /** A short beginning of what was handed on, kept while a call may have to be sent again; and whether that is all of it. */
  #kept: ByteQueue | undefined
  #ended: string | undefined
  /** What the client has not taken yet; undefined while it has made nobody wait. */
  #buffer: ResponseBuffer | undefined

  constructor(exchange: Exchange, plan: RoutePlan, service: ServicePlan) {
    this.#exchange = exchange
    this.#plan = plan
    this.#service = service
    this.method = exchange.redirection?.method ?? exchange.method
    this.connectTimeoutMs = service.connectTimeoutMs
    this.writeTimeoutMs = service.writeTimeoutMs
    this.readTimeoutMs = service.readTimeoutMs
    this.upgrades = exchange.upgrades
  }

  /** Waits for what is missing of a longer body. */
  beginWhenWhole(): void {
    const exchange = this.#exchange
    const { downstream, runtime } = exchange
    if (exchange.finished) return
    if (!downstream.body.complete) {
      exchange.cancel = () => this.#cancel()
      exchange.buffered = RequestBuffer.of(downstream.body, runtime.spools, {
        ready: () => this.begin(),
        lost: () => this.#loseBody(),
      })
      if (exchange.buffered) return
    }
    this.begin()
  }

  #loseBody(): void {
    this.#cancel()
    if (this.#exchange.responseBegun) breakOff(this.#exchange)
    else this.#exchange.refuse(errors.unexpected)
  }

  /** Tries a peer. */
  begin(): void {
    const exchange = this.#exchange
    if (exchange.finished) return
    const { balancer } = this.#service
    if (this.#tries === 0) this.#hash = balancer.hashOf?.(exchange)
    if (exchange.debugged !== undefined) {
      this.#beginTimed(exchange.debugged)
      return
    }
    const picked = balancer.pick(this.#hash, this.#tried)
    if (picked instanceof Promise) {
      void picked.then((peer) => {
        look()
        this.#sendTo(peer)
      })
    } else this.#sendTo(picked)
  }

  #beginTimed(debugged: Debugged): void {
    const { balancer } = this.#service
    const picked = timedPick(debugged, this.#tries === 0, balancer, () => balancer.pick(this.#hash, this.#tried))
    const send = (peer: Peer | PickFailure): void => {
      look()
      if (peer.failed !== undefined) this.#sendTo(peer)
      else debugged.timing.during(['balancer'], () => this.#sendTo(peer))
    }
    if (picked instanceof Promise) void picked.then(send)
    else send(picked)
  }

  #sendTo(peer: Peer | PickFailure): void {
    const exchange = this.#exchange
    if (exchange.finished || exchange.responseBegun) return
    if (peer.failed !== undefined) {
      exchange.refuse(peer.failed === 'no peer' ? errors.noPeer : errors.nameResolution)
      return
    }
    exchange.peer = peer
    const { cookieFor } = this.#service.balancer
    if (cookieFor) exchange.balancerCookie = cookieFor(peer, this.#hash)
    this.#peer = peer
    peer.load.inFlight++
    this.#tries++
    this.#sentMs = now()
    exchange.upstreamStartMs ||= this.#sentMs
    exchange.cancel = () => this.#cancel()
    const connection = this.#carrierTo(peer)
    this.#connection = connection
    connection.carry(this, requestText(exchange, this.#plan, this.#service, peer))
    this.#sendBody(connection)
  }

  #carrierTo(peer: Peer): Carrier {
    const { pools } = this.#exchange.runtime
    const { tls, http2 } = this.#service
    const name = upstreamName(this.#exchange, this.#plan, peer)
    // A waiting connection may just be closing; what failed once is not tried on another of them.
    const isFirst = this.#tries === 1
    if (http2) return pools.takeStream(peer, tls, name, !isFirst)
    return isFirst ? pools.take(peer, tls, name) : pools.open(peer, tls, name)
  }

  #sendBody(connection: Carrier): void {
    const { downstream, redirection, buffered } = this.#exchange
    const { body } = downstream
    if (buffered) {
      this.#sendBuffered(connection, buffered)
      return
    }
    if (this.#kept) {
      this.#sendKept(connection, this.#kept)
      return
    }
    if (redirection?.body) {
      connection.send(redirection.body, 0, redirection.body.length)
      connection.finish('')
      return
    }
    const chunked = body.length < 0 && !body.complete && !connection.framed
    const send = chunked ? sendChunk : sendBytes
    for (const piece of body.waiting) send(connection, piece, 0, piece.length)
    if (body.complete) {
      connection.finish('')
      return
    }
    connection.flush()
    this.#streaming = true
    if (connection.framed) {
      this.#kept = new ByteQueue()
      for (const piece of body.waiting) this.#keep(piece, 0, piece.length)
    }
    // To whichever carrier the request is at: a call whose beginning is kept may be at another one by then.
    body.pipe(
      (bytes, from, to) => {
        this.#keep(bytes, from, to)
        if (this.#connection === undefined) return true
        send(this.#connection, bytes, from, to)
        return this.#connection.flush()
      },
      (trailers) => {
        this.#ended = trailers
        if (chunked) this.#connection?.sendText(`0\r\n${trailers}\r\n`)
        this.#connection?.finish(trailers)
      },
    )
  }

  #sendBuffered(connection: Carrier, buffered: RequestBuffer): void {
    const chunked = this.#exchange.downstream.body.length < 0 && buffered.length === undefined
    buffered.sendTo(connection, chunked ? sendChunk : sendBytes, (trailers) => {
      if (chunked) connection.sendText(`0\r\n${trailers}\r\n`)
      connection.finish('')
    })
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    if (this.#kept === undefined) return
    if (this.#kept.length + to - from > keptBytes) this.#kept = undefined
    else this.#kept.append(bytes, from, to)
  }

  #sendKept(connection: Carrier, kept: ByteQueue): void {
    for (const piece of kept.pieces()) connection.send(piece, 0, piece.length)
    if (this.#ended === undefined) connection.flush()
    else connection.finish(this.#ended)
  }

  #cancel(): void {
    this.#buffer?.close()
    this.#exchange.buffered?.close()
    this.#abandon()
  }

  #abandon(): void {
    const connection = this.#connection
    this.#connection = undefined
    this.#leave()
    connection?.abandon()
  }

  /** The request is not at its peer any more. */
  #leave(): void {
    this.#exchange.buffered?.leave()
    if (this.#peer) this.#peer.load.inFlight--
    this.#peer = undefined
  }

  /** Tells the balancer what the peer did, where that makes a difference. */
  #note(outcome: Outcome): void {
    const { note } = this.#service.balancer
    if (note && this.#peer) note(this.#peer, outcome, now() - this.#sentMs)
  }

  // ---- what the connection tells

  onInterim(head: ResponseHead): void {
    const lines = keptLines(head, responseDrop, 1, nominatedNames(head))
    this.#exchange.downstream.interim(head.status, head.reason, lines)
  }

  onHead(head: ResponseHead): void {
    const exchange = this.#exchange
    this.#noteHead(head)
    this.#kept = undefined
    exchange.onDrain = () => this.#onDrain()
    beginUpstreamResponse(exchange)
  }

  #noteHead(head: ResponseHead): void {
    const exchange = this.#exchange
    exchange.source = 'service'
    exchange.upstreamHeadMs = now()
    exchange.response = head
    exchange.status = head.status
    this.#peer?.load.responses.note(head.status, exchange.upstreamHeadMs - this.#sentMs)
    this.#note(head.status)
  }

  onPiece(bytes: Buffer, from: number, to: number): void {
    if (this.#buffer?.holds) this.#buffer.add(bytes, from, to)
    else sendPiece(this.#exchange, bytes, from, to)
  }

  onReadDone(): boolean {
    if (this.#buffer?.holds) return this.#buffer.mayRead()
    if (this.#exchange.downstream.flush()) return true
    if (!this.#buffer && this.#buffersResponse()) {
      this.#buffer = new ResponseBuffer(this.#exchange, () => this.#connection?.resume())
    }
    return this.#buffer?.mayRead() ?? false
  }

  /** A call of gRPC may be a conversation: whoever speaks goes by the other's pace. */
  #buffersResponse(): boolean {
    const { response } = this.#exchange
    if (this.#service.http2 || response === undefined) return false
    const wish = firstValue(response, 'x-accel-buffering')?.toLowerCase()
    return wish === 'yes' || (wish !== 'no' && this.#plan.route.response_buffering)
  }

  #onDrain(): void {
    if (this.#buffer) this.#buffer.drain()
    else this.#connection?.resume()
  }

  onEnd(trailers: string): void {
    this.#connection = undefined
    this.#leave()
    this.#endResponse(() => endBody(this.#exchange, trailers))
  }

  /** Ends the response once the client has got what came of it. */
  #endResponse(end: () => void): void {
    if (this.#buffer === undefined) {
      end()
      return
    }
    const buffer = this.#buffer
    buffer.end(() => {
      buffer.close()
      end()
    })
  }

  onUpgrade(head: ResponseHead, socket: net.Socket, early: Buffer): SocketEvents {
    const exchange = this.#exchange
    this.#connection = undefined
    this.#noteHead(head)
    let tunnel: Tunnel | undefined
    switchProtocols(exchange, (client) => {
      tunnel = new Tunnel({
        client,
        upstream: socket,
        idleMs: this.readTimeoutMs,
        sendMs: this.writeTimeoutMs,
        deadlines: exchange.runtime.deadlines,
        onSent: (bytes) => (exchange.bytesSent += bytes),
      })
      exchange.cancel = () => {
        this.#leave()
        tunnel?.close()
      }
      if (early.length > 0) tunnel.upstream.onBytes(early, early.length)
      return tunnel.client
    })
    return tunnel?.upstream ?? closing(socket)
  }

  onWritable(): void {
    if (this.#exchange.buffered) this.#exchange.buffered.resume()
    else this.#exchange.downstream.body.resume()
  }

  onFailure(failure: Failure, connection: Carrier): void {
    const exchange = this.#exchange
    if (this.#connection !== connection) return
    this.#connection = undefined
    if (failure !== 'unprocessed' && !this.#wasStale(failure, connection)) {
      if (this.#peer && !exchange.response) this.#peer.load.failures++
      this.#note(outcomes[failure])
    }
    this.#leave()
    if (exchange.finished) return
    if (exchange.responseBegun) {
      this.#endResponse(() => breakOff(exchange))
      return
    }
    if (this.#mayTryAgain(failure, connection)) {
      if (exchange.peer) (this.#tried ??= new Set()).add(exchange.peer)
      this.begin()
      return
    }
    exchange.refuse(failure === 'timeout' || failure === 'connect timeout' ? errors.gatewayTimeout : errors.badGateway)
  }

  /** A request that may go elsewhere does not wait for a peer that has been found unhealthy. */
  onPeersTurned(connection: Carrier): void {
    const peer = this.#peer
    const { balancer } = this.#service
    if (this.#connection !== connection || !peer || balancer.isHealthy(peer)) return
    if (!this.#mayTryAgain(connection.connected ? 'timeout' : 'connect timeout', connection)) return
    const tried = new Set(this.#tried).add(peer)
    const next = balancer.pick(this.#hash, tried)
    if (next instanceof Promise || next.failed !== undefined || tried.has(next)) return
    this.#abandon()
    this.#tried = tried
    this.#sendTo(next)
  }

  /**
   * Whether the request is sent again: where nothing of it can have reached an application, or where twice means the same as
   * once.
   */
  #mayTryAgain(failure: Failure, connection: Carrier): boolean {
    const { buffered } = this.#exchange
    const isGone = buffered ? !buffered.isKept : this.#streaming && this.#kept === undefined
    if (isGone || failure === 'invalid') return false
    const unsent = failure === 'refused' || failure === 'connect timeout' || failure === 'unprocessed'
    if (!unsent && !idempotent.has(this.method)) return false
    return this.#wasStale(failure, connection) || this.#tries <= this.#service.retries
  }

  /** A connection that had waited in the pool and closed at the wrong moment is not the fault of the peer, and not counted. */
  #wasStale(failure: Failure, connection: Carrier): boolean {
    return failure === 'closed' && connection.reused && this.#tries === 1 && !this.#exchange.responseBegun
  }
}

/** For a socket that the client has not waited for. */
function closing(socket: net.Socket): SocketEvents {
  socket.destroy()
  return { onBytes() {}, onEnd() {}, onDrain() {}, onClose() {} }
}

export type Send = (connection: Carrier, bytes: Buffer, from: number, to: number) => void

const sendBytes: Send = (connection, bytes, from, to) => connection.send(bytes, from, to)

const sendChunk: Send = (connection, bytes, from, to) => {
  connection.sendText(`${(to - from).toString(16)}\r\n`)
  connection.send(bytes, from, to)
  connection.sendText('\r\n')
}
