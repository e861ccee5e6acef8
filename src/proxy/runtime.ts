/** What all connections of a worker share: the configuration in force, the limits, and where to tell what happened. */
import type { AccessEntry, Log } from '../observe/log.ts'
import type { RouteTally } from '../observe/traffic.ts'
import type { Entities } from '../pdk/entities.ts'
import type { ErrorShape } from '../pdk/error-shape.ts'
import type { Form } from './answers.ts'
import type { Deadlines } from './deadlines.ts'
import type { HeldBytes } from './held-bytes.ts'
import type { HeadLimits } from './http1/head.ts'
import type { Compiled } from './plan.ts'
import type { Pools } from './pools.ts'
import type { RequestDebug } from './request-debug.ts'
import type { SpoolSpace } from './spool.ts'

/** Which of its own headers the gateway sends. Source: Kong's docs, `headers` and `headers_upstream`. */
export interface SentHeaders {
  readonly server: boolean
  readonly via: boolean
  readonly proxyLatency: boolean
  readonly upstreamLatency: boolean
  readonly responseLatency: boolean
  readonly requestId: boolean
  readonly upstreamRequestId: boolean
  readonly upstreamStatus: boolean
}

export interface Timeouts {
  /** From the first byte of a head to its last, in ms. */
  readonly headMs: number
  /** Between two reads of a body, in ms. */
  readonly bodyMs: number
  /** Between two requests of a connection, in ms. */
  readonly keepAliveMs: number
  /** While the client takes nothing of a response, in ms. */
  readonly sendMs: number
}

export interface Http2Limits {
  /** Requests that may be under way in one connection. */
  readonly maxStreams: number
  /** Bytes of request bodies that one connection may hold. */
  readonly bodyBytes: number
  /** For how long a connection takes new requests, in ms. */
  readonly lifetimeMs: number
}

export interface Runtime {
  /** The configuration in force; an exchange keeps the one that it began with. */
  config: Compiled
  readonly entities: Entities
  readonly pools: Pools
  readonly deadlines: Deadlines
  readonly log: Log
  /** Notes a request that is over; undefined where the access log is off. */
  readonly accessLog: ((entry: AccessEntry) => void) | undefined
  /** The token of this product in `Server` and `Via`: name and version. */
  readonly product: string
  readonly headers: SentHeaders
  readonly headLimits: HeadLimits
  readonly upstreamHeadLimits: HeadLimits
  readonly timeouts: Timeouts
  /** Bytes of a request's body; 0 for no limit. */
  readonly maxBodyBytes: number
  /** Bytes of a request's body that are waited for before the upstream is asked. */
  readonly bodyBufferBytes: number
  readonly maxConnections: number
  /** What clients that are waited for make the worker hold. */
  readonly held: HeldBytes
  /** Files for what slow clients have not taken yet. */
  readonly spools: SpoolSpace
  /** Requests that a client's connection carries before it is closed. */
  readonly maxRequestsPerConnection: number
  readonly http2: Http2Limits
  /** Requests under way over HTTP/2: each counts as much as a connection of its own. */
  openStreams: number
  /** The form of errors for clients without an Accept header, where Kong's own default would be plain text. */
  readonly errorForm: Form
  /** What refusals look like; undefined where that is as in Kong. */
  readonly errorShape: ErrorShape | undefined
  /** The port that clients believe to speak to, by the port that the gateway listens on. */
  readonly portMap: ReadonlyMap<number, number>
  /** Whether an address may tell in headers who the client is. */
  readonly isTrusted: (address: string) => boolean
  readonly realIpHeader: string
  readonly realIpRecursive: boolean
  /** Undefined where no request may be debugged. */
  readonly requestDebug: RequestDebug | undefined
  readonly stats: Stats
  /** What is counted of requests that match no route. */
  readonly unrouted: RouteTally
  /** True once the worker takes no new work: responses then end their connections. */
  draining: boolean
}

/** Counts of a worker, read by the control side. */
export interface Stats {
  accepted: number
  active: number
  requests: number
  /** Connections refused because there were too many. */
  refused: number
  /** Counts a request that is over by its status, 0 where the client left before there was one. */
  readonly answered: (status: number) => void
}
