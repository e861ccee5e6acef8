import { boundsMs, countOf, type Figures } from '../../observe/tally.ts'
import { sumTraffic, type RouteFigures } from '../../observe/traffic.ts'
import { ok } from '../answers.ts'
import type { NodeFacts } from '../node.ts'
import type { Endpoint } from '../types.ts'

/**
 * `GET /traffic`: what this node has counted of requests since its workers started, by route and by upstream. Counts only grow
 * while a worker lives; whoever wants rates asks twice. Kong has no such endpoint.
 */
export const trafficEndpoint = (node: Pick<NodeFacts, 'traffic' | 'counters'>): Endpoint => ({
  path: '/traffic',
  own: true,
  methods: { GET: async () => ok(await document(node)) },
})

async function document(node: Pick<NodeFacts, 'traffic' | 'counters'>): Promise<unknown> {
  const told = await node.traffic()
  const { routes, unrouted, peers } = sumTraffic(told)
  return {
    workers: told.length,
    connections_active: node.counters().connections_active,
    latency_bounds_ms: boundsMs,
    routes: routes.map(({ route, service, ...figures }) => ({ route, service, ...ofRoute(figures) })),
    unrouted: ofRoute(unrouted),
    targets: peers.map(({ upstream, host, address, port, inFlight, failures, responses }) => ({
      upstream,
      target: `${host}:${port}`,
      address,
      in_flight: inFlight,
      failures,
      responses: written(responses),
    })),
  }
}

const ofRoute = ({ answers, upstream, bytes }: RouteFigures): object => ({
  answers: { ...written(answers), bytes },
  upstream: written(upstream),
})

/** `latency_counts` has a place for each of the bounds, for what is above the one before and not above it, and a last for the rest. */
const written = (figures: Figures): object => ({
  count: countOf(figures),
  statuses: Object.fromEntries(figures.statuses),
  latency_counts: figures.latencies,
  latency_sum_ms: figures.sumMs,
})
