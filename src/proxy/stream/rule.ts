/**
 * A route of streams, ready to be tried. What it asks for, and which of two that match is taken, follow Kong's
 * `traditional_compatible` and `expressions` routers. Source: Kong's docs, "Proxying TCP/TLS", "Routes", and its router.
 */
import { matchesSni } from '../router/conditions.ts'
import { connectionTest } from '../router/connections.ts'
import { compileExpression } from '../router/expressions.ts'
import type { RouterFlavor, RoutingRequest } from '../router/router.ts'
import { type ConnectionEnd, expressionsFirst, type RouteInput, sniRule } from '../router/rule.ts'

/** The protocols of routes of streams that there are. */
export type StreamProtocol = 'tcp' | 'tls' | 'tls_passthrough'

export interface StreamRule {
  readonly id: string
  /** Of two that match, the one with the greater priority is taken, and then the one with the greater id. */
  readonly priority: number
  /** What becomes of a plain connection, and of one that begins with TLS; undefined where it takes none. */
  readonly takes: { readonly tcp: StreamProtocol | undefined; readonly tls: StreamProtocol | undefined }
  readonly holds: (connection: RoutingRequest) => boolean
  /** Where it is looked for: under a server name, or under a port. Empty for everywhere. */
  readonly keys: readonly (string | number)[]
}

/** A rule, or why the route can match nothing. */
export type CompiledRule = StreamRule | { readonly problem: string }

const streamProtocols: ReadonlySet<string> = new Set(['tcp', 'tls', 'tls_passthrough', 'udp'])

/** Whether a route is one of streams: its protocols are either all of that kind or none. */
export const isStreamRoute = ({ protocols }: Pick<RouteInput, 'protocols'>): boolean =>
  streamProtocols.has(protocols[0] ?? '')

export function compileRule(route: RouteInput, flavor: RouterFlavor): CompiledRule {
  const has = (protocol: StreamProtocol) => (route.protocols.includes(protocol) ? protocol : undefined)
  const takes = { tcp: has('tcp'), tls: has('tls') ?? has('tls_passthrough') }
  if (!takes.tcp && !takes.tls) return { problem: 'proxying UDP is not available' }
  const shared = { id: route.id.toLowerCase(), takes }
  if (flavor === 'expressions' && typeof route.expression === 'string') {
    const compiled = compileExpression(route.expression)
    if ('error' in compiled) return { problem: `expression: ${compiled.error}` }
    const { condition } = compiled
    return {
      ...shared,
      priority: expressionsFirst + (route.priority ?? 0),
      holds: (connection) => condition(connection, { matchedPath: '', captures: undefined }),
      keys: [],
    }
  }
  return { ...shared, ...conditionsOf(route) }
}

function conditionsOf(route: RouteInput): Pick<StreamRule, 'priority' | 'holds' | 'keys'> {
  const { sources, destinations } = route
  const snis = (route.snis ?? []).map((sni) => sniRule(sni.toLowerCase()))
  const endsFit = connectionTest(sources ?? [], destinations ?? [])
  return {
    priority: priorityOf(route),
    holds: (connection) =>
      (snis.length === 0 || matchesSni(snis, connection.scheme, connection.sni)) &&
      (endsFit === undefined || endsFit(connection)),
    keys: keysOf(route),
  }
}

const sniBit = 1 << 8
const weights = { address: 1 << 3, port: 1 << 2, range: 1 << 0 } as const

/** Server names, or both ends, come first; then the source; and in each an address before a port before a range. */
function priorityOf({ snis, sources, destinations }: RouteInput): number {
  const foremost = isSet(snis) || (isSet(sources) && isSet(destinations))
  return (foremost ? sniBit : 0) | (weightOf(sources) << 4) | weightOf(destinations)
}

const isSet = (list: readonly unknown[] | null | undefined): boolean => !!list && list.length > 0

function weightOf(ends: readonly ConnectionEnd[] | null | undefined): number {
  return (ends ?? []).reduce((weight, { ip, port }) => {
    const ofAddress = !ip ? 0 : ip.includes('/') ? weights.range : weights.address
    return weight | ofAddress | (typeof port === 'number' ? weights.port : 0)
  }, 0)
}

/** A plain connection has no server name: a route that takes those, too, is not looked for by one. */
function keysOf({ snis, destinations, protocols }: RouteInput): readonly (string | number)[] {
  if (isSet(snis) && !protocols.includes('tcp')) {
    const rules = (snis ?? []).map((sni) => sniRule(sni.toLowerCase()))
    return rules.every(({ kind }) => kind === 'exact') ? rules.map(({ text }) => text) : []
  }
  const ports = (destinations ?? []).map(({ port }) => port)
  return ports.every((port) => typeof port === 'number') ? ports : []
}
