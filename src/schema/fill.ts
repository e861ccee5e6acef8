import type { ErrorTree } from './errors.ts'
import type { Field, FieldType, Schema, Shape, ShorthandField, Subschema } from './field.ts'
import { type Table, asObject, asSequence, define, isObject, isTable, own, valueAt } from './value.ts'

/** What a check takes from outside: the clock (seconds since 1970), and chance. */
export interface CheckContext {
  readonly now: () => number
  readonly uuid: () => string
  readonly randomText: () => string
}

/** Which write a value is for: an update leaves out what was not sent, the others fill it in. */
export type Write = 'insert' | 'update' | 'upsert'

/** The kind that a value's subschema key names, if any. */
export function subschemaOf(shape: Shape, value: Table): Subschema | undefined {
  if (!shape.subschema_key || !shape.subschemas) return undefined
  const key = own(value, shape.subschema_key)
  if (typeof key === 'string') return shape.subschemas.get(key)
  if (!Array.isArray(key)) return undefined
  for (const name of key) {
    const found = typeof name === 'string' ? shape.subschemas.get(name) : undefined
    if (found) return found
  }
  return undefined
}

/** The fields of a shape by name, with those of the subschema in their places. */
export function fieldsOf(shape: Shape, subschema?: Subschema): ReadonlyMap<string, Field> {
  const bySubschema = remembered.get(shape.fields) ?? new Map<Subschema | undefined, ReadonlyMap<string, Field>>()
  remembered.set(shape.fields, bySubschema)
  const known = bySubschema.get(subschema)
  if (known) return known
  const fields = new Map(shape.fields.flatMap((entry) => Object.entries(entry)))
  for (const [name, field] of subschema?.fields.flatMap((entry) => Object.entries(entry)) ?? []) {
    if (fields.has(name)) fields.set(name, field)
  }
  bySubschema.set(subschema, fields)
  return fields
}

const remembered = new WeakMap<Shape['fields'], Map<Subschema | undefined, ReadonlyMap<string, Field>>>()

/** Fields that no two entities share together: by a key of one field Kong's caches find an entity, it is not unique for that. */
export const uniqueTogether = ({ cache_key }: Schema): readonly string[] | undefined =>
  cache_key && cache_key.length > 1 ? cache_key : undefined

/**
 * A copy of what was sent with shorthand fields expanded, generated values and, but for an update, defaults put in.
 * What has the wrong type stays as it is, for the check to find. The error is that of a shorthand field.
 */
export function fill(
  shape: Shape,
  sent: Table | unknown[],
  write: Write,
  context: CheckContext,
  errors: ErrorTree,
): Table {
  const value = asObject(sent)
  for (const entry of shape.shorthand_fields ?? []) expand(entry, value, errors)
  for (const [name, field] of fieldsOf(shape, subschemaOf(shape, value))) {
    if (field.$extension && write !== 'update' && own(value, name) === null) delete value[name]
    const filled = fillField(field, generated(name, field, own(value, name), write, context), write, context, errors)
    if (filled !== undefined) define(value, name, filled)
  }
  return value
}

function expand(entry: ShorthandField, value: Table, errors: ErrorTree): void {
  for (const [name, field] of Object.entries(entry)) {
    const written = own(value, name)
    if (written === undefined) continue
    const path = replacementOf(field)
    const error = shorthandError(field, written) ?? (path && mismatch(name, written, path, value))
    if (error !== undefined) define(errors, name, error)
    delete value[name]
    if (error !== undefined) continue
    if (path) putInPlace(value, path, written)
    else Object.assign(value, field.$expand?.(written as never))
  }
}

const typeErrors: { readonly [Type in FieldType]?: (value: unknown) => string | undefined } = {
  string: (value) => (typeof value === 'string' ? undefined : 'expected a string'),
  integer: (value) => (Number.isInteger(value) ? undefined : 'expected an integer'),
  boolean: (value) => (typeof value === 'boolean' ? undefined : 'expected a boolean'),
}

function shorthandError(field: Field, value: unknown): string | undefined {
  if (value === null) return undefined
  const error = typeErrors[field.type]?.(value)
  return error ?? (value === '' && field.len_min !== 0 ? 'length must be at least 1' : undefined)
}

/** Where the field is that took this one's place, within the same record. */
const replacementOf = ({ deprecation }: Field): readonly string[] | undefined => deprecation?.replaced_with?.[0]?.path

function mismatch(name: string, written: unknown, path: readonly string[], value: Table): string | undefined {
  const other = valueAt(value, path.join('.')) ?? null
  if (written === null || other === null || other === written) return undefined
  const [one, two] = [`${name} = ${shown(written)}`, `${path.join('.')} = ${shown(other)}`]
  return `both deprecated and new field are used but their values mismatch: ${one} vs ${two}`
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** Sets a value where there is none, without changing the records on the way, which are those that were sent. */
function putInPlace(value: Table, [name = '', ...rest]: readonly string[], written: unknown): void {
  const before = own(value, name) ?? null
  if (rest.length === 0) {
    if (before === null) define(value, name, written)
  } else if (before === null || isObject(before)) {
    const record = { ...before }
    putInPlace(record, rest, written)
    define(value, name, record)
  }
}

type FormerFields = readonly { readonly record: string; readonly name: string; readonly path: string }[]
const formerOf = new WeakMap<Shape, FormerFields>()

/** An entity as it is shown: with the fields that others took the place of, in records that have such. */
export function withFormerFields<T extends Table>(schema: Shape, entity: T): T {
  const shape = subschemaOf(schema, entity) ?? schema
  let former = formerOf.get(shape)
  if (former === undefined) formerOf.set(shape, (former = formerFieldsIn(shape)))
  if (former.length === 0) return entity
  const shown: Table = { ...entity }
  for (const { record, name, path } of former) {
    const inner = shown[record]
    if (isObject(inner)) shown[record] = { ...inner, [name]: valueAt(inner, path) ?? null }
  }
  return shown as T
}

const formerFieldsIn = ({ fields }: Pick<Shape, 'fields'>): FormerFields =>
  fields
    .flatMap((entry) => Object.entries(entry))
    .flatMap(([record, { shorthand_fields: shorthands = [] }]) =>
      shorthands
        .flatMap((entry) => Object.entries(entry))
        .flatMap(([name, field]) => {
          const path = replacementOf(field)
          return path ? [{ record, name, path: path.join('.') }] : []
        }),
    )

/** Ids, random texts and times that Kong makes where none was sent; `updated_at` is always made anew. */
function generated(name: string, field: Field, value: unknown, write: Write, context: CheckContext): unknown {
  if (!field.auto) return value
  if (name === 'updated_at') return timeFor(field, context)
  if (write === 'update') return value
  if (field.uuid) return value === undefined ? context.uuid() : value
  if (field.type === 'string') return value === undefined ? context.randomText() : value
  return name === 'created_at' && (value === undefined || value === null) ? timeFor(field, context) : value
}

/** Whole seconds, or for fields of type number seconds with milliseconds. */
const timeFor = (field: Field, context: CheckContext): number =>
  field.type === 'integer' ? Math.floor(context.now()) : Math.round(context.now() * 1000) / 1000

function fillField(field: Field, value: unknown, write: Write, context: CheckContext, errors: ErrorTree): unknown {
  if (field.abstract) return value
  if (value === undefined) return write === 'update' ? undefined : missing(field, context)
  if (!isTable(value)) return value
  if (field.type === 'record') return fill(recordOf(field), value, write, context, errors)
  if (field.type === 'array' || field.type === 'set') return fillList(field, value, write, context, errors)
  if (field.type === 'map') return fillMap(field, value, write, context, errors)
  return value
}

function fillList(
  field: Field,
  value: Table | unknown[],
  write: Write,
  context: CheckContext,
  errors: ErrorTree,
): unknown {
  const sequence = asSequence(value)
  if (!sequence || !field.elements) return value
  const elements = field.elements
  const once = field.type === 'set' ? [...new Set(sequence)] : sequence
  return once.map((element) => fillField(elements, element, write, context, errors) ?? null)
}

function fillMap(
  field: Field,
  value: Table | unknown[],
  write: Write,
  context: CheckContext,
  errors: ErrorTree,
): unknown {
  const values = field.values
  if (!values || (Array.isArray(value) && value.length > 0)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, fillField(values, member, write, context, errors)]),
  )
}

/** What stands for a field that was not sent: its default, null, a record's own defaults, or nothing where it is required. */
function missing(field: Field, context: CheckContext): unknown {
  if (field.$extension) return undefined
  if (field.default !== undefined) return completed(field, copyOf(field.default), context)
  if (field.required !== true) return null
  return field.type === 'record' ? fill(recordOf(field), {}, 'insert', context, {}) : undefined
}

/** Defaults are few and small, and what is made of them may be changed. */
const copyOf = (value: unknown): unknown => (isTable(value) ? structuredClone(value) : value)

/** A record's default need not name all of its fields. */
const completed = (field: Field, value: unknown, context: CheckContext): unknown =>
  field.type === 'record' && isObject(value) ? fill(recordOf(field), value, 'insert', context, {}) : value

/** A record's declaration as a shape of its own. */
export const recordOf = (field: Field): Shape => field as Shape
