/** One client's connection: a route was found for it, an upstream is sought, and then bytes pass until both sides have ended. */
import type net from 'node:net'
import type { Log } from '../../observe/log.ts'
import type { StreamEntry } from '../../observe/stream-log.ts'
import type { Peer } from '../balancer/peer.ts'
import type { SocketEvents } from '../http1/socket.ts'
import type { Runtime } from '../runtime.ts'
import type { ConnectSecure } from '../upstream-tls.ts'
import type { Arrival } from './arrival.ts'
import { type Connected, Connecting } from './connecting.ts'
import type { StreamMatch } from './plan.ts'
import { Relay } from './relay.ts'

/** What all streams of a worker share. */
export interface StreamTools {
  readonly runtime: Runtime
  readonly connectSecure: ConnectSecure
  readonly log: Log
  /** Notes a connection that is over; undefined where the access log is off. */
  readonly accessLog: ((entry: StreamEntry) => void) | undefined
  readonly stats: StreamStats
}

/** Counts of a worker's streams, read by the control side. */
export interface StreamStats {
  active: number
  /** Bytes from and to clients. */
  received: number
  sent: number
  /** Counts a stream that is over by its status. */
  readonly ended: (status: number) => void
}

/** Tells of a connection that is over. */
export function tell(
  { log, accessLog, stats }: StreamTools,
  { startMs, id, clientIp, scheme, sni }: Arrival,
  ended: Pick<StreamEntry, 'status' | 'reason'> & Partial<StreamEntry>,
): void {
  stats.ended(ended.status)
  if (ended.status !== 200) log.info(`a stream was not proxied: ${ended.reason}`, { stream_id: id, client: clientIp })
  accessLog?.({
    startMs,
    id,
    client: clientIp,
    protocol: scheme,
    serverName: sni,
    sent: 0,
    received: 0,
    totalMs: Date.now() - startMs,
    upstream: undefined,
    route: undefined,
    service: undefined,
    ...ended,
  })
}

export class Session implements SocketEvents {
  readonly arrival: Arrival
  readonly match: StreamMatch
  readonly #tools: StreamTools
  readonly #socket: net.Socket
  readonly #over: () => void
  #connecting: Connecting | undefined
  #relay: Relay | undefined
  #peer: Peer | undefined
  /** What the client sent before there was anybody to send it to: no more than one read. */
  #early: Buffer[] = []
  #hasEnded = false
  #isOver = false

  /** `over` is called once, when nothing of it is left. */
  constructor(tools: StreamTools, socket: net.Socket, arrival: Arrival, match: StreamMatch, over: () => void) {
    this.#tools = tools
    this.#socket = socket
    this.arrival = arrival
    this.match = match
    this.#over = over
    tools.stats.active++
  }

  /** Looks for an upstream. The client is not read meanwhile. */
  begin(): void {
    const { plan, protocol } = this.match
    const { runtime, connectSecure } = this.#tools
    const { service } = plan
    this.#socket.pause()
    if (!service) {
      this.#refuse(503, 'no Service found with those values')
      return
    }
    this.#connecting = new Connecting({
      service,
      secure: protocol !== 'tls_passthrough',
      nameFor: (peer) => (plan.route.preserve_host && this.arrival.sni) || peer.serverName,
      hash: service.balancer.hashOf?.({ ...this.arrival, identity: undefined, match: undefined, balancerCookie: '' }),
      connectSecure,
      deadlines: runtime.deadlines,
      connected: (connection) => this.#relayTo(connection),
      failed: (status, reason) => this.#refuse(status, reason),
    })
    this.#connecting.begin()
  }

  #relayTo({ socket, peer, hand }: Connected): void {
    const { readTimeoutMs, writeTimeoutMs } = this.match.plan.service!
    this.#connecting = undefined
    this.#peer = peer
    const relay = new Relay({
      client: this.#socket,
      upstream: socket,
      idleMs: readTimeoutMs,
      sendMs: writeTimeoutMs,
      deadlines: this.#tools.runtime.deadlines,
      stats: this.#tools.stats,
      done: (reason) => {
        peer.load.inFlight--
        this.#end(200, reason)
      },
    })
    this.#relay = relay
    hand(relay.upstream)
    for (const bytes of this.#early) relay.client.onBytes(bytes, bytes.length)
    this.#early = []
    if (this.#hasEnded) relay.client.onEnd()
    if (this.#socket.destroyed) relay.client.onClose()
    else this.#socket.resume()
  }

  #refuse(status: number, reason: string): void {
    this.#end(status, reason)
    this.#socket.destroy()
  }

  #end(status: number, reason: string | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    const { plan, protocol } = this.match
    const { received = 0, sent = 0 } = this.#relay ?? {}
    this.#tools.stats.active--
    tell(this.#tools, this.arrival, {
      status,
      reason,
      protocol,
      received,
      sent,
      upstream: this.#peer && `${hostOf(this.#peer)}:${this.#peer.port}`,
      route: plan.route.id,
      service: plan.service?.entity.id,
    })
    this.#over()
  }

  /** Ends it at once. */
  cut(reason: string): void {
    if (this.#relay) {
      this.#relay.cut(reason)
      return
    }
    this.#connecting?.cancel()
    this.#refuse(503, reason)
  }

  /** The health of a target has changed. */
  peersTurned(): void {
    this.#connecting?.peersTurned()
  }

  // ---- what happens on the client's socket

  onBytes(bytes: Buffer, length: number): void {
    if (this.#relay) this.#relay.client.onBytes(bytes, length)
    else this.#early.push(Buffer.from(bytes.subarray(0, length)))
  }

  onEnd(): void {
    this.#hasEnded = true
    this.#relay?.client.onEnd()
  }

  onDrain(): void {
    this.#relay?.client.onDrain()
  }

  onClose(): void {
    if (this.#relay) {
      this.#relay.client.onClose()
      return
    }
    this.#connecting?.cancel()
    this.#end(499, 'client left')
  }
}

const hostOf = ({ address, family }: Peer): string => (family === 6 ? `[${address}]` : address)
