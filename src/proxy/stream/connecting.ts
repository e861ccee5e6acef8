/** Finds an upstream's peer that takes a connection: one after the other, as often as the service's `retries` allow. */
import type net from 'node:net'
import type { Outcome } from '../balancer/health/count.ts'
import type { Peer, PickFailure } from '../balancer/peer.ts'
import type { Deadlines, Timed } from '../deadlines.ts'
import { connectPlain, type SocketEvents } from '../http1/socket.ts'
import type { StreamServicePlan } from '../service-plan.ts'
import type { ConnectSecure } from '../upstream-tls.ts'

export interface Connected {
  readonly peer: Peer
  readonly socket: net.Socket
  /** Says who hears of the socket from now on. */
  readonly hand: (events: SocketEvents) => void
}

export interface ConnectingOptions {
  readonly service: StreamServicePlan
  /** Whether TLS is spoken to the peer: not where the client's own TLS passes through. */
  readonly secure: boolean
  /** The name to ask for in a handshake. */
  readonly nameFor: (peer: Peer) => string
  /** What tells clients apart, for balancers that hash. */
  readonly hash: number | undefined
  readonly connectSecure: ConnectSecure
  readonly deadlines: Deadlines
  readonly connected: (connection: Connected) => void
  /** Nobody takes it: the status that nginx would log, and why. */
  readonly failed: (status: number, reason: string) => void
}

const pickFailures: Readonly<Record<PickFailure['failed'], string>> = {
  'no peer': 'failure to get a peer from the ring-balancer',
  'name resolution': 'name resolution failed',
}

/** A try that is under way. */
interface Try {
  readonly peer: Peer
  readonly socket: net.Socket
  readonly startedMs: number
}

export class Connecting implements Timed {
  deadline = Infinity
  readonly #options: ConnectingOptions
  readonly #tried = new Set<Peer>()
  #tries = 0
  #try: Try | undefined
  #isOver = false

  constructor(options: ConnectingOptions) {
    this.#options = options
    options.deadlines.add(this)
  }

  /** Tries a peer. */
  begin(): void {
    const { service, hash } = this.#options
    const picked = service.balancer.pick(hash, this.#tried)
    if (picked instanceof Promise) void picked.then((peer) => this.#connect(peer))
    else this.#connect(picked)
  }

  /** Gives up, and tells nobody. */
  cancel(): void {
    const { socket, peer } = this.#end() ?? {}
    if (peer) peer.load.inFlight--
    socket?.destroy()
  }

  /** Does not wait for a peer that has been found unhealthy, where there is another one. */
  peersTurned(): void {
    const { peer, socket } = this.#try ?? {}
    const { balancer, retries } = this.#options.service
    if (!peer || !socket || balancer.isHealthy(peer) || this.#tries > retries) return
    const tried = new Set(this.#tried).add(peer)
    const next = balancer.pick(this.#options.hash, tried)
    if (next instanceof Promise || next.failed !== undefined || tried.has(next)) return
    this.#tried.add(peer)
    this.#leave(peer)
    socket.destroy()
    this.#connect(next)
  }

  #connect(peer: Peer | PickFailure): void {
    if (this.#isOver) return
    const { service, secure, nameFor, connectSecure } = this.#options
    if (peer.failed !== undefined) {
      this.#end()
      this.#options.failed(503, pickFailures[peer.failed])
      return
    }
    this.#tries++
    peer.load.inFlight++
    this.deadline = Date.now() + service.connectTimeoutMs
    let taker: SocketEvents | undefined
    const events: SocketEvents = {
      onBytes: (bytes, length) => taker?.onBytes(bytes, length),
      onEnd: () => taker?.onEnd(),
      onDrain: () => taker?.onDrain(),
      onClose: () => (taker ? taker.onClose() : this.#closed(socket)),
    }
    const isSecure = secure && service.tls !== undefined
    const socket: net.Socket = isSecure
      ? connectSecure(peer, service.tls, nameFor(peer), events, { allowHalfOpen: true })
      : connectPlain(peer.address, peer.port, events)
    this.#try = { peer, socket, startedMs: Date.now() }
    socket.once(isSecure ? 'secureConnect' : 'connect', () => {
      if (this.#try?.socket !== socket || socket.destroyed) return
      this.#note('connected')
      this.#end()
      this.#options.connected({ peer, socket, hand: (next) => (taker = next) })
    })
  }

  /** Only a try that is still wanted can fail. */
  #closed(socket: net.Socket): void {
    if (this.#try?.socket === socket) this.#fail('tcp failure', socket.errored?.message ?? 'closed')
  }

  onDeadline(): void {
    const { socket } = this.#try ?? {}
    this.#fail('timeout', `no connection within ${this.#options.service.connectTimeoutMs} ms`)
    socket?.destroy()
  }

  #fail(outcome: Outcome, problem: string): void {
    const { peer } = this.#try ?? {}
    if (!peer) return
    this.#note(outcome)
    this.#leave(peer)
    this.#tried.add(peer)
    if (this.#tries <= this.#options.service.retries) {
      this.begin()
      return
    }
    this.#end()
    this.#options.failed(502, `${peer.address} port ${peer.port}: ${problem}`)
  }

  #note(outcome: Outcome): void {
    const { peer, startedMs } = this.#try as Try
    this.#options.service.balancer.note?.(peer, outcome, Date.now() - startedMs)
  }

  #leave(peer: Peer): void {
    peer.load.inFlight--
    this.#try = undefined
    this.deadline = Infinity
  }

  /** No more is tried; gives the try that was under way. */
  #end(): Try | undefined {
    const last = this.#try
    this.#isOver = true
    this.#try = undefined
    this.#options.deadlines.delete(this)
    return last
  }
}
