/**
 * A route, taken apart into rules: what can be decided by looking at one host pattern and one path pattern. The traditional
 * flavour with expressions gives every route a priority from the kinds of its conditions, and takes the matching route with
 * the greatest one. Source: Kong's documentation of `router_flavor`, and the recorded answers.
 */
import { uuidOfName } from '../../config/uuid.ts'
import { compileRegex, type Regex } from '../../schema/regex.ts'
import { compileExpression, type Condition } from './expressions.ts'
import { literalPrefix } from './literal-prefix.ts'
import { connectionTest } from './connections.ts'
import type { RouterFlavor, RoutingRequest } from './router.ts'

/** The fields of a `routes` entity that matching looks at. */
export interface RouteInput {
  readonly id: string
  readonly protocols: readonly string[]
  readonly methods?: readonly string[] | null
  readonly hosts?: readonly string[] | null
  readonly paths?: readonly string[] | null
  readonly headers?: Readonly<Record<string, readonly string[]>> | null
  readonly snis?: readonly string[] | null
  readonly regex_priority?: number | null
  readonly sources?: readonly ConnectionEnd[] | null
  readonly destinations?: readonly ConnectionEnd[] | null
  /** In place of all the fields above, where the flavour has expressions. */
  readonly expression?: string | null
  /** Of an expression: the greatest that matches is taken. */
  readonly priority?: number | null
}

/** One end of a connection: an address or a range of them, a port, or both. */
export interface ConnectionEnd {
  readonly ip?: string | null
  readonly port?: number | null
}

/** What matching gives: `matchedPath` is the part of the path that `strip_path` removes, empty if no path rule took part. */
export interface Match<T> {
  readonly target: T
  readonly matchedPath: string
  /** What the path's regular expression captured, by number from 1 and by name; undefined where it captures nothing. */
  readonly captures: ReadonlyMap<string | number, string> | undefined
}

/** One way for a route to match; a rule without a regular expression is its own match, so that finding it allocates nothing. */
export interface Rule<T> extends Match<T> {
  readonly priority: number
  readonly id: string
  /** The place of its path among the route's: of two that match, the earlier one counts. */
  readonly order: number
  /** The port that the host must have; 0 for any. */
  readonly port: number
  readonly methods: readonly string[] | undefined
  readonly snis: readonly SniRule[] | undefined
  readonly headers: readonly HeaderRule[] | undefined
  readonly regex: Regex | undefined
  /** In place of all other conditions but the schemes. */
  readonly condition?: Condition
  /** What the connection must be like; undefined for any. */
  readonly connection?: ((request: RoutingRequest) => boolean) | undefined
  /** The schemes that a request may come by; undefined for any. */
  readonly schemes?: readonly string[] | undefined
}

/** A rule's place in the tables: under its host pattern, and there under a prefix that its path must have. */
export interface Placement<T> {
  readonly kind: 'exact' | 'suffix' | 'prefix' | 'any'
  readonly host: string
  readonly prefix: string
  readonly rule: Rule<T>
}

/** A server name that a TLS client asks for: all of it, its end, or its beginning. */
export interface SniRule {
  readonly kind: 'exact' | 'suffix' | 'prefix'
  readonly text: string
}

/** One header's condition. `names` are the spellings to look under, in order: `_` and `-` are the same in a rule. */
export interface HeaderRule {
  readonly names: readonly string[]
  /** In lower case. */
  readonly values: ReadonlySet<string>
  readonly regexes: readonly Regex[]
}

/** Whether the first of two rules that both match is the one that counts. */
export function beats<T>(rule: Rule<T>, other: Rule<T>): boolean {
  if (rule.priority !== other.priority) return rule.priority > other.priority
  if (rule.id !== other.id) return rule.id > other.id
  return rule.order < other.order
}

/** A route's rules with their places; or why it can have none, in which case it matches nothing. */
export type CompiledRoute<T> =
  | { readonly target: T; readonly placements: readonly Placement<T>[] }
  | { readonly target: T; readonly placements: readonly []; readonly problem: string }

/** Compiles a route. One whose protocols are those of streams, or that has no condition, has no rules. */
export function compileRoute<T>(route: RouteInput, target: T, flavor: RouterFlavor): CompiledRoute<T> {
  if (!route.protocols.some((protocol) => httpProtocols.has(protocol))) return { target, placements: [] }
  if (flavor === 'expressions' && typeof route.expression === 'string')
    return expressionRoute(route, route.expression, target)
  if (conditions(route, route.paths).every((present) => !present)) return { target, placements: [] }
  try {
    const shared = { ...sharedParts(route), schemes: flavor === 'expressions' ? schemesOf(route) : undefined }
    const hosts = hostPatterns(route.hosts)
    const rules = pathGroups(route).flatMap((group) => groupRules(route, group, shared, target))
    return { target, placements: rules.flatMap((rule) => hosts.map((host) => placement(rule, host))) }
  } catch (error) {
    if (error instanceof Unusable) return { target, placements: [], problem: error.message }
    throw error
  }
}

const httpProtocols = new Set(['http', 'https', 'grpc', 'grpcs'])

/** Thrown by the steps below and caught by `compileRoute` alone. */
class Unusable extends Error {}

const isSet = <T>(list: readonly T[] | null | undefined): list is readonly T[] => !!list && list.length > 0

/** Which kinds of conditions a route has; the more, the higher its priority. */
function conditions(route: RouteInput, paths: readonly string[] | null | undefined): boolean[] {
  return [
    isSet(route.methods),
    isSet(route.hosts),
    isSet(paths),
    Object.keys(route.headers ?? {}).length > 0,
    isSet(route.snis),
    isSet(route.sources),
    isSet(route.destinations),
  ]
}

type SharedParts = Pick<Rule<unknown>, 'methods' | 'snis' | 'headers' | 'connection' | 'schemes'>

function sharedParts(route: RouteInput): Omit<SharedParts, 'schemes'> {
  const headers = Object.entries(route.headers ?? {}).map(([name, values]) => headerRule(name, values))
  return {
    methods: isSet(route.methods) ? route.methods : undefined,
    snis: isSet(route.snis) ? route.snis.map(sniRule) : undefined,
    headers: headers.length > 0 ? headers : undefined,
    connection: connectionTest(route.sources ?? [], route.destinations ?? []),
  }
}

function headerRule(name: string, values: readonly string[]): HeaderRule {
  const lower = name.toLowerCase()
  const isRegex = (value: string) => value.startsWith('~*')
  return {
    // Underscores first: that is the name the rule is known under, dashes are what clients mostly send.
    names: [...new Set([lower.replaceAll('-', '_'), lower.replaceAll('_', '-')])],
    values: new Set(values.filter((value) => !isRegex(value)).map((value) => value.toLowerCase())),
    regexes: values.filter(isRegex).map((value) => usable(`(?i)${value.slice(2)}`, `headers.${name}`)),
  }
}

/** What a route's `snis` asks for. */
export function sniRule(sni: string): SniRule {
  if (sni.endsWith('*')) return { kind: 'prefix', text: sni.slice(0, -1) }
  // The final dot of a fully qualified name is never sent by a TLS client (RFC 6066 section 3).
  const name = sni.length > 1 && sni.endsWith('.') ? sni.slice(0, -1) : sni
  return name.startsWith('*') ? { kind: 'suffix', text: name.slice(1) } : { kind: 'exact', text: name }
}

function usable(pattern: string, where: string): Regex {
  const compiled = compileRegex(pattern)
  if (!compiled.ok) throw new Unusable(`${where}: invalid regex: ${compiled.error}`)
  return compiled.regex
}

interface HostPattern {
  readonly kind: Placement<unknown>['kind']
  readonly host: string
  readonly port: number
}

function hostPatterns(hosts: readonly string[] | null | undefined): HostPattern[] {
  return isSet(hosts) ? hosts.map(hostPattern) : [{ kind: 'any', host: '', port: 0 }]
}

function hostPattern(pattern: string): HostPattern {
  const { host, port } = splitHost({ host: pattern, port: 0 })
  if (host.startsWith('*')) {
    if (host[1] !== '.') throw new Unusable(`hosts: a wildcard must be a whole label: ${pattern}`)
    return { kind: 'suffix', host: host.slice(1), port }
  }
  if (!host.endsWith('*')) return { kind: 'exact', host, port }
  if (host.at(-2) !== '.') throw new Unusable(`hosts: a wildcard must be a whole label: ${pattern}`)
  return { kind: 'prefix', host: host.slice(0, -1), port }
}

/** Splits `name:port` or `[address]:port`; where no number follows the colon, all of it is the name and the port is the one given. */
export function splitHost({ host, port }: { readonly host: string; readonly port: number }): {
  readonly host: string
  readonly port: number
} {
  const colon = host.indexOf(':', host.startsWith('[') ? host.indexOf(']') : 0)
  if (colon < 0) return { host, port }
  const digits = host.slice(colon + 1)
  if (!/^\d{1,5}$/.test(digits)) return { host, port }
  return { host: host.slice(0, colon), port: Number(digits) }
}

/** Paths that share a priority: all regular expressions, or all prefixes of one length; each group counts as a route. */
interface PathGroup {
  readonly id: string
  readonly paths: readonly string[]
}

const isRegexPath = (path: string): boolean => path.startsWith('~')

function pathGroups(route: RouteInput): PathGroup[] {
  const id = route.id.toLowerCase()
  if (!isSet(route.paths)) return [{ id, paths: [] }]
  const groups = Map.groupBy(route.paths, (path) => (isRegexPath(path) ? 0 : Buffer.byteLength(path)))
  if (groups.size === 1) return [{ id, paths: route.paths }]
  return Array.from(groups.values(), (paths, index) => ({
    id: uuidOfName(groupNamespace, `${id}#${index + 1}`),
    paths,
  }))
}

/** Kong's namespace for the ids of path groups: equal priorities are decided by them, so they must come out the same. */
const groupNamespace = '7f145bf9-0dce-4f91-98eb-debbce4b9f6b'

function groupRules<T>(route: RouteInput, group: PathGroup, shared: SharedParts, target: T): Rule<T>[] {
  const common = {
    ...shared,
    priority: priorityOf(route, group.paths),
    id: group.id,
    port: 0,
    target,
    captures: undefined,
  }
  if (group.paths.length === 0) return [{ ...common, matchedPath: '', order: 0, regex: undefined }]
  return group.paths.map((path, order) =>
    isRegexPath(path)
      ? { ...common, matchedPath: '', order, regex: usable(path.slice(1), 'paths') }
      : { ...common, matchedPath: path, order, regex: undefined },
  )
}

function placement<T>(rule: Rule<T>, { kind, host, port }: HostPattern): Placement<T> {
  const prefix = rule.regex ? literalPrefix(rule.regex.source) : rule.matchedPath
  return { kind, host, prefix, rule: port === 0 ? rule : { ...rule, port } }
}

/** Whatever an expression's priority, it comes before that of every route without one; a number below 2^53 holds both. */
export const expressionsFirst = 2 ** 52

function expressionRoute<T>(route: RouteInput, expression: string, target: T): CompiledRoute<T> {
  const compiled = compileExpression(expression)
  if ('error' in compiled) return { target, placements: [], problem: `expression: ${compiled.error}` }
  const rule: Rule<T> = {
    target,
    matchedPath: '',
    captures: undefined,
    priority: expressionsFirst + (route.priority ?? 0),
    id: route.id.toLowerCase(),
    order: 0,
    port: 0,
    methods: undefined,
    snis: undefined,
    headers: undefined,
    regex: undefined,
    condition: compiled.condition,
    schemes: schemesOf(route),
  }
  return { target, placements: compiled.anchors.map((anchor) => ({ ...anchor, rule })) }
}

/** A route for TLS alone also meets plain requests, so that these can be told where to come; any other only its own protocols. */
function schemesOf({ protocols }: RouteInput): readonly string[] | undefined {
  if (protocols.length === 1 && protocols[0] === 'https') return undefined
  return protocols.map((protocol) => (protocol === 'https' || protocol === 'grpcs' ? 'https' : 'http'))
}

/**
 * A route's priority, as one number below 2^52. Kong means it to be ordered by the number of kinds of conditions first, but
 * shifts that number within 32 bits: up to three kinds, plain hosts and regular expressions come before it. The recorded
 * answers show it, and configurations rely on it. From the most significant: four kinds or more, and how many; only plain
 * hosts; a regular expression; one to three kinds; headers and `regex_priority`; the prefix's length in bytes.
 */
function priorityOf(route: RouteInput, paths: readonly string[]): number {
  const kinds = conditions(route, paths).filter(Boolean).length
  const plainHosts = isSet(route.hosts) && route.hosts.every((host) => !host.includes('*'))
  const first = paths[0] ?? ''
  const isRegex = isRegexPath(first)
  const length = isRegex ? 0 : Math.min(Buffer.byteLength(first), 0x7ffff)
  const headers = Math.min(Object.keys(route.headers ?? {}).length, 255)
  const group = (kinds > 3 ? kinds : 0) * 4 + (plainHosts ? 2 : 0) + (isRegex ? 1 : 0)
  const fine = fineOrder(headers, isRegex ? (route.regex_priority ?? 0) : 0)
  return ((group * 4 + (kinds & 3)) * 2 ** 26 + fine) * 2 ** 19 + length
}

/**
 * Headers and `regex_priority` share bits in Kong, which is kept for priorities up to 1023. Beyond them, and below zero, its
 * bits spill over into the others; here a greater priority is always more, a negative one less than none.
 */
function fineOrder(headers: number, regexPriority: number): number {
  const limit = 2 ** 25
  const order = regexPriority >= 0 && regexPriority < 1024 ? (headers << 1) | regexPriority : regexPriority
  return Math.max(-limit, Math.min(limit - 1, order)) + limit
}
