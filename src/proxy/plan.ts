/**
 * What a snapshot means for requests, worked out once: the router, and for each route the exact list of plugin calls and the
 * balancer of its service. It is made of units (a service, a plugin's scope, a route and its rules) that stay the same objects
 * while nothing has changed that they follow from, so that what a change costs follows from what it concerns.
 */
import { emptyMap, type PersistentMap } from '../config/persistent-map.ts'
import type { Snapshot } from '../config/snapshot.ts'
import { RouteTally } from '../observe/traffic.ts'
import { type Balancers, compileBalancers } from './balancers.ts'
import { withDocuments } from './documents.ts'
import {
  type Chain,
  chainOfRoute,
  type Chains,
  type ChainTools,
  compileChains,
  type OwnChain,
  partsOfScope,
} from './chains.ts'
import { changeRouter, compileRouter, type RouteInput, type Router, type RouterFlavor } from './router/router.ts'
import {
  compileServices,
  type ServicePlan,
  type ServicePlans,
  type ServiceTools,
  takesRequests,
} from './service-plan.ts'
import { changeStreams, type Streams } from './stream/plan.ts'

export interface RoutePlan {
  readonly route: RouteFields
  readonly service: ServicePlan | undefined
  /** Whether it is for calls of gRPC, and nothing else. */
  readonly grpc: boolean
  /** Undefined where no plugin of the route or of its service takes part: then it is the configuration's. */
  readonly chain: OwnChain | undefined
  /** What is counted of its requests; it outlives changes of the route. */
  readonly tally: RouteTally
}

export interface RouteFields extends RouteInput {
  readonly id: string
  readonly name: string | null
  readonly preserve_host: boolean
  readonly strip_path: boolean
  readonly request_buffering: boolean
  readonly response_buffering: boolean
  readonly https_redirect_status_code: number
  readonly protocols: readonly string[]
  readonly service: { readonly id: string } | null
}

/** A compiled snapshot. */
export interface Compiled {
  readonly snapshot: Snapshot
  /** Gives a route's place in `plans`: so a change of its service or its plugins leaves the router as it is. */
  readonly router: Router<number>
  readonly plans: readonly (RoutePlan | undefined)[]
  /** The plugins of requests that match no route, or one without plugins of its own: the global ones. */
  readonly chain: Chain
  /** What runs before a route is known: those, after the documents that plugins serve. */
  readonly beginning: Chain
  readonly chains: Chains
  readonly balancers: Balancers
  readonly services: ServicePlans
  /** The routes of TCP and TLS streams. */
  readonly streams: Streams
  /** The places in `plans` by route id, and those that are free. */
  readonly places: PersistentMap<number>
  readonly freePlaces: readonly number[]
}

export interface PlanTools extends ServiceTools, ChainTools {
  /** How routes are written; by fields alone where it is left out. */
  readonly routerFlavor?: RouterFlavor
}

/** Compiles a snapshot, with what is the same as in `previous` taken over. */
export function compile(tools: PlanTools, snapshot: Snapshot, previous?: Compiled): Compiled {
  const balancers = compileBalancers(tools, snapshot, previous)
  const services = compileServices(tools, snapshot, balancers, previous)
  const { chains, changed } = compileChains(tools, snapshot, previous)
  const routes = routesEdit(tools, previous)
  const ids = concerned(snapshot, services, changed, previous)
  for (const id of ids) routes.put(id, planOf(tools, snapshot, services, chains, id, routes.tallyOf(id)))
  const streams = changeStreams(tools, snapshot, services, ids, previous?.streams)
  const chain = chains.everywhere
  const isSame = previous?.chain === chain && previous.chains.serving === chains.serving
  const beginning = isSame ? previous.beginning : withDocuments(chain, chains.serving)
  return { snapshot, balancers, services, streams, chains, chain, beginning, ...routes.done() }
}

/** The plugins that take part in requests of a route, or of none. */
export const chainOfPlan = ({ chain, chains }: Compiled, plan: RoutePlan | undefined): Chain =>
  plan?.chain === undefined ? chain : plan.chain.within(chains)

/** Changes the plans of routes, and the router only for routes that have changed themselves. */
function routesEdit({ routerFlavor }: PlanTools, previous: Compiled | undefined) {
  const places = (previous?.places ?? emptyMap<number>()).edit()
  const plans = previous?.plans.slice() ?? []
  const freePlaces = previous?.freePlaces.slice() ?? []
  const removed: RouteFields[] = []
  const added: { route: RouteFields; target: number }[] = []

  const takePlace = (id: string): number => {
    const place = freePlaces.pop() ?? plans.length
    places.set(id, place)
    return place
  }
  const leavePlace = (id: string, place: number) => {
    places.delete(id)
    freePlaces.push(place)
  }
  return {
    tallyOf(id: string): RouteTally {
      const held = places.get(id)
      return (held === undefined ? undefined : plans[held]?.tally) ?? new RouteTally()
    },
    put(id: string, plan: RoutePlan | undefined): void {
      const held = places.get(id)
      const last = held === undefined ? undefined : plans[held]
      const place = held ?? (plan && takePlace(id))
      if (place === undefined) return
      plans[place] = plan
      if (last?.route !== plan?.route) {
        if (last) removed.push(last.route)
        if (plan) added.push({ route: plan.route, target: place })
      }
      if (!plan) leavePlace(id, place)
    },
    done: () => ({
      places: places.done(),
      plans,
      freePlaces,
      router: changeRouter(previous?.router ?? compileRouter<number>([], routerFlavor), removed, added),
    }),
  }
}

/** The routes that have changed, or of which the service or the plugins have. */
function concerned(
  snapshot: Snapshot,
  services: ServicePlans,
  scopes: ReadonlySet<string>,
  previous: Compiled | undefined,
): ReadonlySet<string> {
  const routes = new Set(snapshot.routes.changedSince(previous?.snapshot.routes ?? emptyMap()))
  if (!previous) return routes
  const addOfService = (id: string) => {
    for (const route of snapshot.by.routesOfService.get(id)?.keys() ?? []) routes.add(route)
  }
  for (const id of services.changedSince(previous.services)) addOfService(id)
  for (const scope of scopes) {
    const { route, service } = partsOfScope(scope)
    if (route !== '') routes.add(route)
    else if (service !== '') addOfService(service)
  }
  return routes
}

function planOf(
  tools: PlanTools,
  snapshot: Snapshot,
  services: ServicePlans,
  chains: Chains,
  id: string,
  tally: RouteTally,
): RoutePlan | undefined {
  const route = snapshot.routes.get(id) as unknown as RouteFields | undefined
  if (!route) return undefined
  const service = route.service ? services.get(route.service.id) : undefined
  // A route whose service is disabled, or is for streams, is not there at all.
  if (route.service && !service) return undefined
  if (service && !takesRequests(service)) return undefined
  const grpc = route.protocols.some((protocol) => protocol.startsWith('grpc'))
  return { route, service, grpc, chain: chainOfRoute(tools, chains, route.id, route.service?.id), tally }
}
