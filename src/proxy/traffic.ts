/** What a worker counts of the requests that it serves, and how it tells of it. */
import { noTraffic, type PeerTraffic, type RouteTraffic, type Traffic } from '../observe/traffic.ts'
import { now } from './clock.ts'
import type { Exchange } from './exchange.ts'
import type { RoutePlan } from './plan.ts'
import type { Runtime } from './runtime.ts'

/** Counts a request that is over. */
export function countRequest(exchange: Exchange): void {
  const { plan, response } = exchange
  const tally = plan === undefined ? exchange.runtime.unrouted : plan.tally
  tally.answered(exchange.status, now() - exchange.startMs, exchange.bytesSent)
  if (response !== undefined) tally.responded(response.status, exchange.upstreamHeadMs - exchange.upstreamStartMs)
}

/** The routes that requests have come to, and the places that they were sent to. */
export function trafficOf({ config, unrouted }: Pick<Runtime, 'config' | 'unrouted'>): Traffic {
  const plans = config.plans.filter((plan) => plan !== undefined)
  return {
    routes: plans.flatMap((plan) => ofRoute(plan) ?? []),
    unrouted: unrouted.figures() ?? noTraffic.unrouted,
    peers: peersOf(plans),
  }
}

function ofRoute({ route, service, tally }: RoutePlan): RouteTraffic | undefined {
  const figures = tally.figures()
  return figures && { route: named(route), service: service ? named(service.entity) : null, ...figures }
}

const named = ({ id, name }: { readonly id: string; readonly name?: unknown }) => ({
  id,
  name: typeof name === 'string' ? name : null,
})

/** Each once, though routes share services, and services share upstreams. */
function peersOf(plans: readonly RoutePlan[]): PeerTraffic[] {
  const services = new Map(plans.flatMap(({ service }) => (service ? [[service.balancer, service] as const] : [])))
  const peers = [...services].flatMap(([{ peers: all }, { entity }]) =>
    [...all.values()].map(({ host, address, port, load }) => ({
      upstream: String(entity['host']),
      host,
      address,
      port,
      inFlight: load.inFlight,
      failures: load.failures,
      responses: load.responses.figures(),
    })),
  )
  return peers.filter(({ inFlight, failures, responses }) => inFlight + failures + responses.statuses.length > 0)
}
