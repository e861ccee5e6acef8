/**
 * One request and its response, whatever protocol they came by: what is known of it, and what the road has decided so far.
 * The road itself is `way.ts`; what plugins see of it is `kong.ts`.
 */
import type net from 'node:net'
import type { Entity } from '../pdk/entities.ts'
import type { Identity } from '../pdk/identity.ts'
import { inShape } from '../pdk/error-shape.ts'
import type { Answer, Kong } from '../pdk/kong.ts'
import { errorAnswer, type GatewayError } from './answers.ts'
import type { HashInput } from './balancer/hash.ts'
import type { Peer } from './balancer/peer.ts'
import type { Chain } from './chains.ts'
import { now } from './clock.ts'
import { idOf } from './http1/fields.ts'
import { firstById, type RequestHead, type ResponseHead } from './http1/head.ts'
import { allValues, type HeaderChanges } from './http1/lines.ts'
import type { Successor } from './http1/tunnel.ts'
import { createKong } from './kong.ts'
import { hostPort } from './host.ts'
import { grpcAnswer, grpcError, isGrpc } from './grpc.ts'
import { chainOfPlan, type Compiled, type RoutePlan } from './plan.ts'
import { clientAddress } from './real-ip.ts'
import type { RequestBuffer } from './request-buffer.ts'
import type { Debugged } from './request-debug.ts'
import { respond } from './respond.ts'
import type { Match, RoutingRequest } from './router/router.ts'
import { nextRequestId } from './request-id.ts'
import type { UsualLines } from './request-text.ts'
import type { ProxiedPeer } from './proxy-protocol.ts'
import type { Runtime } from './runtime.ts'

/** The client's side of an exchange: where its request's body comes from and its response goes to. */
export interface Downstream {
  /** The major version of HTTP that the client speaks. */
  readonly httpVersion: 1 | 2
  readonly scheme: 'http' | 'https'
  readonly remoteAddress: string
  readonly remotePort: number
  /** The address that the client has connected to, where that is known. */
  readonly localAddress?: string | undefined
  readonly localPort: number
  /** Whom a balancer in front named in its PROXY protocol header. */
  readonly proxied?: ProxiedPeer | undefined
  /** The name that the client asked for in the TLS handshake. */
  readonly serverName: string | undefined
  /** The certificate (DER) that the client has shown, if it was asked. */
  readonly clientCertificate?: Buffer | undefined
  readonly body: RequestBody
  /** What `request-text.ts` keeps for the next request of the same connection, where there may be one. */
  usualLines?: UsualLines | undefined
  /** Sends an interim response (1xx) where the client's protocol knows them. */
  interim(status: number, reason: string, lines: string): void
  /** Begins a response; what is given from here on is sent by `flush` and `end`, or earlier where it is much. */
  begin(head: OutgoingHead): void
  /** Adds a piece of the body; the bytes are copied. */
  send(bytes: Buffer, from: number, to: number): void
  /** Adds a piece of the body as text, one byte a character, in a response whose length was told. */
  sendText(text: string): void
  /** False when the client is slower than that: `onDrain` of the exchange tells when to go on. */
  flush(): boolean
  /** The response is complete; `trailers` are lines, each ending in CRLF. */
  end(trailers: string): void
  /** The response cannot be completed: the client must see that it was cut short. */
  abort(): void
  /** Answers 101 with these header lines, and gives the connection away to who is made for its socket; what came early is given first. */
  upgrade(lines: string, successor: (socket: net.Socket) => Successor): void
}

/** A request's body, read as far as somebody takes it. */
export interface RequestBody {
  /** Bytes announced; -1 where that is not known in advance. */
  readonly length: number
  readonly complete: boolean
  /** The bytes that have been read and not been taken yet. */
  readonly waiting: readonly Buffer[]
  readonly waitingBytes: number
  /** Calls back once the body is complete or more than `limit` bytes of it wait; at once where that is so already. Never if it fails. */
  whenReady(limit: number, ready: () => void): void
  /**
   * Hands every further piece over instead of keeping it, and tells of the end. `take` copies the bytes, and returns false to be
   * left alone until `resume` is called. Call it after `waiting` was taken over.
   */
  pipe(take: (bytes: Buffer, from: number, to: number) => boolean, end: (trailers: string) => void): void
  resume(): void
}

export interface OutgoingHead {
  readonly status: number
  readonly reason: string
  /** Header lines but for framing and persistence, each ending in CRLF. */
  readonly lines: string
  /** Bytes of the body; -1 where that is not known in advance; undefined where the response has no body and says no length. */
  readonly length: number | undefined
  readonly bodiless: boolean
}

/** What is changed in a request on its way to the upstream. */
export interface Redirection {
  path?: string
  query?: string
  method?: string
  /** Sent in place of the body that the client sends. */
  body?: Buffer
}

const accept = idOf('accept')

export class Exchange implements RoutingRequest, HashInput {
  readonly runtime: Runtime
  /** The configuration that was in force when the request came. */
  readonly config: Compiled
  readonly downstream: Downstream
  readonly head: RequestHead
  readonly id: string = nextRequestId()
  readonly startMs: number = now()
  /** Who the client is: the connection's other end, or whom a trusted proxy names. */
  readonly clientIp: string
  /** The path of the request target as received, and what stands behind its `?`. */
  rawPath = ''
  rawQuery = ''
  hasQuery = false
  /** The path that is routed: normalised. */
  path = ''
  match: Match<number> | undefined
  identity: Identity | undefined
  requestChanges: HeaderChanges | undefined
  /** What plugins have put into the log, by its name there. */
  logged: Map<string, unknown> | undefined
  redirection: Redirection | undefined
  /** The plugins' configs where they depend on the consumer, by the index of the chain's calls. */
  picked: unknown[] | undefined
  // what the upstream did
  peer: Peer | undefined
  upstreamStartMs = 0
  upstreamHeadMs = 0
  response: ResponseHead | undefined
  // the response
  source: 'service' | 'exit' | 'error' = 'error'
  status = 0
  bytesSent = 0
  responseChanges: HeaderChanges | undefined
  balancerCookie: string | undefined
  answered: Answer | undefined
  responseBegun = false
  finished = false
  /** Stops whatever the exchange waits for at the upstream, when the client has gone. */
  cancel: (() => void) | undefined
  /** Its body where that was waited for, and is not with the client's connection any more. */
  buffered: RequestBuffer | undefined
  /** Where the time of this request is taken, when it is debugged. */
  debugged: Debugged | undefined
  /** Whether the upstream is asked to speak WebSocket. */
  upgrades = false
  /** Called when the client can take more of the response's body. */
  onDrain: (() => void) | undefined
  #kong: Kong | undefined

  constructor(runtime: Runtime, downstream: Downstream, head: RequestHead) {
    this.runtime = runtime
    this.config = runtime.config
    this.downstream = downstream
    this.head = head
    this.clientIp = clientAddress(runtime, downstream, head)
  }

  get plan(): RoutePlan | undefined {
    return this.match === undefined ? undefined : this.config.plans[this.match.target]
  }

  /** The plugins that take part: the route's, or the global ones while no route is known. */
  get chain(): Chain {
    return chainOfPlan(this.config, this.plan)
  }

  get consumer(): Entity | undefined {
    return this.identity?.consumer ?? undefined
  }

  get kong(): Kong {
    return (this.#kong ??= createKong(this))
  }

  // ---- what the router looks at

  get method(): string {
    return this.head.method
  }

  get host(): string {
    return this.head.host
  }

  get port(): number {
    return hostPort(this.head.host) ?? (this.scheme === 'https' ? 443 : 80)
  }

  get scheme(): 'http' | 'https' {
    return this.downstream.scheme
  }

  get clientPort(): number {
    return this.downstream.remotePort
  }

  get serverIp(): string {
    return this.downstream.localAddress ?? ''
  }

  /** The port as clients know it. */
  get serverPort(): number {
    const { localPort } = this.downstream
    return this.runtime.portMap.get(localPort) ?? localPort
  }

  get sni(): string | undefined {
    return this.downstream.serverName
  }

  header(lowerName: string): readonly string[] | undefined {
    const values = allValues(this.head, lowerName)
    return values.length > 0 ? values : undefined
  }

  // ---- where the road ends

  /** Ends the road with an answer of a plugin's. */
  answer(answer: Answer): void {
    this.source = 'exit'
    this.#respond(answer)
  }

  /** Ends the road with an error of the gateway's own. */
  refuse(problem: GatewayError): void {
    this.source = 'error'
    if (this.isCall) respond(this, grpcAnswer(grpcError(problem)))
    else this.#respond(errorAnswer(problem, firstById(this.head, accept), this.id, this.runtime.errorForm))
  }

  /** Whether it is a call of gRPC, whose client reads no bodies of the gateway's. */
  get isCall(): boolean {
    return this.downstream.httpVersion === 2 && isGrpc(this.head)
  }

  #respond(answer: Answer): void {
    if (this.isCall) {
      respond(this, grpcAnswer(answer))
      return
    }
    const shape = answer.shape ?? this.runtime.errorShape
    respond(this, shape === undefined ? answer : inShape(answer, shape, this.id))
  }
}
