/** What is counted of requests, by route and by the place that they were sent to: as a worker tells it, and for all workers. */
import { noFigures, Tally, together, type Figures } from './tally.ts'

/** The counts of a route, or of requests that match none. What no request has come to takes no memory. */
export class RouteTally {
  #answers: Tally | undefined
  #upstream: Tally | undefined
  #bytes = 0

  /** Counts an answer to a client, with the ms that it took and the bytes of its body. */
  answered(status: number, ms: number, bytes: number): void {
    ;(this.#answers ??= new Tally()).note(status, ms)
    this.#bytes += bytes
  }

  /** Counts a response of the upstream's, with the ms until its head. */
  responded(status: number, ms: number): void {
    ;(this.#upstream ??= new Tally()).note(status, ms)
  }

  /** Undefined while nothing was counted. */
  figures(): RouteFigures | undefined {
    if (!this.#answers) return undefined
    return {
      answers: this.#answers.figures(),
      upstream: this.#upstream?.figures() ?? noFigures,
      bytes: this.#bytes,
    }
  }
}

export interface RouteFigures {
  /** What clients were answered, and how long it took from the request's first byte to the answer's last. */
  readonly answers: Figures
  /** What the upstream responded, and how long it took to the response's head. */
  readonly upstream: Figures
  /** Of the bodies that clients were sent. */
  readonly bytes: number
}

interface Named {
  readonly id: string
  readonly name: string | null
}

export interface RouteTraffic extends RouteFigures {
  readonly route: Named
  readonly service: Named | null
}

/** A place that requests are sent to: an address of a target, or of a service's host. */
export interface PeerTraffic {
  /** The host of the services that lead there: an upstream's name, or a host's. */
  readonly upstream: string
  /** The host as configured, and the address that is spoken to. */
  readonly host: string
  readonly address: string
  readonly port: number
  readonly inFlight: number
  /** Tries that got no response. */
  readonly failures: number
  readonly responses: Figures
}

export interface Traffic {
  readonly routes: readonly RouteTraffic[]
  /** Requests that matched no route, or were not understood. */
  readonly unrouted: RouteFigures
  readonly peers: readonly PeerTraffic[]
}

const noRoute: RouteFigures = { answers: noFigures, upstream: noFigures, bytes: 0 }
export const noTraffic: Traffic = { routes: [], unrouted: noRoute, peers: [] }

export const keyOfPeer = ({ upstream, host, address, port }: PeerTraffic): string =>
  JSON.stringify([upstream, host, address, port])

/** Sums the traffic of workers. */
export const sumTraffic = (workers: readonly Traffic[]): Traffic => ({
  routes: merged(
    workers.flatMap(({ routes }) => routes),
    ({ route }) => route.id,
    bothRoutes,
  ),
  unrouted: workers.reduce((sum, { unrouted }) => bothRoutes(sum, unrouted), noRoute),
  peers: merged(
    workers.flatMap(({ peers }) => peers),
    keyOfPeer,
    bothPeers,
  ),
})

function bothRoutes<T extends RouteFigures>(one: T, other: RouteFigures): T {
  return {
    ...one,
    answers: together(one.answers, other.answers),
    upstream: together(one.upstream, other.upstream),
    bytes: one.bytes + other.bytes,
  }
}

const bothPeers = (one: PeerTraffic, other: PeerTraffic): PeerTraffic => ({
  ...one,
  inFlight: one.inFlight + other.inFlight,
  failures: one.failures + other.failures,
  responses: together(one.responses, other.responses),
})

function merged<T>(all: readonly T[], keyOf: (one: T) => string, both: (one: T, other: T) => T): T[] {
  const byKey = new Map<string, T>()
  for (const one of all) {
    const key = keyOf(one)
    const known = byKey.get(key)
    byKey.set(key, known === undefined ? one : both(known, one))
  }
  return [...byKey.values()]
}
