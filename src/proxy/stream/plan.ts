/** What a snapshot means for streams: their routes, and the services that these lead to. */
import { emptyMap, type PersistentMap } from '../../config/persistent-map.ts'
import type { Snapshot } from '../../config/snapshot.ts'
import type { RouteProblem, RouterFlavor, RoutingRequest } from '../router/router.ts'
import type { RouteInput } from '../router/rule.ts'
import { type ServicePlans, type StreamServicePlan, takesStreams } from '../service-plan.ts'
import { compileRule, isStreamRoute, type StreamProtocol, type StreamRule } from './rule.ts'

export interface StreamPlan {
  readonly route: StreamRouteFields
  /** Undefined where the route has none. */
  readonly service: StreamServicePlan | undefined
}

export interface StreamRouteFields extends RouteInput {
  readonly name: string | null
  readonly preserve_host: boolean
  readonly service: { readonly id: string } | null
}

/** A route that a connection takes, and what becomes of it there. */
export interface StreamMatch {
  readonly plan: StreamPlan
  readonly protocol: StreamProtocol
}

export interface Streams {
  /** The route for a connection, whose `scheme` is `tls` where it begins with a ClientHello, else `tcp`. */
  match(connection: RoutingRequest): StreamMatch | undefined
  /** Routes that can match nothing. */
  readonly problems: readonly RouteProblem[]
}

interface PlanTools {
  readonly routerFlavor?: RouterFlavor
}

/** The streams of a snapshot: those of `previous`, with the routes of these ids put in anew. */
export function changeStreams(
  { routerFlavor = 'traditional_compatible' }: PlanTools,
  snapshot: Snapshot,
  services: ServicePlans,
  ids: Iterable<string>,
  previous: Streams = new Tables(emptyMap(), emptyMap()),
): Streams {
  if (!(previous instanceof Tables)) throw new TypeError('streams that changeStreams made are expected')
  const placed = previous.placed.edit()
  const unusable = previous.unusable.edit()
  let isChanged = false
  for (const id of ids) {
    const route = snapshot.routes.get(id) as unknown as StreamRouteFields | undefined
    const before = placed.get(id)
    const made = route && isStreamRoute(route) ? place(route, routerFlavor, snapshot, services, before) : undefined
    if (made && 'problem' in made) unusable.set(id, made.problem)
    else if (unusable.get(id) !== undefined) unusable.delete(id)
    const usable = made && 'rule' in made ? made : undefined
    if (usable) placed.set(id, usable)
    else if (before) placed.delete(id)
    isChanged ||= made !== undefined || before !== undefined
  }
  return isChanged ? new Tables(placed.done(), unusable.done()) : previous
}

interface Placed {
  readonly rule: StreamRule
  readonly plan: StreamPlan
}

/** Undefined where the route's service is disabled: then the route is not there at all. */
function place(
  route: StreamRouteFields,
  flavor: RouterFlavor,
  snapshot: Snapshot,
  services: ServicePlans,
  before: Placed | undefined,
): Placed | { readonly problem: string } | undefined {
  const rule = before?.plan.route === route ? before.rule : compileRule(route, flavor)
  if ('problem' in rule) return rule
  if (!route.service) return { rule, plan: { route, service: undefined } }
  const service = services.get(route.service.id)
  if (service && takesStreams(service)) return { rule, plan: { route, service } }
  const entity = snapshot.services.get(route.service.id)
  if (!service && (!entity || entity['enabled'] === false)) return undefined
  return { problem: `the protocol of its service is ${String(entity?.['protocol'])}, and has to be tcp or tls` }
}

type Key = string | number

class Tables implements Streams {
  /** By the id of the route. */
  readonly placed: PersistentMap<Placed>
  readonly unusable: PersistentMap<string>
  #byKey: ReadonlyMap<Key | undefined, readonly Placed[]> | undefined

  constructor(placed: PersistentMap<Placed>, unusable: PersistentMap<string>) {
    this.placed = placed
    this.unusable = unusable
  }

  get problems(): readonly RouteProblem[] {
    return [...this.unusable.entries()].map(([routeId, message]) => ({ routeId, message }))
  }

  match(connection: RoutingRequest): StreamMatch | undefined {
    const scheme = connection.scheme === 'tls' ? 'tls' : 'tcp'
    // Sorted when the first connection asks: of many changes at once, most meet none.
    const byKey = (this.#byKey ??= tablesOf(this.placed))
    let best: Placed | undefined
    for (const key of [connection.sni || undefined, connection.serverPort, undefined]) {
      const found = byKey.get(key)?.find(({ rule }) => rule.takes[scheme] && rule.holds(connection))
      if (found && (!best || byPriority(found, best) < 0)) best = found
    }
    const protocol = best?.rule.takes[scheme]
    return best && protocol && { plan: best.plan, protocol }
  }
}

function tablesOf(placed: PersistentMap<Placed>): ReadonlyMap<Key | undefined, readonly Placed[]> {
  const byKey = new Map<Key | undefined, Placed[]>()
  for (const one of [...placed.values()].sort(byPriority)) {
    for (const key of one.rule.keys.length > 0 ? new Set(one.rule.keys) : [undefined]) {
      const list = byKey.get(key)
      if (list) list.push(one)
      else byKey.set(key, [one])
    }
  }
  return byKey
}

const byPriority = ({ rule: one }: Placed, { rule: other }: Placed): number =>
  other.priority - one.priority || (one.id > other.id ? -1 : 1)
