/**
 * Which route a request takes. Hosts and path prefixes are looked up, not tried one after the other: what a request costs
 * depends on its own length and on the rules that its host and path meet, not on how many routes there are.
 */
import { emptyMap, type MapEdit, type PersistentMap } from '../../config/persistent-map.ts'
import { capturesOf } from './captures.ts'
import { matchesHeaders, matchesSni } from './conditions.ts'
import type { Found } from './expressions.ts'
import { emptyTree, type PathNode, withoutRule, withRule } from './path-tree.ts'
import {
  beats,
  type CompiledRoute,
  compileRoute,
  type Match,
  type Placement,
  type RouteInput,
  type Rule,
  splitHost,
} from './rule.ts'

export type { Match, RouteInput } from './rule.ts'

/** What the router looks at in a request. */
export interface RoutingRequest {
  readonly method: string
  /** The Host header as received, maybe with a port; the empty string when there is none. */
  readonly host: string
  /** The port that host rules with a port compare with when the Host header has none. */
  readonly port: number
  /** As `normalisePath` gives it. */
  readonly path: string
  readonly scheme: string
  readonly sni: string | undefined
  /** Every value of a header, one for each line. Called only when a route with header rules may match. */
  header(lowerName: string): readonly string[] | undefined
  // What only expressions look at: the connection's two ends, as the client is known and as the listener is mapped, and the query.
  readonly clientIp?: string
  readonly clientPort?: number
  readonly serverIp?: string
  readonly serverPort?: number
  readonly rawQuery?: string
}

/** How routes are written: by fields alone, or also by expressions, with whose protocols a request must come. */
export type RouterFlavor = 'traditional_compatible' | 'expressions'

/** A route and what a match with it gives back. */
export interface RouteTarget<T> {
  readonly route: RouteInput
  readonly target: T
}

/** Why a route can match nothing. */
export interface RouteProblem {
  readonly routeId: string
  readonly message: string
}

/** A compiled set of routes. It never changes: `compileRouter` and `changeRouter` make a new one. */
export interface Router<T> {
  /** The route with the greatest priority among those that match, whatever its protocols: checking these is the caller's. */
  match(request: RoutingRequest): Match<T> | undefined
  /** Routes that were left out. */
  readonly problems: readonly RouteProblem[]
}

/** Compiles routes. */
export const compileRouter = <T>(
  routes: Iterable<RouteTarget<T>>,
  flavor: RouterFlavor = 'traditional_compatible',
): Router<T> => changeRouter<T>(new Tables<T>(flavor), [], routes)

/** The same router with some routes taken out and others put in; the cost follows the number of changes. */
export function changeRouter<T>(
  router: Router<T>,
  removed: Iterable<RouteInput>,
  added: Iterable<RouteTarget<T>>,
): Router<T> {
  if (!(router instanceof Tables)) throw new TypeError('a router that compileRouter made is expected')
  const build = new Build<T>(router as Tables<T>)
  for (const route of removed) build.remove(route)
  for (const { route, target } of added) build.add(route, target)
  return build.tables()
}

type Hosts<T> = PersistentMap<PathNode<T>>

const noLengths: ReadonlyMap<number, number> = new Map()

interface Placed<T> {
  readonly route: RouteInput
  readonly compiled: CompiledRoute<T>
}

/** The tables, and the search in them. */
class Tables<T> implements Router<T> {
  /** By id. */
  routes: PersistentMap<Placed<T>> = emptyMap()
  /** Why routes can match nothing, by their ids. */
  unusable: PersistentMap<string> = emptyMap()
  exact: Hosts<T> = emptyMap()
  suffix: Hosts<T> = emptyMap()
  prefix: Hosts<T> = emptyMap()
  any: PathNode<T> = emptyTree()
  /** How many patterns have each length: a host name is cut only there, lest a long Host header cost a lookup for each dot. */
  suffixLengths = noLengths
  prefixLengths = noLengths
  /** How many routes have path rules: with any, a path that is not UTF-8 matches nothing. */
  pathRoutes = 0
  readonly flavor: RouterFlavor

  constructor(flavor: RouterFlavor) {
    this.flavor = flavor
  }

  get problems(): readonly RouteProblem[] {
    return [...this.unusable.entries()].map(([routeId, message]) => ({ routeId, message }))
  }

  match(request: RoutingRequest): Match<T> | undefined {
    best = undefined
    const { path } = request
    if (this.pathRoutes > 0 && !path.isWellFormed()) return undefined
    if (this.exact.size + this.suffix.size + this.prefix.size > 0) this.searchHosts(request)
    // A port can only be asked for together with a host.
    search(this.any, path, request, 0)
    const found = bestMatch as Match<T> | undefined
    best = undefined
    bestMatch = undefined
    return found
  }

  searchHosts(request: RoutingRequest): void {
    const { host, port } = splitHost(request)
    const exact = this.exact.size > 0 && this.exact.get(host)
    if (exact) search(exact, request.path, request, port)
    if (this.suffix.size > 0) this.searchSuffixes(host, request, port)
    if (this.prefix.size > 0) this.searchPrefixes(host, request, port)
  }

  searchSuffixes(host: string, request: RoutingRequest, port: number): void {
    for (const length of this.suffixLengths.keys()) {
      const dot = host.length - length
      if (dot < 0 || host.charCodeAt(dot) !== fullStop) continue
      const tree = this.suffix.get(host.slice(dot))
      if (tree) search(tree, request.path, request, port)
    }
  }

  searchPrefixes(host: string, request: RoutingRequest, port: number): void {
    for (const length of this.prefixLengths.keys()) {
      if (length > host.length || host.charCodeAt(length - 1) !== fullStop) continue
      const tree = this.prefix.get(host.slice(0, length))
      if (tree) search(tree, request.path, request, port)
    }
  }
}

const fullStop = 0x2e

// The search runs without interruption from `match`'s first line to its last, so what it keeps on the way can be shared by
// all searches of the thread: nothing is allocated for it.
let best: Rule<unknown> | undefined
let bestMatch: Match<unknown> | undefined
const way: PathNode<unknown>[] = []
/** Takes the place of a node that was looked at, so that a router out of use can be collected. */
const nowhere: PathNode<unknown> = emptyTree()

/** Looks for a rule that beats the best one so far, in one host's tree. */
function search(root: PathNode<unknown>, path: string, request: RoutingRequest, port: number): void {
  const steps = walk(root, path)
  let tries = 0
  // The longer prefix is the better one more often than not, and what needs no regular expression is cheaper.
  for (let step = steps - 1; step >= 0; step--) {
    const { rules, regexRules } = way[step] as PathNode<unknown>
    if (rules.length > 0) searchRules(rules, request, port)
    if (regexRules.length > 0) tries++
    else way[step] = nowhere
  }
  for (let step = steps - 1; tries > 0; step--) {
    const { regexRules } = way[step] as PathNode<unknown>
    if (regexRules.length === 0) continue
    searchRegexRules(regexRules, path, request, port)
    way[step] = nowhere
    tries--
  }
}

/** Puts the nodes with rules that the path leads through into `way`, and returns their number. */
function walk(root: PathNode<unknown>, path: string): number {
  let steps = 0
  let at = 0
  let node: PathNode<unknown> | undefined = root
  while (node) {
    if (node.rules.length > 0 || node.regexRules.length > 0) way[steps++] = node
    if (!node.children || at >= path.length) break
    node = node.children.get(path.charCodeAt(at))
    // Cheaper than `startsWith`, which goes character by character.
    if (!node || path.slice(at, at + node.label.length) !== node.label) break
    at += node.label.length
  }
  return steps
}

function searchRules(rules: readonly Rule<unknown>[], request: RoutingRequest, port: number): void {
  for (let index = 0; index < rules.length; index++) {
    const rule = rules[index]
    if (!rule || (best && !beats(rule, best))) return
    if (!holds(rule, request, port)) continue
    best = rule
    bestMatch = rule
    return
  }
}

function searchRegexRules(rules: readonly Rule<unknown>[], path: string, request: RoutingRequest, port: number): void {
  for (let index = 0; index < rules.length; index++) {
    const rule = rules[index]
    if (!rule || (best && !beats(rule, best))) return
    if (!holds(rule, request, port)) continue
    if (rule.condition) {
      const seen: Found = { matchedPath: '', captures: undefined }
      if (!rule.condition(request, seen)) continue
      best = rule
      bestMatch = { target: rule.target, ...seen }
      return
    }
    const found = rule.regex?.matchStart(path)
    if (!found) continue
    best = rule
    bestMatch = {
      target: rule.target,
      matchedPath: path.slice(0, found.end),
      captures: capturesOf(found.groups, found.named),
    }
    return
  }
}

/** Everything but the host's name and the path. */
function holds(rule: Rule<unknown>, request: RoutingRequest, port: number): boolean {
  if (rule.port !== 0 && rule.port !== port) return false
  if (rule.schemes && !rule.schemes.includes(request.scheme)) return false
  if (rule.methods && !rule.methods.includes(request.method)) return false
  if (rule.snis && !matchesSni(rule.snis, request.scheme, request.sni)) return false
  if (rule.connection && !rule.connection(request)) return false
  return !rule.headers || matchesHeaders(rule.headers, request)
}

type HostKind = Exclude<Placement<unknown>['kind'], 'any'>

/** A change under way: the tables that it touches are edited, and the nodes that it makes are its own. */
class Build<T> {
  readonly owner = {}
  readonly before: Tables<T>
  readonly routes: MapEdit<Placed<T>>
  readonly unusable: MapEdit<string>
  readonly hosts: Readonly<Record<HostKind, MapEdit<PathNode<T>>>>
  /** Copied by the first change of each. */
  lengths: { suffix?: Map<number, number>; prefix?: Map<number, number> } = {}
  any: PathNode<T>
  pathRoutes: number

  constructor(before: Tables<T>) {
    this.before = before
    this.routes = before.routes.edit()
    this.unusable = before.unusable.edit()
    this.hosts = { exact: before.exact.edit(), suffix: before.suffix.edit(), prefix: before.prefix.edit() }
    this.any = before.any
    this.pathRoutes = before.pathRoutes
  }

  add(route: RouteInput, target: T): void {
    this.remove(route)
    const compiled = compileRoute(route, target, this.before.flavor)
    this.routes.set(route.id, { route, compiled })
    if ('problem' in compiled) this.unusable.set(route.id, compiled.problem)
    if (route.paths?.length && compiled.placements.length > 0) this.pathRoutes++
    for (const placement of compiled.placements) {
      const tree = this.treeOf(placement) ?? emptyTree<T>(this.owner)
      this.setTree(placement, withRule(tree, placement.prefix, placement.rule, this.owner))
    }
  }

  /** Takes out the route with this one's id. */
  remove({ id }: RouteInput): void {
    const placed = this.routes.get(id)
    if (!placed) return
    const { route, compiled } = placed
    this.routes.delete(id)
    this.unusable.delete(id)
    if (route.paths?.length && compiled.placements.length > 0) this.pathRoutes--
    for (const placement of compiled.placements) {
      const tree = this.treeOf(placement)
      if (tree) this.setTree(placement, withoutRule(tree, placement.prefix, placement.rule, this.owner))
    }
  }

  tables(): Tables<T> {
    const after = new Tables<T>(this.before.flavor)
    after.routes = this.routes.done()
    after.unusable = this.unusable.done()
    after.exact = this.hosts.exact.done()
    after.suffix = this.hosts.suffix.done()
    after.prefix = this.hosts.prefix.done()
    after.any = this.any
    after.suffixLengths = this.lengths.suffix ?? this.before.suffixLengths
    after.prefixLengths = this.lengths.prefix ?? this.before.prefixLengths
    after.pathRoutes = this.pathRoutes
    return after
  }

  treeOf({ kind, host }: Placement<T>): PathNode<T> | undefined {
    return kind === 'any' ? this.any : this.hosts[kind].get(host)
  }

  setTree({ kind, host }: Placement<T>, tree: PathNode<T> | undefined): void {
    if (kind === 'any') {
      this.any = tree ?? emptyTree()
      return
    }
    const hosts = this.hosts[kind]
    const wasThere = hosts.get(host) !== undefined
    if (kind !== 'exact' && wasThere !== (tree !== undefined)) this.count(kind, host.length, tree ? 1 : -1)
    if (tree) hosts.set(host, tree)
    else hosts.delete(host)
  }

  count(kind: 'suffix' | 'prefix', length: number, difference: 1 | -1): void {
    const lengths = (this.lengths[kind] ??= new Map(this.before[`${kind}Lengths`]))
    const count = (lengths.get(length) ?? 0) + difference
    if (count > 0) lengths.set(length, count)
    else lengths.delete(length)
  }
}
