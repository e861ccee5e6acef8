import type { Field } from './field.ts'
import { quotedList } from './errors.ts'
import { luaPattern } from './lua-pattern.ts'
import { compileRegex } from './regex.ts'
import { isTable } from './value.ts'

/** Checks one attribute of a field whose value has the field's type: the text of what is wrong, or undefined. */
type AttributeCheck<Name extends keyof Field> = (
  value: never,
  attribute: NonNullable<Field[Name]>,
) => string | undefined

const unless = (holds: boolean, text: string): string | undefined => (holds ? undefined : text)
const listed = (options: readonly unknown[]): string => options.join(', ')
const lengthOf = (value: unknown): number =>
  typeof value === 'string' ? Buffer.byteLength(value) : isTable(value) ? Object.keys(value).length : 0
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Every attribute that checks a value, in the order in which Kong looks at them: the first that fails gives the text. */
const attributes: { readonly [Name in keyof Field]?: AttributeCheck<Name> } = {
  eq: (value: unknown, wanted) => unless(value === wanted, `value must be ${String(wanted)}`),
  ne: (value: unknown, unwanted) => unless(value !== unwanted, `value must not be ${String(unwanted)}`),
  not_one_of: (value: string, options) => unless(!options.includes(value), `must not be one of: ${listed(options)}`),
  one_of: (value: string, options) => unless(options.includes(value), `expected one of: ${listed(options)}`),
  gt: (value: number, limit) => unless(value > limit, `value must be greater than ${limit}`),
  timestamp: (value: number) => unless(value > 0, 'expected a valid timestamp'),
  uuid: (value: string) => unless(uuid.test(value), 'expected a valid UUID'),
  is_regex: (value: string) => unless(compileRegex(value).ok, `not a valid regex: ${value}`),
  between: (value: number, [least, most]) =>
    unless(value >= least && value <= most, `value should be between ${least} and ${most}`),
  len_eq: (value: unknown, length) => unless(lengthOf(value) === length, `length must be ${length}`),
  len_min: (value: unknown, length) => unless(lengthOf(value) >= length, `length must be at least ${length}`),
  len_max: (value: unknown, length) => unless(lengthOf(value) <= length, `length must be at most ${length}`),
  starts_with: (value: string, start) => unless(value.startsWith(start), `should start with: ${start}`),
  not_match: (value: string, pattern) => unless(!luaPattern(pattern)(value), `invalid value: ${value}`),
  match_none: (value: string, list) => list.find(({ pattern }) => luaPattern(pattern)(value))?.err,
  match: (value: string, pattern) => unless(luaPattern(pattern)(value), `invalid value: ${value}`),
  match_all: (value: string, list) => list.find(({ pattern }) => !luaPattern(pattern)(value))?.err,
  match_any: (value: string, { patterns, err }) =>
    unless(
      patterns.some((pattern) => luaPattern(pattern)(value)),
      err ?? `invalid value: ${value}`,
    ),
  contains: (value: readonly unknown[], wanted) =>
    unless(value.includes(wanted), `expected to contain: ${String(wanted)}`),
  $check: (value: never, check) => check(value),
  mutually_exclusive_subsets: (value: readonly string[], subsets) => {
    const touched = new Set(value.flatMap((element) => subsets.filter((subset) => subset.includes(element))))
    return unless(touched.size <= 1, `these sets are mutually exclusive: ${quotedList([...touched])}`)
  },
}

const inOrder = Object.entries(attributes) as [keyof Field, AttributeCheck<keyof Field>][]

/** The first attribute that a value of the right type breaks, as a text; `err` of the field takes its place. */
export function brokenAttribute(field: Field, value: unknown): string | undefined {
  for (const [name, check] of inOrder) {
    const attribute = field[name]
    if (attribute === undefined || attribute === false) continue
    const text = check(value as never, attribute as never)
    if (text !== undefined) return field.err ?? text
  }
  return undefined
}
