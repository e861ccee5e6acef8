/**
 * What a snapshot means for requests, worked out once: the router, and for each route the exact list of plugin calls and the
 * balancer of its service. Whatever has not changed since the snapshot before is taken over as the same object.
 */
import type { Snapshot } from '../config/snapshot.ts'
import type { Entity } from '../pdk/entities.ts'
import type { Plugin } from '../pdk/plugin.ts'
import {
  compileHost,
  compileTargets,
  type Balancer,
  type BalancerTools,
  type TargetFields,
  type UpstreamFields,
} from './balancer/balancer.ts'
import { compileRouter, type RouteInput, type Router } from './router/router.ts'

/** A plugin as it takes part in a route's requests. */
export interface Call {
  readonly name: string
  readonly plugin: Plugin<unknown, unknown>
  /** What `prepare` made of the config that holds where no consumer's own does; undefined where only consumers' own do. */
  readonly ready: unknown
  /** The configs of single consumers, by consumer id, in the order in which they are looked through. */
  readonly consumers: readonly ReadonlyMap<string, unknown>[] | undefined
  /** How many of `consumers` come before `ready`. */
  readonly before: number
}

export interface ServicePlan {
  readonly entity: Entity
  readonly scheme: 'http' | 'https'
  readonly path: string | undefined
  readonly balancer: Balancer
  readonly retries: number
  readonly connectTimeoutMs: number
  readonly writeTimeoutMs: number
  readonly readTimeoutMs: number
  readonly tls: UpstreamTls | undefined
}

/** How a service's certificate is looked at; undefined fields follow the gateway's settings. */
export interface UpstreamTls {
  readonly verify: boolean | undefined
  readonly ca: readonly string[] | undefined
  readonly certificate: { readonly cert: string; readonly key: string } | undefined
}

export interface RoutePlan {
  readonly route: RouteFields
  readonly service: ServicePlan | undefined
  readonly chain: Chain
}

/** Every plugin that may take part, highest priority first, and which of them have something to do in each phase. */
export interface Chain {
  readonly calls: readonly Call[]
  readonly rewrite: readonly number[]
  readonly access: readonly number[]
  readonly headerFilter: readonly number[]
  readonly bodyFilter: readonly number[]
  readonly log: readonly number[]
  /** Whether a consumer has a config of its own for one of them. */
  readonly byConsumer: boolean
}

export interface RouteFields extends RouteInput {
  readonly id: string
  readonly name: string | null
  readonly preserve_host: boolean
  readonly strip_path: boolean
  readonly request_buffering: boolean
  readonly https_redirect_status_code: number
  readonly protocols: readonly string[]
  readonly service: { readonly id: string } | null
}

interface ServiceFields {
  readonly id: string
  readonly protocol: string
  readonly host: string
  readonly port: number
  readonly path: string | null
  readonly retries: number | null
  readonly connect_timeout: number | null
  readonly write_timeout: number | null
  readonly read_timeout: number | null
  readonly enabled: boolean
  readonly tls_verify: boolean | null
  readonly ca_certificates: readonly string[] | null
  readonly client_certificate: { readonly id: string } | null
}

interface PluginFields {
  readonly id: string
  readonly name: string
  readonly enabled: boolean
  readonly protocols: readonly string[] | null
  readonly config: Readonly<Record<string, unknown>>
  readonly route: { readonly id: string } | null
  readonly service: { readonly id: string } | null
  readonly consumer: { readonly id: string } | null
}

/** A compiled snapshot. */
export interface Compiled {
  readonly snapshot: Snapshot
  readonly router: Router<RoutePlan>
  /** The plugins of requests that match no route: the global ones. */
  readonly chain: Chain
  readonly services: ReadonlyMap<string, { readonly from: readonly unknown[]; readonly plan: ServicePlan }>
  readonly routes: ReadonlyMap<string, RoutePlan>
}

export interface PlanTools extends BalancerTools {
  readonly plugins: ReadonlyMap<string, Plugin<never, unknown>>
  /** Gives a config's `{vault://...}` references their values. */
  readonly resolveReferences: (
    config: Readonly<Record<string, unknown>>,
    vaults: Snapshot['vaults'],
  ) => Readonly<Record<string, unknown>>
}

const httpProtocols = new Set(['http', 'https', 'grpc', 'grpcs'])
const maxRetries = 32767

/** Compiles a snapshot, with what is the same as in `previous` taken over. */
export function compile(tools: PlanTools, snapshot: Snapshot, previous?: Compiled): Compiled {
  const services = compileServices(tools, snapshot, previous)
  const instances = snapshot.plugins === previous?.snapshot.plugins ? undefined : indexPlugins(tools, snapshot)
  const chainOf = instances ? chains(instances) : undefined
  const routes = new Map<string, RoutePlan>()
  const table: { route: RouteFields; target: RoutePlan }[] = []
  for (const entity of snapshot.routes.values()) {
    const route = entity as unknown as RouteFields
    const service = route.service ? services.get(route.service.id)?.plan : undefined
    // A route whose service is disabled is not there at all.
    if (route.service && !service) continue
    const before = previous?.routes.get(route.id)
    const chain = chainOf ? chainOf(route.id, route.service?.id) : (before?.chain ?? chainFor(tools, snapshot, route))
    const same = before && before.route === route && before.service === service && before.chain === chain
    const plan = same ? before : { route, service, chain }
    routes.set(route.id, plan)
    if (route.protocols.some((protocol) => httpProtocols.has(protocol))) table.push({ route, target: plan })
  }
  return {
    snapshot,
    services,
    routes,
    router: compileRouter(table, previous?.router),
    chain: chainOf ? chainOf(undefined, undefined) : (previous as Compiled).chain,
  }
}

/** The chain of a route that is new where no plugin has changed. */
const chainFor = (tools: PlanTools, snapshot: Snapshot, route: RouteFields): Chain =>
  chains(indexPlugins(tools, snapshot))(route.id, route.service?.id)

function compileServices(tools: PlanTools, snapshot: Snapshot, previous: Compiled | undefined): Compiled['services'] {
  const upstreams = new Map([...snapshot.upstreams.values()].map((upstream) => [String(upstream['name']), upstream]))
  const targets = Map.groupBy(snapshot.targets.values(), (target) => (target['upstream'] as { id: string }).id)
  const services = new Map<string, { from: readonly unknown[]; plan: ServicePlan }>()
  for (const entity of snapshot.services.values()) {
    const service = entity as unknown as ServiceFields
    if (!service.enabled || !httpProtocols.has(service.protocol)) continue
    const upstream = upstreams.get(service.host)
    const own = upstream ? (targets.get(upstream.id) ?? []) : []
    const from = [service, upstream, ...own, snapshot.certificates, snapshot.ca_certificates]
    const before = previous?.services.get(service.id)
    if (before && before.from.length === from.length && before.from.every((part, at) => part === from[at])) {
      services.set(service.id, before)
      continue
    }
    const scheme = service.protocol === 'https' || service.protocol === 'grpcs' ? 'https' : 'http'
    const last = before?.plan.balancer
    const balancer = upstream
      ? compileTargets(tools, scheme, upstream as unknown as UpstreamFields, own as unknown as TargetFields[], last)
      : compileHost(tools, scheme, service.host, service.port, last)
    services.set(service.id, { from, plan: servicePlan(service, entity, scheme, balancer, snapshot) })
  }
  return services
}

function servicePlan(
  service: ServiceFields,
  entity: Entity,
  scheme: 'http' | 'https',
  balancer: Balancer,
  snapshot: Snapshot,
): ServicePlan {
  return {
    entity,
    scheme,
    balancer,
    path: service.path ?? undefined,
    retries: Math.min(service.retries ?? 5, maxRetries),
    connectTimeoutMs: service.connect_timeout ?? 60_000,
    writeTimeoutMs: service.write_timeout ?? 60_000,
    readTimeoutMs: service.read_timeout ?? 60_000,
    tls: scheme === 'https' ? upstreamTls(service, snapshot) : undefined,
  }
}

function upstreamTls(service: ServiceFields, snapshot: Snapshot): UpstreamTls {
  const certificate = service.client_certificate ? snapshot.certificates.get(service.client_certificate.id) : undefined
  return {
    verify: service.tls_verify ?? undefined,
    ca: service.ca_certificates?.flatMap((id) => {
      const found = snapshot.ca_certificates.get(id)
      return found ? [String(found['cert'])] : []
    }),
    certificate: certificate && { cert: String(certificate['cert']), key: String(certificate['key']) },
  }
}

// What `prepare` makes of a plugin's config lives as long as the plugin entity itself is the same.
const prepared = new WeakMap<object, unknown>()

function readyOf(
  tools: PlanTools,
  snapshot: Snapshot,
  entity: Entity,
  fields: PluginFields,
  plugin: Plugin<never, unknown>,
): unknown {
  if (!prepared.has(entity)) {
    const config = tools.resolveReferences(fields.config, snapshot.vaults) as never
    prepared.set(entity, plugin.prepare(config, { id: fields.id, name: fields.name }))
  }
  return prepared.get(entity)
}

/** A scope as a key: ids of consumer, route and service, empty where it is not limited to one. */
const scopeKey = (route: string | undefined, service: string | undefined): string => `${route ?? ''}|${service ?? ''}`

interface Instances {
  readonly name: string
  readonly plugin: Plugin<never, unknown>
  /** Configs for every consumer, by scope. */
  readonly anyone: Map<string, unknown>
  /** Configs of single consumers: by scope, then by consumer id. */
  readonly single: Map<string, Map<string, unknown>>
}

function indexPlugins(tools: PlanTools, snapshot: Snapshot): readonly Instances[] {
  const byName = new Map<string, Instances>()
  for (const entity of snapshot.plugins.values()) {
    const fields = entity as unknown as PluginFields
    const plugin = tools.plugins.get(fields.name)
    if (!plugin || !fields.enabled || !fields.protocols?.some((protocol) => httpProtocols.has(protocol))) continue
    const instances = byName.get(fields.name) ?? { name: fields.name, plugin, anyone: new Map(), single: new Map() }
    byName.set(fields.name, instances)
    const scope = scopeKey(fields.route?.id, fields.service?.id)
    const ready = readyOf(tools, snapshot, entity, fields, plugin)
    if (!fields.consumer) {
      instances.anyone.set(scope, ready)
      continue
    }
    const consumers = instances.single.get(scope) ?? new Map<string, unknown>()
    instances.single.set(scope, consumers.set(fields.consumer.id, ready))
  }
  return [...byName.values()].toSorted(
    (one, other) => other.plugin.priority - one.plugin.priority || (one.name < other.name ? 1 : -1),
  )
}

/** Gives the chain of a scope; scopes with the same calls share one. */
function chains(instances: readonly Instances[]): (route: string | undefined, service: string | undefined) => Chain {
  const known = new Map<string, Chain>()
  const numbers = new Map<unknown, number>()
  const numberOf = (value: unknown) => {
    if (!numbers.has(value)) numbers.set(value, numbers.size)
    return numbers.get(value)
  }
  return (route, service) => {
    const calls = instances.flatMap((instance) => callOf(instance, route, service) ?? [])
    const key = calls
      .map((call) => [call.name, call.before, numberOf(call.ready), ...(call.consumers ?? []).map(numberOf)].join(':'))
      .join()
    const chain = known.get(key) ?? chainOf(calls)
    known.set(key, chain)
    return chain
  }
}

/**
 * Which of a plugin's configs holds for a route of a service. Source: Kong's docs, "Plugin precedence", and the recorded answers: a
 * consumer's own config beats a route's, but not one for this very route and service.
 */
function callOf(instance: Instances, route: string | undefined, service: string | undefined): Call | undefined {
  const both = scopeKey(route, service)
  const order = [both, scopeKey(route, undefined), scopeKey(undefined, service)]
  const before = [...new Set(order)].flatMap((scope) => (scope === '|' ? [] : (instance.single.get(scope) ?? [])))
  const everywhere = instance.single.get('|')
  const forBoth = route !== undefined && service !== undefined && instance.anyone.has(both)
  const scope = forBoth ? both : [...order.slice(1), '|'].find((scope) => instance.anyone.has(scope))
  const consumers = everywhere ? [...before, everywhere] : before
  if (scope === undefined && consumers.length === 0) return undefined
  return {
    name: instance.name,
    plugin: instance.plugin,
    ready: scope === undefined ? undefined : instance.anyone.get(scope),
    consumers: consumers.length > 0 ? consumers : undefined,
    before: forBoth ? before.length : consumers.length,
  }
}

function chainOf(calls: readonly Call[]): Chain {
  const having = (phase: keyof Plugin<unknown>) => calls.flatMap((call, at) => (call.plugin[phase] ? [at] : []))
  return {
    calls,
    rewrite: having('rewrite'),
    access: having('access'),
    headerFilter: having('header_filter'),
    bodyFilter: having('body_filter'),
    log: having('log'),
    byConsumer: calls.some((call) => call.consumers !== undefined),
  }
}

/** The config of a call for a consumer: its own where it has one, else the one for everyone. */
export function pick(call: Call, consumerId: string | undefined): unknown {
  const { consumers } = call
  if (consumers === undefined || consumerId === undefined) return call.ready
  for (let at = 0; at < consumers.length; at++) {
    if (at === call.before && call.ready !== undefined) return call.ready
    const own = consumers[at]?.get(consumerId)
    if (own !== undefined) return own
  }
  return call.ready
}
