import { brokenAttribute } from './attributes.ts'
import { runEntityChecks } from './entity-checks.ts'
import type { ErrorTree, FieldError } from './errors.ts'
import type { Field, FieldType, Schema, Shape } from './field.ts'
import { type CheckContext, fieldsOf, fill, recordOf, subschemaOf } from './fill.ts'
import { type Table, asObject, asSequence, define, isReference, isTable, own } from './value.ts'

/** How thoroughly a value is checked. */
export interface Validation {
  readonly context: CheckContext
  /** Whether absent fields count as missing. */
  readonly full: boolean
  /** Whether some texts begin with "when updating". */
  readonly updating: boolean
}

/** Checks an entity or record that has been filled; the tree is empty where nothing is wrong. */
export function validate(shape: Shape, value: Table, how: Validation): ErrorTree {
  const unknown = unknownKind(shape, value)
  if (unknown) return unknown
  const subschema = subschemaOf(shape, value)
  const fields = fieldsOf(shape, subschema)
  const errors: ErrorTree = {}
  for (const name of Object.keys(value)) note(errors, name, errorOfNamed(fields.get(name), name, value[name], how))
  for (const [name, field] of fieldsOf(shape)) {
    if (field.required && isMissing(own(value, name), how)) define(errors, name, 'required field missing')
  }
  const run = {
    fields,
    entity: value,
    full: how.full,
    updating: how.updating,
    matches: (field: Field, it: unknown) => errorOf(field, it, how),
    now: how.context.now,
  }
  runEntityChecks(shape.entity_checks, run, errors)
  runEntityChecks(subschema?.entity_checks, run, errors)
  return errors
}

const isMissing = (value: unknown, how: Validation): boolean => value === null || (how.full && value === undefined)

function note(errors: ErrorTree, name: string, error: FieldError | undefined): void {
  if (error !== undefined) define(errors, name, error)
}

/** Where the kind cannot be told, nothing else can be checked. */
function unknownKind(shape: Shape, value: Table): ErrorTree | undefined {
  const key = shape.subschema_key
  if (!key || subschemaOf(shape, value)) return undefined
  const kind = own(value, key)
  if (kind === undefined || kind === null) return { [key]: 'required field missing' }
  if (typeof kind !== 'string' && !isTable(kind)) return { [key]: `expected a ${fieldsOf(shape).get(key)?.type}` }
  // Of a table Lua looks at what stands first.
  const name = nameOf(isTable(kind) ? asSequence(kind)?.[0] : kind)
  return { [key]: (shape.subschema_error ?? 'unknown type: %s').replace('%s', () => name) }
}

/** A value as Lua writes it, but for where in memory a table is. */
function nameOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null) return 'userdata: NULL'
  return isTable(value) ? 'table' : (JSON.stringify(value) ?? 'nil')
}

function errorOfNamed(field: Field | undefined, name: string, value: unknown, how: Validation): FieldError | undefined {
  if (!field) return 'unknown field'
  // It is always made anew, so that what was sent does not matter.
  if (name === 'updated_at') return undefined
  return errorOf(field, value, how)
}

/** What is wrong with a field's value, null included. */
export function errorOf(field: Field, value: unknown, how: Validation): FieldError | undefined {
  if (value === null) return errorOfNull(field)
  if (field.eq === null) return field.err ?? 'value must be null'
  const error = types[field.type](field, value, how)
  if (error !== undefined) return error
  if (field.type === 'string' && field.referenceable && isReference(value)) return undefined
  return brokenAttribute(field, value)
}

function errorOfNull(field: Field): string | undefined {
  if (field.ne === null) return field.err ?? 'value must not be null'
  if (field.eq !== undefined && field.eq !== null) return `value must be ${String(field.eq)}`
  return field.required ? 'required field missing' : undefined
}

type TypeCheck = (field: Field, value: unknown, how: Validation) => FieldError | undefined

const expected =
  (text: string, holds: (value: unknown) => boolean): TypeCheck =>
  (_field, value) =>
    holds(value) ? undefined : text

/** What each type asks of a value before the attributes are looked at. */
const types: { readonly [Type in FieldType]: TypeCheck } = {
  string: expected('expected a string', (value) => typeof value === 'string'),
  integer: expected('expected an integer', Number.isInteger),
  number: expected('expected a number', Number.isFinite),
  boolean: expected('expected a boolean', (value) => typeof value === 'boolean'),
  array: list('expected an array'),
  set: list('expected a set'),
  map: errorOfMap,
  record: errorOfRecord,
  foreign: errorOfForeign,
  json: () => undefined,
  any: () => undefined,
}

function list(text: string): TypeCheck {
  return (field, value, how) => {
    const sequence = asSequence(value)
    if (!sequence) return text
    const elements = demanded(field.elements)
    const errors = sequence.map((element) => errorOf(elements, element, how) ?? null)
    while (errors.length > 0 && errors.at(-1) === null) errors.pop()
    return errors.length > 0 ? errors : undefined
  }
}

/** Elements of lists, keys and values of maps may not be null, whatever is declared. */
function demanded(inner: Field = { type: 'any' }): Field {
  const known = demandedFields.get(inner) ?? { ...inner, required: true }
  demandedFields.set(inner, known)
  return known
}

const demandedFields = new WeakMap<Field, Field>()

function errorOfMap(field: Field, value: unknown, how: Validation): FieldError | undefined {
  if (!isTable(value)) return 'expected a map'
  const keys = demanded(field.keys)
  const values = demanded(field.values)
  for (const [key, member] of Object.entries(value)) {
    // The positions of an array are numbers, not names.
    const error = errorOf(keys, Array.isArray(value) ? Number(key) : key, how) ?? errorOf(values, member, how)
    if (error !== undefined) return error
  }
  return undefined
}

function errorOfRecord(field: Field, value: unknown, how: Validation): FieldError | undefined {
  if (field.abstract) return 'error in schema definition: abstract field was not specialized'
  if (!isTable(value)) return 'expected a record'
  const shorthand: ErrorTree = {}
  const filled = fill(recordOf(field), value, 'insert', how.context, shorthand)
  const errors = { ...shorthand, ...validate(recordOf(field), filled, { ...how, full: true }) }
  return isEmpty(errors) ? undefined : likeInput(value, errors)
}

/** Errors mirror what was sent: those about the positions of an array are a list, as long as nothing else is wrong. */
function likeInput(value: Table | unknown[], errors: ErrorTree): FieldError {
  const names = Object.keys(errors)
  if (!Array.isArray(value) || !names.every((name) => /^\d+$/.test(name))) return errors
  return value.map((_, index) => errors[String(index + 1)] ?? null)
}

/** Only the key of the entity that is referred to counts; other fields must merely be possible ones of it. */
function errorOfForeign(field: Field, value: unknown, how: Validation): FieldError | undefined {
  const schema = field.$foreign?.()
  const key = schema?.primary_key ?? 'id'
  const error = errorOfKey(schema, key, own(value, key), how)
  if (error === undefined) return undefined
  if (!schema || !isTable(value)) return { [key]: error }
  const others = validate(schema, asObject(value), { ...how, full: false })
  return isEmpty(others) ? { [key]: error } : likeInput(value, others)
}

const uuidField: Field = { type: 'string', uuid: true }

function errorOfKey(schema: Schema | undefined, key: string, value: unknown, how: Validation): FieldError | undefined {
  if (value === undefined || value === false) return 'missing primary key'
  if (value === null) return 'required field missing'
  return errorOf((schema && fieldsOf(schema).get(key)) ?? uuidField, value, how)
}

/** Whether an error tree says that nothing is wrong. */
export const isEmpty = (errors: ErrorTree): boolean => Object.keys(errors).length === 0
