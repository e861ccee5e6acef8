import { type ErrorTree, quotedList } from './errors.ts'
import type { EntityCheck, Field, FieldMatch, Fields, Schema } from './field.ts'
import { type Table, define, isNonEmpty, isReference, own, setAt, valueAt } from './value.ts'

/** What a check between fields is given beside its own declaration. */
interface Given {
  readonly entity: Table
  /** The field that a dotted path names. */
  readonly fieldAt: (path: string) => Field | undefined
  readonly matches: (field: Field, value: unknown) => unknown
  /** Where a check puts what it finds wrong with one field. */
  readonly errors: ErrorTree
  /** Seconds since 1970. */
  readonly now: () => number
  /** Put before the texts that say so when a PATCH is checked. */
  readonly updating: string
}

/** How one of Kong's named checks runs. */
interface Checker<Name extends keyof EntityCheck> {
  /** The fields it looks at. */
  readonly fields: (declared: NonNullable<EntityCheck[Name]>) => readonly string[]
  /** Those among them without which it does not run. */
  readonly needed?: (declared: NonNullable<EntityCheck[Name]>) => readonly string[]
  readonly withMissing?: boolean
  readonly withInvalid?: boolean
  /** The text of what is wrong, or undefined. */
  readonly run: (declared: NonNullable<EntityCheck[Name]>, given: Given) => string | undefined
}

const all = (names: readonly string[]): readonly string[] => names
const present = (names: readonly string[], { entity }: Given) =>
  names.filter((name) => isNonEmpty(valueAt(entity, name)))
const allOrNone = (names: readonly string[]): string => `all or none of these fields must be set: ${quotedList(names)}`
const formatted = (text: string, value: string): string => text.replace('%s', () => value)

const checkers: { readonly [Name in keyof EntityCheck]-?: Checker<Name> } = {
  at_least_one_of: {
    fields: all,
    withMissing: true,
    withInvalid: true,
    run: (names, given) =>
      present(names, given).length > 0
        ? undefined
        : `${given.updating}at least one of these fields must be non-empty: ${quotedList(names)}`,
  },
  only_one_of: {
    fields: all,
    needed: all,
    withInvalid: true,
    run: (names, given) =>
      present(names, given).length === 1
        ? undefined
        : `exactly one of these fields must be non-empty: ${quotedList(names)}`,
  },
  distinct: {
    fields: all,
    needed: all,
    withInvalid: true,
    run(names, given) {
      const values = present(names, given).map((name) => valueAt(given.entity, name))
      return new Set(values).size === values.length
        ? undefined
        : `values of these fields must be distinct: ${quotedList(names)}`
    },
  },
  mutually_required: {
    fields: all,
    withMissing: true,
    run(names, given) {
      const count = present(names, given).length
      return count === 0 || count === names.length ? undefined : allOrNone(names)
    },
  },
  mutually_exclusive: {
    fields: all,
    withMissing: true,
    run: (names, given) =>
      present(names, given).length <= 1
        ? undefined
        : `only one or none of these fields must be set: ${quotedList(names)}`,
  },
  mutually_exclusive_sets: {
    fields: ({ set1, set2 }) => [...set1, ...set2],
    withMissing: true,
    run({ set1, set2 }, given) {
      const [one, two] = [present(set1, given), present(set2, given)]
      return one.length === 0 || two.length === 0
        ? undefined
        : `these sets are mutually exclusive: ${quotedList([one, two])}`
    },
  },
  conditional: {
    fields: ({ if_field, then_field }) => [if_field, then_field],
    needed: ({ if_field }) => [if_field],
    withInvalid: true,
    run: conditional,
  },
  conditional_at_least_one_of: {
    fields: ({ if_field, then_at_least_one_of, else_then_at_least_one_of = [] }) => [
      if_field,
      ...then_at_least_one_of,
      ...else_then_at_least_one_of,
    ],
    withMissing: true,
    withInvalid: true,
    run: conditionalAtLeastOneOf,
  },
  custom_entity_check: {
    fields: ({ field_sources }) => field_sources,
    needed: ({ field_sources }) => field_sources,
    run: ({ field_sources, $check }, { entity, now }) =>
      $check?.(Object.fromEntries(field_sources.map((name) => [name, valueAt(entity, name)])), now()),
  },
}

type Conditional = NonNullable<EntityCheck['conditional']>

function conditional(declared: Conditional, given: Given): string | undefined {
  if (!holds(given, declared.if_field, declared.if_match)) return undefined
  const value = valueAt(given.entity, declared.then_field) ?? null
  const failed = `failed conditional validation given value of field '${declared.if_field}'`
  if (declared.then_match.required && value === null) {
    setAt(given.errors, declared.then_field, 'required field missing')
    return failed
  }
  const error = given.matches(laidOver(given, declared.then_field, declared.then_match), value)
  if (error === undefined) return undefined
  setAt(given.errors, declared.then_field, error)
  return declared.then_err ? formatted(declared.then_err, declared.if_field) : failed
}

function conditionalAtLeastOneOf(
  declared: NonNullable<EntityCheck['conditional_at_least_one_of']>,
  given: Given,
): string | undefined {
  if (valueAt(given.entity, declared.if_field) === undefined) return undefined
  const [names, text] = holds(given, declared.if_field, declared.if_match)
    ? [declared.then_at_least_one_of, declared.then_err]
    : declared.else_match && holds(given, declared.if_field, declared.else_match)
      ? [declared.else_then_at_least_one_of ?? [], declared.else_then_err]
      : [[], undefined]
  if (names.length === 0 || present(names, given).length > 0) return undefined
  if (text) return formatted(text, quotedList(names))
  return `${given.updating}at least one of these fields must be non-empty: ${quotedList(names)}`
}

/** Kong lays the attributes of a match over those of the field, whose own ones stay in force. */
function laidOver(given: Given, path: string, match: FieldMatch): Field {
  const field = given.fieldAt(path) ?? { type: 'any' }
  const known = laid.get(match)
  if (known?.field === field) return known.over
  const over = { ...field, ...match }
  laid.set(match, { field, over })
  return over
}

const laid = new WeakMap<FieldMatch, { readonly field: Field; readonly over: Field }>()

function holds(given: Given, path: string, match: FieldMatch): boolean {
  return given.matches(laidOver(given, path, match), valueAt(given.entity, path)) === undefined
}

/** How the checks of an entity or record are run. */
export interface EntityCheckRun {
  readonly fields: ReadonlyMap<string, Field>
  readonly entity: Table
  /** Whether absent fields count as missing, as they do not in an update. */
  readonly full: boolean
  readonly updating: boolean
  readonly matches: Given['matches']
  readonly now: () => number
}

/** Runs checks between fields and adds what they find to `errors`. */
export function runEntityChecks(
  checks: readonly EntityCheck[] | undefined,
  run: EntityCheckRun,
  errors: ErrorTree,
): void {
  const given: Given = {
    entity: run.entity,
    fieldAt: (path) => fieldAt(run.fields, path),
    matches: run.matches,
    now: run.now,
    errors,
    updating: run.updating ? 'when updating, ' : '',
  }
  for (const check of checks ?? []) {
    for (const [name, declared] of Object.entries(check)) {
      runOne(checkers[name as keyof EntityCheck] as Checker<keyof EntityCheck>, declared as never, given, run.full)
    }
  }
}

function runOne(checker: Checker<keyof EntityCheck>, declared: never, given: Given, full: boolean): void {
  const names = checker.fields(declared)
  if (names.some((name) => refers(given, name))) return
  const options: { run_with_missing_fields?: boolean; run_with_invalid_fields?: boolean } = declared
  const withInvalid = checker.withInvalid || options.run_with_invalid_fields
  if (!withInvalid && names.some((name) => own(given.errors, name) !== undefined)) return
  const absent = names.filter((name) => valueAt(given.entity, name) === undefined)
  if (absent.length === names.length && !(checker.withMissing && full)) return
  const missing = (checker.needed?.(declared) ?? []).filter((name) => absent.includes(name))
  if (missing.length > 0 && !checker.withMissing && !options.run_with_missing_fields) {
    for (const name of missing)
      setAt(given.errors, name, `field required for entity check${given.updating ? ' when updating' : ''}`)
    return
  }
  const text = checker.run(declared, given)
  if (text !== undefined) addEntityError(given.errors, text)
}

/**
 * Looks whether all was sent that a transformation works with. Kong takes what it needs for changed where a PATCH does not repeat
 * it, and then looks at what was sent alone; `before` is the entity that a PATCH changes.
 */
export function checkTransforms(
  { input, needs }: NonNullable<Schema['$transforms']>,
  { sent, entity, before }: { readonly sent: Table; readonly entity: Table; readonly before?: Table },
  errors: ErrorTree,
): void {
  const filled = (table: Table) => (name: string) => isNonEmpty(valueAt(table, name))
  const needsChanged = before && needs.some((name) => valueAt(sent, name) !== valueAt(before, name))
  if (!needsChanged && !input.some(filled(sent))) return
  const fields = [...input, ...needs]
  const present = fields.filter(filled(needsChanged ? sent : entity)).length
  if (present > 0 && present < fields.length) addEntityError(errors, allOrNone(fields))
}

/** A value that stands for a secret kept elsewhere cannot be compared with anything. */
const refers = (given: Given, path: string): boolean =>
  given.fieldAt(path)?.referenceable === true && isReference(valueAt(given.entity, path))

/** Adds a text about the whole entity. */
function addEntityError(errors: ErrorTree, text: string): void {
  const texts = own(errors, '@entity')
  if (Array.isArray(texts)) texts.push(text)
  else define(errors, '@entity', [text])
}

function fieldAt(fields: ReadonlyMap<string, Field>, path: string): Field | undefined {
  const [head = '', ...rest] = path.split('.')
  let field = fields.get(head)
  for (const name of rest) field = field?.fields && named(field.fields, name)
  return field
}

const named = (fields: Fields, name: string): Field | undefined =>
  fields.find((entry) => Object.hasOwn(entry, name))?.[name]
