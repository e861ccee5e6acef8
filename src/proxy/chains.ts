/**
 * Which plugins take part in a request, in which order and with which config: worked out for each scope when a configuration
 * is put in force. A change of a plugin touches its own scope and what lies within it, nothing else.
 */
import { emptyMap, type MapEdit, type PersistentMap } from '../config/persistent-map.ts'
import type { WithSecrets } from '../config/secrets.ts'
import type { Snapshot } from '../config/snapshot.ts'
import type { Entity } from '../pdk/entities.ts'
import type { Plugin, ServedDocument } from '../pdk/plugin.ts'
import { closed, closing } from './closed.ts'
import { filterChains } from './filter-chains.ts'

/** A plugin as it takes part in a route's requests. */
export interface Call {
  readonly name: string
  readonly plugin: Plugin<unknown, unknown>
  /** What `prepare` made of the config that holds where no consumer's own does; undefined where only consumers' own do. */
  readonly ready: unknown
  /** The configs of single consumers, by consumer id, in the order in which they are looked through. */
  readonly consumers: readonly Pick<PersistentMap<unknown>, 'get'>[] | undefined
  /** How many of `consumers` come before `ready`. */
  readonly before: number
}

/** Every plugin that may take part, highest priority first, and which of them have something to do in each phase. */
export interface Chain {
  readonly calls: readonly Call[]
  readonly rewrite: readonly number[]
  readonly access: readonly number[]
  readonly afterAccess: readonly number[]
  readonly headerFilter: readonly number[]
  readonly bodyFilter: readonly number[]
  readonly log: readonly number[]
  /** Whether a consumer has a config of its own for one of them. */
  readonly byConsumer: boolean
}

export interface ChainTools {
  readonly plugins: ReadonlyMap<string, Plugin<never, unknown>>
  readonly withSecrets: WithSecrets
  /** Logs what is odd about a configuration without standing in its way. */
  readonly warn: (message: string) => void
}

/** The plugins of a snapshot, and the chains of all scopes that routes share. */
export interface Chains {
  /** By plugin id, and filter chains by theirs behind `filter_chains/`. */
  readonly instances: PersistentMap<Instance>
  /** What plugins have the gateway serve, by plugin id; most serve nothing. */
  readonly serving: PersistentMap<readonly ServedDocument[]>
  /** Those that want clients to be asked for certificates, by plugin id. */
  readonly asking: PersistentMap<true>
  /** By scope, then by the plugin's name. */
  readonly scopes: PersistentMap<ReadonlyMap<string, Configs>>
  /** In how many of these scopes a route stands, by its id. */
  readonly ownScopes: PersistentMap<number>
  /** The chain of requests that no plugin of a route or a service has to do with. */
  readonly everywhere: Chain
  /** The chains of services that have plugins of their own, by service id. */
  readonly services: PersistentMap<OwnChain>
}

interface PluginFields {
  readonly id: string
  readonly name: string
  readonly enabled: boolean
  readonly protocols: readonly string[] | null
  readonly route: { readonly id: string } | null
  readonly service: { readonly id: string } | null
  readonly consumer: { readonly id: string } | null
}

type FilterChainFields = Pick<PluginFields, 'id' | 'enabled' | 'route' | 'service'> & {
  readonly filters: readonly { readonly enabled: boolean }[]
}

/** A plugin entity that takes part, and what `prepare` made of its config. */
interface Instance {
  readonly name: string
  readonly scope: string
  readonly consumer: string | undefined
  readonly ready: unknown
  readonly documents: readonly ServedDocument[]
  readonly asksForCertificate: boolean
  /** Whether the config refers to secrets in vaults, and so has to be prepared anew when those change. */
  readonly refers: boolean
}

/** The configs of one plugin in one scope: for everyone, and for single consumers by their ids. */
interface Configs {
  readonly anyone: Instance | undefined
  readonly consumers: PersistentMap<unknown>
  /** How many of them cannot be put in force. */
  readonly closed: number
}

/** A scope as a key: ids of a route and of a service, empty where it is not limited to one. */
const scopeKey = (route: string | undefined, service: string | undefined): string => `${route ?? ''}|${service ?? ''}`
/** The scope of plugins that are limited to nothing. */
const everyScope = scopeKey(undefined, undefined)

const httpProtocols = new Set(['http', 'https', 'grpc', 'grpcs'])

/** The ids of a route and of a service that a scope's key was made of. */
export function partsOfScope(key: string): { readonly route: string; readonly service: string } {
  const bar = key.indexOf('|')
  return { route: key.slice(0, bar), service: key.slice(bar + 1) }
}

const noChains: Chains = {
  instances: emptyMap(),
  serving: emptyMap(),
  asking: emptyMap(),
  scopes: emptyMap(),
  ownScopes: emptyMap(),
  everywhere: chainOf([]),
  services: emptyMap(),
}

/** The chains of a snapshot, and the keys of the scopes in which something is another than in `previous`. */
export function compileChains(
  tools: ChainTools,
  snapshot: Snapshot,
  previous?: { readonly snapshot: Snapshot; readonly chains: Chains },
): { readonly chains: Chains; readonly changed: ReadonlySet<string> } {
  const before = previous?.chains ?? noChains
  const { instances, serving, asking, scopes, changed } = changeInstances(tools, snapshot, previous?.snapshot, before)
  if (changed.size === 0) return { chains: before, changed }
  const everywhere = changed.has(everyScope) ? chainOfScopes(tools, [scopes.get(everyScope)]) : before.everywhere
  const services = before.services.edit()
  for (const key of changed) {
    const { route, service } = partsOfScope(key)
    if (route !== '' || service === '') continue
    if (scopes.has(key)) services.set(service, new OwnChain(tools, scopes, undefined, service))
    else services.delete(service)
  }
  const ownScopes = countedScopes(before, scopes, changed)
  return { chains: { instances, serving, asking, scopes, ownScopes, everywhere, services: services.done() }, changed }
}

/** A route's chain; undefined where it is the one that holds everywhere. Routes of one service share theirs. */
export function chainOfRoute(
  tools: ChainTools,
  { scopes, ownScopes, services }: Chains,
  route: string,
  service: string | undefined,
): OwnChain | undefined {
  if (ownScopes.has(route)) return new OwnChain(tools, scopes, route, service)
  return service === undefined ? undefined : services.get(service)
}

/**
 * The chain of a route or a service that has plugins of its own. What holds everywhere takes part in it, too, so it is worked out
 * when it is asked for: a change of a global plugin makes all of them others, thousands perhaps, and costs the first request
 * through each some microseconds.
 */
export class OwnChain {
  readonly #tools: ChainTools
  /** The configs in the scope and around it, but for those that hold everywhere. */
  readonly #own: readonly (ReadonlyMap<string, Configs> | undefined)[]
  readonly #isOfBoth: boolean
  #everywhere: Chain | undefined
  #chain: Chain | undefined

  constructor(tools: ChainTools, scopes: Chains['scopes'], route: string | undefined, service: string | undefined) {
    this.#tools = tools
    const keys = new Set([scopeKey(route, service), scopeKey(route, undefined), scopeKey(undefined, service)])
    keys.delete(everyScope)
    this.#own = [...keys].map((key) => scopes.get(key))
    this.#isOfBoth = route !== undefined && service !== undefined
  }

  /** The chain in a configuration in which these plugins hold everywhere. */
  within({ scopes, everywhere }: Pick<Chains, 'scopes' | 'everywhere'>): Chain {
    if (this.#chain === undefined || this.#everywhere !== everywhere) {
      this.#chain = chainOfScopes(this.#tools, [...this.#own, scopes.get(everyScope)], this.#isOfBoth)
      this.#everywhere = everywhere
    }
    return this.#chain
  }
}

function countedScopes(before: Chains, scopes: Chains['scopes'], changed: ReadonlySet<string>): PersistentMap<number> {
  const counts = before.ownScopes.edit()
  for (const key of changed) {
    const { route } = partsOfScope(key)
    const difference = Number(scopes.has(key)) - Number(before.scopes.has(key))
    if (route === '' || difference === 0) continue
    const count = (counts.get(route) ?? 0) + difference
    if (count > 0) counts.set(route, count)
    else counts.delete(route)
  }
  return counts.done()
}

/** Takes out what has gone or changed before anything new is put in its place. */
function changeInstances(
  tools: ChainTools,
  snapshot: Snapshot,
  last: Snapshot | undefined,
  before: Chains,
): Pick<Chains, 'instances' | 'serving' | 'asking' | 'scopes'> & { readonly changed: ReadonlySet<string> } {
  const instances = before.instances.edit()
  const serving = before.serving.edit()
  const asking = before.asking.edit()
  const scopes = before.scopes.edit()
  const made = new Map(
    changedPlugins(snapshot, last, before).map((id) => [id, instanceOf(tools, snapshot, snapshot.plugins.get(id))]),
  )
  for (const id of snapshot.filter_chains.changedSince(last?.filter_chains ?? emptyMap()))
    made.set(`${filterChains}/${id}`, filtersOf(tools, snapshot.filter_chains.get(id)))
  const gone = [...made.keys()].flatMap((id) => instances.get(id) ?? [])
  const come: Instance[] = []
  for (const [id, instance] of made) {
    if (instance) {
      instances.set(id, instance)
      come.push(instance)
    } else instances.delete(id)
    if (instance && instance.documents.length > 0) serving.set(id, instance.documents)
    else serving.delete(id)
    if (instance?.asksForCertificate) asking.set(id, true)
    else asking.delete(id)
  }
  for (const instance of gone) put(scopes, instance, undefined)
  for (const instance of come) put(scopes, instance, instance)
  const changed = new Set([...gone, ...come].map(({ scope }) => scope))
  return { instances: instances.done(), serving: serving.done(), asking: asking.done(), scopes: scopes.done(), changed }
}

/** As with plugins, a chain that is left out would let through what it is there to refuse. */
function filtersOf({ plugins, warn }: ChainTools, entity: Entity | undefined): Instance | undefined {
  if (!entity || !plugins.has(filterChains)) return undefined
  const { id, enabled, filters, route, service } = entity as unknown as FilterChainFields
  if (!enabled || !filters.some((filter) => filter.enabled)) return undefined
  warn(`filter chain ${id}: requests that it is for are answered with 500: no WebAssembly is run here`)
  return {
    name: filterChains,
    scope: scopeKey(route?.id, service?.id),
    consumer: undefined,
    ready: id,
    documents: [],
    asksForCertificate: false,
    refers: false,
  }
}

function changedPlugins(snapshot: Snapshot, last: Snapshot | undefined, { instances }: Chains): string[] {
  const ids = new Set(snapshot.plugins.changedSince(last?.plugins ?? emptyMap()))
  if (last && snapshot.vaults !== last.vaults) {
    for (const [id, { refers }] of instances.entries()) if (refers) ids.add(id)
  }
  return [...ids]
}

function instanceOf(tools: ChainTools, snapshot: Snapshot, entity: Entity | undefined): Instance | undefined {
  if (!entity) return undefined
  const { id, name, enabled, protocols, route, service, consumer } = entity as unknown as PluginFields
  if (!enabled || !protocols?.some((protocol) => httpProtocols.has(protocol))) return undefined
  const plugin = tools.plugins.get(name)
  // Left out, it would let through what it is there to refuse.
  if (!plugin) throw new Error(`the plugin ${name} (${id}) is in use but not enabled on this node`)
  const place = { name, scope: scopeKey(route?.id, service?.id), consumer: consumer?.id }
  const warn = (message: string): void => tools.warn(`plugin ${name} (${id}): ${message}`)
  try {
    const complete = tools.withSecrets('plugins', entity, snapshot.vaults)
    const ready = plugin.prepare(complete['config'] as never, {
      id,
      name,
      route: route?.id,
      service: service?.id,
      warn,
    })
    return {
      ...place,
      ready,
      documents: plugin.documents?.(ready) ?? [],
      asksForCertificate: plugin.asksForCertificate?.(ready) ?? false,
      refers: complete !== entity,
    }
  } catch (error) {
    // It must not hold back what everybody else configures; and passed over, it would let through what it is there to refuse.
    warn(`requests that it takes part in are answered with 500: ${(error as Error).message}`)
    return { ...place, ready: closed, documents: [], asksForCertificate: false, refers: true }
  }
}

/** Puts an instance in the place of the one with its scope, name and consumer, or nothing. */
function put(scopes: MapEdit<ReadonlyMap<string, Configs>>, place: Instance, instance: Instance | undefined): void {
  const { name, scope, consumer } = place
  const configs = new Map(scopes.get(scope))
  const before = configs.get(name) ?? { anyone: undefined, consumers: emptyMap(), closed: 0 }
  const changed = {
    ...before,
    ...(consumer === undefined
      ? { anyone: instance }
      : { consumers: withOne(before.consumers, consumer, instance?.ready) }),
    closed: before.closed + (place.ready === closed ? (instance ? 1 : -1) : 0),
  }
  if (changed.anyone || changed.consumers.size > 0) configs.set(name, changed)
  else configs.delete(name)
  if (configs.size > 0) scopes.set(scope, configs)
  else scopes.delete(scope)
}

function withOne(consumers: PersistentMap<unknown>, id: string, ready: unknown): PersistentMap<unknown> {
  const edit = consumers.edit()
  if (ready === undefined) edit.delete(id)
  else edit.set(id, ready)
  return edit.done()
}

/** The calls of every plugin that has a config in one of these scopes: those of the scope itself first, of all scopes last. */
function chainOfScopes(
  { plugins }: ChainTools,
  around: readonly (ReadonlyMap<string, Configs> | undefined)[],
  isOfBoth = false,
): Chain {
  const names = new Set(around.flatMap((configs) => (configs ? [...configs.keys()] : [])))
  const calls = [...names].map((name) =>
    callOf(
      name,
      plugins.get(name) as Plugin<never, unknown>,
      around.map((configs) => configs?.get(name)),
      isOfBoth,
    ),
  )
  return chainOf(
    calls.toSorted((one, other) => other.plugin.priority - one.plugin.priority || (one.name < other.name ? 1 : -1)),
  )
}

/**
 * Which of a plugin's configs holds: `around` has those of the scope itself first, of all scopes last. Source: Kong's docs, "Plugin
 * precedence", and the recorded answers: a consumer's own config beats a route's, but not one for this very route and service.
 */
function callOf(
  name: string,
  plugin: Plugin<never, unknown>,
  around: readonly (Configs | undefined)[],
  isOfBoth: boolean,
): Call {
  const consumers = around.flatMap((configs) => (configs && configs.consumers.size > 0 ? [configs.consumers] : []))
  const holding = around.find((configs) => configs?.anyone)
  const forBoth = isOfBoth && holding !== undefined && holding === around[0]
  const everywhere = around.at(-1)?.consumers.size ? 1 : 0
  return {
    name,
    plugin: around.some((configs) => configs?.closed) ? closing(plugin) : plugin,
    ready: holding?.anyone?.ready,
    consumers: consumers.length > 0 ? consumers : undefined,
    before: forBoth ? consumers.length - everywhere : consumers.length,
  }
}

/** A chain of calls in this order. */
export function chainOf(calls: readonly Call[]): Chain {
  const rewrite: number[] = []
  const access: number[] = []
  const afterAccess: number[] = []
  const headerFilter: number[] = []
  const bodyFilter: number[] = []
  const log: number[] = []
  let byConsumer = false
  for (const [at, { plugin, consumers }] of calls.entries()) {
    if (plugin.rewrite) rewrite.push(at)
    if (plugin.access) access.push(at)
    if (plugin.after_access) afterAccess.push(at)
    if (plugin.header_filter) headerFilter.push(at)
    if (plugin.body_filter) bodyFilter.push(at)
    if (plugin.log) log.push(at)
    byConsumer ||= consumers !== undefined
  }
  return { calls, rewrite, access, afterAccess, headerFilter, bodyFilter, log, byConsumer }
}

/** The id of the plugin that a config is of. Looks through all of them: for eyes, not for every request. */
export function pluginIdOf({ instances }: Pick<Chains, 'instances'>, name: string, ready: unknown): string {
  for (const [id, instance] of instances.entries()) if (instance.name === name && instance.ready === ready) return id
  return ''
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
