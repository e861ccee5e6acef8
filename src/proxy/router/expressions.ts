/**
 * Routes with an expression, as rules of the router: each has a condition to try, and stands in the tables where every request that
 * fulfils it is looked for, so that most are never tried.
 */
import { amended } from '../../schema/expression/check.ts'
import {
  type Expression,
  type Operator,
  parseExpression,
  type Predicate,
  type Value,
} from '../../schema/expression/expression.ts'
import type { Regex } from '../../schema/regex.ts'
import { addressTest as addressOrRange } from './connections.ts'
import { fieldOf } from './expression-fields.ts'
import { literalPrefix } from './literal-prefix.ts'
import { capturesOf } from './captures.ts'
import type { RoutingRequest } from './router.ts'
import type { Placement } from './rule.ts'

/** What a condition found on its way. */
export interface Found {
  matchedPath: string
  captures: ReadonlyMap<string | number, string> | undefined
}

/** Whether a request fulfils an expression; `found` is written to as far as predicates hold. */
export type Condition = (request: RoutingRequest, found: Found) => boolean

/** Where requests that fulfil an expression are looked for. */
export type Anchor = Pick<Placement<unknown>, 'kind' | 'host' | 'prefix'>

export type CompiledExpression =
  | { readonly condition: Condition; readonly anchors: readonly Anchor[] }
  | { readonly error: string }

/** Compiles an expression that was checked; what cannot be parsed all the same is told. */
export function compileExpression(text: string): CompiledExpression {
  const parsed = parseExpression(amended(text))
  if ('error' in parsed) return parsed
  return { condition: conditionOf(parsed.expression), anchors: anchorsOf(parsed.expression) }
}

function conditionOf(expression: Expression): Condition {
  if ('predicate' in expression) return predicate(expression.predicate)
  if ('not' in expression) {
    const inner = conditionOf(expression.not)
    return (request, found) => !inner(request, found)
  }
  if ('and' in expression) {
    const parts = expression.and.map(conditionOf)
    return (request, found) => parts.every((part) => part(request, found))
  }
  const parts = expression.or.map(conditionOf)
  return (request, found) => parts.some((part) => part(request, found))
}

/** Of several values all must fit, or with `any` one. A field that the request does not have fits nothing. */
function predicate({ field, lower, any, operator, value }: Predicate): Condition {
  const look = fieldOf(field)
  const test = testOf(operator, value)
  const remember = field === 'http.path'
  const fits = (one: string | number, found: Found): boolean =>
    test(lower ? String(one).toLowerCase() : one, found, remember)
  return (request, found) => {
    const values = look(request)
    if (values === undefined) return false
    if (typeof values !== 'object') return fits(values, found)
    return any ? values.some((one) => fits(one, found)) : values.every((one) => fits(one, found))
  }
}

/** Whether a value fits. `remember` says that it is the path, of which the matched part is kept. */
type Test = (one: string | number, found: Found, remember: boolean) => boolean

function testOf(operator: Operator, value: Value): Test {
  if (value.type === 'IpAddr' || value.type === 'IpCidr') return addressTest(operator, value)
  if (value.type === 'Regex') return regexTest(value.value)
  return tests[operator](value.value as never)
}

const text =
  (holds: (one: string, other: string) => boolean) =>
  (wanted: string): Test =>
  (one) =>
    holds(String(one), wanted)
const matching =
  (holds: (one: string, other: string) => boolean) =>
  (wanted: string): Test =>
  (one, found, remember) => {
    if (!holds(String(one), wanted)) return false
    if (remember) found.matchedPath = wanted
    return true
  }
const number =
  (holds: (one: number, other: number) => boolean) =>
  (wanted: number): Test =>
  (one) =>
    holds(Number(one), wanted)
const impossible = (): Test => () => false

const tests: Readonly<Record<Operator, (wanted: never) => Test>> = {
  '==': (wanted: string | number): Test =>
    typeof wanted === 'number' ? (one) => one === wanted : matching((one, other) => one === other)(wanted),
  '!=':
    (wanted: string | number): Test =>
    (one) =>
      one !== wanted,
  '^=': matching((one, other) => one.startsWith(other)),
  '=^': matching((one, other) => one.endsWith(other)),
  contains: text((one, other) => one.includes(other)),
  '>': number((one, other) => one > other),
  '>=': number((one, other) => one >= other),
  '<': number((one, other) => one < other),
  '<=': number((one, other) => one <= other),
  // Of these the values have types of their own: see `testOf`.
  '~': impossible,
  in: impossible,
  'not in': impossible,
}

function regexTest(regex: Regex): Test {
  return (one, found, remember) => {
    const match = regex.find(String(one))
    if (!match) return false
    if (remember) found.matchedPath = match.groups[0] ?? ''
    found.captures = capturesOf(match.groups, match.named) ?? found.captures
    return true
  }
}

function addressTest(operator: Operator, value: Value & { readonly type: 'IpAddr' | 'IpCidr' }): Test {
  const holds = addressOrRange(value.type === 'IpCidr' ? `${value.value}/${value.bits}` : value.value)
  const wanted = operator === '==' || operator === 'in'
  return (one) => one !== '' && holds(String(one)) === wanted
}

// ---- where to look

/** More places than these for one route would cost more than trying it for every request. */
const mostAnchors = 64
const anywhere: readonly Anchor[] = [{ kind: 'any', host: '', prefix: '' }]

function anchorsOf(expression: Expression): readonly Anchor[] {
  if ('predicate' in expression) return [anchorOf(expression.predicate)]
  if ('not' in expression) return anywhere
  if ('and' in expression) return expression.and.map(anchorsOf).reduce(both)
  const either = distinct(expression.or.flatMap(anchorsOf))
  return either.length > mostAnchors ? anywhere : either
}

/** A request is where both say: it may be looked for at the narrower host, and under the longer prefix. */
function both(one: readonly Anchor[], other: readonly Anchor[]): readonly Anchor[] {
  const fewer = one.length <= other.length ? one : other
  if (one.length * other.length > mostAnchors * mostAnchors) return fewer
  const pairs = one.flatMap((left) =>
    other.map((right) => ({ ...narrower(left, right), prefix: longer(left.prefix, right.prefix) })),
  )
  const together = distinct(pairs)
  return together.length > mostAnchors ? fewer : together
}

const narrowness: Readonly<Record<Anchor['kind'], number>> = { any: 0, prefix: 1, suffix: 1, exact: 2 }
const narrower = (one: Anchor, other: Anchor): Pick<Anchor, 'kind' | 'host'> =>
  narrowness[one.kind] >= narrowness[other.kind]
    ? { kind: one.kind, host: one.host }
    : { kind: other.kind, host: other.host }
const longer = (one: string, other: string): string => (one.length >= other.length ? one : other)

function distinct(anchors: readonly Anchor[]): readonly Anchor[] {
  const seen = new Map(anchors.map((anchor) => [JSON.stringify([anchor.kind, anchor.host, anchor.prefix]), anchor]))
  return [...seen.values()]
}

/** What a predicate asks of the host's name or of the path's beginning, as far as the tables can tell. */
function anchorOf({ field, lower, operator, value }: Predicate): Anchor {
  const [any] = anywhere as [Anchor]
  if (lower) return any
  if (field === 'http.host' && value.type === 'String') return { ...any, ...hostAnchor(operator, value.value) }
  if (field === 'http.path') return { ...any, prefix: pathPrefix(operator, value) }
  return any
}

/** The tables look for a name, or for one's end or beginning as far as it is made of whole labels. */
function hostAnchor(operator: Operator, host: string): Partial<Anchor> {
  if (operator === '==') return { kind: 'exact', host }
  if (operator === '=^' && host.startsWith('.')) return { kind: 'suffix', host }
  if (operator === '^=' && host.endsWith('.')) return { kind: 'prefix', host }
  return {}
}

function pathPrefix(operator: Operator, value: Value): string {
  if (value.type === 'Regex')
    return value.value.source.startsWith('^') ? literalPrefix(value.value.source.slice(1)) : ''
  return (operator === '==' || operator === '^=') && value.type === 'String' ? value.value : ''
}
