import { quotedList } from './errors.ts'
import type { Field } from './field.ts'
import { luaPattern } from './lua-pattern.ts'
import { compileRegex } from './regex.ts'
import { isTable } from './value.ts'

/** Checks one attribute of a field whose value has the field's type: the text of what is wrong, or undefined. */
type AttributeCheck<Name extends keyof Field> = (
  value: never,
  attribute: NonNullable<Field[Name]>,
) => string | undefined

const listed = (options: readonly unknown[]): string => options.join(', ')
const lengthOf = (value: unknown): number =>
  typeof value === 'string' ? Buffer.byteLength(value) : isTable(value) ? Object.keys(value).length : 0
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Every attribute that checks a value, in the order in which Kong looks at them: the first that fails gives the text. */
const attributes: { readonly [Name in keyof Field]?: AttributeCheck<Name> } = {
  eq: (value: unknown, wanted) => (value === wanted ? undefined : `value must be ${wanted}`),
  ne: (value: unknown, unwanted) => (value === unwanted ? `value must not be ${unwanted}` : undefined),
  not_one_of: (value: string, options) =>
    options.includes(value) ? `must not be one of: ${listed(options)}` : undefined,
  one_of: (value: string, options) => (options.includes(value) ? undefined : `expected one of: ${listed(options)}`),
  gt: (value: number, limit) => (value > limit ? undefined : `value must be greater than ${limit}`),
  timestamp: (value: number) => (value > 0 ? undefined : 'expected a valid timestamp'),
  uuid: (value: string) => (uuid.test(value) ? undefined : 'expected a valid UUID'),
  is_regex: (value: string) => (compileRegex(value).ok ? undefined : `not a valid regex: ${value}`),
  between: (value: number, [least, most]) =>
    value >= least && value <= most ? undefined : `value should be between ${least} and ${most}`,
  len_eq: (value: unknown, length) => (lengthOf(value) === length ? undefined : `length must be ${length}`),
  len_min: (value: unknown, length) => (lengthOf(value) >= length ? undefined : `length must be at least ${length}`),
  len_max: (value: unknown, length) => (lengthOf(value) <= length ? undefined : `length must be at most ${length}`),
  starts_with: (value: string, start) => (value.startsWith(start) ? undefined : `should start with: ${start}`),
  not_match: (value: string, pattern) => (luaPattern(pattern)(value) ? `invalid value: ${value}` : undefined),
  match_none: (value: string, list) => list.find(({ pattern }) => luaPattern(pattern)(value))?.err,
  match: (value: string, pattern) => (luaPattern(pattern)(value) ? undefined : `invalid value: ${value}`),
  match_all: (value: string, list) => list.find(({ pattern }) => !luaPattern(pattern)(value))?.err,
  match_any: (value: string, { patterns, err }) =>
    patterns.some((pattern) => luaPattern(pattern)(value)) ? undefined : (err ?? `invalid value: ${value}`),
  contains: (value: readonly unknown[], wanted) =>
    value.includes(wanted) ? undefined : `expected to contain: ${wanted}`,
  $check: (value: never, check) => check(value),
  mutually_exclusive_subsets: (value: readonly string[], subsets) => {
    const touched = new Set(value.flatMap((element) => subsets.filter((subset) => subset.includes(element))))
    return touched.size <= 1 ? undefined : `these sets are mutually exclusive: ${quotedList([...touched])}`
  },
}

type Declared = readonly [check: (value: never, attribute: never) => string | undefined, attribute: never]

const inOrder = Object.entries(attributes) as [keyof Field, Declared[0]][]
const remembered = new WeakMap<Field, readonly Declared[]>()

/** The first attribute that a value of the right type breaks, as a text; `err` of the field takes its place. */
export function brokenAttribute(field: Field, value: unknown): string | undefined {
  for (const [check, attribute] of declaredOf(field)) {
    const text = check(value as never, attribute)
    if (text !== undefined) return field.err ?? text
  }
  return undefined
}

/** The attributes that a field has; a text may not be empty unless it is said that it may. */
function declaredOf(field: Field): readonly Declared[] {
  const known = remembered.get(field)
  if (known) return known
  const full: Field = field.type === 'string' && field.len_min === undefined ? { ...field, len_min: 1 } : field
  const declared = inOrder.flatMap(([name, check]): Declared[] => {
    const attribute = full[name]
    const off = attribute === false && name !== 'eq' && name !== 'ne'
    return attribute === undefined || off ? [] : [[check, attribute as never]]
  })
  remembered.set(field, declared)
  return declared
}
