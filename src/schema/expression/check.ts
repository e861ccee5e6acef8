/** Whether an expression makes sense for routes of some protocols. Source: Kong's docs, "Expressions", "Matching fields". */
import type { Expression, Operator, Predicate, Value } from './expression.ts'
import { parseExpression } from './expression.ts'

type Type = 'String' | 'Int' | 'IpAddr'

const anyFields: Readonly<Record<string, Type>> = {
  'net.protocol': 'String',
  'tls.sni': 'String',
  'net.src.port': 'Int',
  'net.dst.port': 'Int',
  'net.src.ip': 'IpAddr',
  'net.dst.ip': 'IpAddr',
}

const httpFields: Readonly<Record<string, Type>> = {
  ...anyFields,
  'http.method': 'String',
  'http.host': 'String',
  'http.path': 'String',
  'http.path.segments.*': 'String',
  'http.path.segments.len': 'Int',
  'http.headers.*': 'String',
  'http.queries.*': 'String',
}

const streamProtocols = new Set(['tcp', 'tls', 'udp', 'tls_passthrough'])
const segments = 'http.path.segments.'
const segmentRange = /^(0|[1-9]\d*)(?:_([1-9]\d*))?$/

/** Kong took `net.port` for `net.dst.port` once, and still does. */
export const amended = (expression: string): string => expression.replace(/net\.port(\s*[=><!])/g, 'net.dst.port$1')

/** What is wrong with an expression for routes of these protocols; undefined where nothing is. */
export function expressionError(text: string, protocols: readonly string[]): string | undefined {
  const parsed = parseExpression(amended(text))
  if ('error' in parsed) return parsed.error
  const fields = streamProtocols.has(protocols[0] ?? '') ? anyFields : httpFields
  const predicates = [...predicatesOf(parsed.expression)]
  return (
    predicates.map((predicate) => predicateError(predicate, fields)).find((error) => error !== undefined) ??
    (predicates.some(({ field }) => isIllFormed(field)) ? 'illformed http.path.segments.* field' : undefined)
  )
}

/** Every predicate of an expression, from left to right. */
export function* predicatesOf(expression: Expression): Iterable<Predicate> {
  if ('predicate' in expression) yield expression.predicate
  else if ('not' in expression) yield* predicatesOf(expression.not)
  else for (const part of 'and' in expression ? expression.and : expression.or) yield* predicatesOf(part)
}

/** A field's type; the last part of a name may stand for a star. */
function typeOf(field: string, fields: Readonly<Record<string, Type>>): Type | undefined {
  if (Object.hasOwn(fields, field)) return fields[field]
  const dot = field.lastIndexOf('.')
  return dot < 0 ? undefined : fields[`${field.slice(0, dot)}.*`]
}

function predicateError(predicate: Predicate, fields: Readonly<Record<string, Type>>): string | undefined {
  const { field, lower, operator, value } = predicate
  const type = typeOf(field, fields)
  if (type === undefined) return 'Unknown LHS field'
  const comparesTypes = operator !== '~' && operator !== 'in' && operator !== 'not in'
  if (comparesTypes && type !== value.type) return 'Type mismatch between the LHS and RHS values of predicate'
  if (lower && type !== 'String') return 'lower-case transformation function only supported with String type fields'
  return operators[operator](type, value.type)
}

const onlyFor =
  (wanted: Value['type'], error: string) =>
  (_: Type, type: Value['type']): string | undefined =>
    type === wanted ? undefined : error
const affix = onlyFor('String', 'Prefix/Postfix operators only supports string operands')
const order = onlyFor('Int', 'Greater/GreaterOrEqual/Less/LessOrEqual operators only supports integer operands')
const range = (field: Type, type: Value['type']) =>
  field === 'IpAddr' && type === 'IpCidr' ? undefined : 'In/NotIn operators only supports IP in CIDR'

/** What each operator asks of the types on its two sides. */
const operators: Readonly<Record<Operator, (field: Type, type: Value['type']) => string | undefined>> = {
  '==': () => undefined,
  '!=': () => undefined,
  '~': (field) => (field === 'String' ? undefined : 'Regex operators only supports string operands'),
  '^=': affix,
  '=^': affix,
  '>': order,
  '>=': order,
  '<': order,
  '<=': order,
  in: range,
  'not in': range,
  contains: onlyFor('String', 'Contains operator only supports string operands'),
}

function isIllFormed(field: string): boolean {
  if (!field.startsWith(segments)) return false
  const suffix = field.slice(segments.length)
  if (suffix === 'len') return false
  const [, from, to] = segmentRange.exec(suffix) ?? []
  return from === undefined || (to !== undefined && Number(from) >= Number(to))
}
