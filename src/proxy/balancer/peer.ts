import { Tally } from '../../observe/tally.ts'
import { literal } from '../dns/address.ts'

/**
 * One place that requests can be sent to. An object lives as long as its balancer knows the place, across configurations
 * too, so that connections can be kept by it.
 */
export interface Peer {
  /** An IP address, without brackets. */
  readonly address: string
  readonly family: 4 | 6
  readonly port: number
  /** What goes into Host, unless the route preserves the client's. */
  readonly hostHeaders: Readonly<Record<Scheme, string>>
  /** The name for TLS (RFC 6066 3), without port; empty where there is none because the host is an address. */
  readonly serverName: string
  /** The name or address that was configured, and that the peer's address was found by. */
  readonly host: string
  /** The id of the target entity that it comes from; null where the service names the host itself. */
  readonly target: string | null
  readonly load: Load
  readonly failed?: undefined
}

/** What a worker has given a place to do, and how it went. It outlives changes of how the place is spoken to. */
export interface Load {
  /** Requests that were sent there and have not ended. */
  inFlight: number
  /** When its next turn is due, in the time of `roundRobin`; 0 while it has had none. */
  due: number
  /** How long it takes to answer, in ms: see `latency`; undefined until it was measured. */
  latencyMs: number | undefined
  /** When that was measured last, in ms. */
  latencyAt: number
  /** Its responses, with the ms until their heads. */
  readonly responses: Tally
  /** Tries that got no response. */
  failures: number
}

export const newLoad = (): Load => ({
  inFlight: 0,
  due: 0,
  latencyMs: undefined,
  latencyAt: 0,
  responses: new Tally(),
  failures: 0,
})

/** Why there is nobody to send to. Always one of the two values below. */
export interface PickFailure {
  readonly failed: 'no peer' | 'name resolution'
}

/** No target, only such of weight 0, or no healthy one: 503 `failure to get a peer from the ring-balancer`. */
export const noPeer: PickFailure = { failed: 'no peer' }
/** The service's host name has no address: 503 `name resolution failed`. */
export const noAddress: PickFailure = { failed: 'name resolution' }

/** What follows from the service's protocol. */
export type Scheme = 'http' | 'https'

const defaultPorts: Record<Scheme, number> = { http: 80, https: 443 }

/** The value of Host for `host`: with its port, unless it is the scheme's own (RFC 9110 4.2) or `host` has one already. */
export function hostHeaderOf(host: string, port: number, scheme: Scheme): string {
  const name = host.includes(':') && literal(host)?.family === 6 && !host.startsWith('[') ? `[${host}]` : host
  return port === defaultPorts[scheme] || /:\d+$/.test(withoutBrackets(name)) ? name : `${name}:${port}`
}

/** The name that TLS is told for a value of Host: its port, and a trailing dot (RFC 6066 3), taken off. */
export function serverNameOf(hostHeader: string): string {
  const bracket = hostHeader.lastIndexOf(']')
  const colon = hostHeader.indexOf(':', bracket + 1)
  const name = colon === -1 ? hostHeader : hostHeader.slice(0, colon)
  return literal(name) ? '' : name.replace(/\.$/, '')
}

const withoutBrackets = (host: string) => host.slice(host.lastIndexOf(']') + 1)
