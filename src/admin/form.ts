import type { Field, Fields, Schema } from '../schema/field.ts'
import { luaNumber } from './query.ts'

/** A form with more fields is refused, as in Kong. */
const MAX_FIELDS = 1000
/** A form's array is no longer than this, whatever index a key names. */
const MAX_INDEX = 10_000
/** Dots and brackets in a form's key nest no deeper. */
const MAX_DEPTH = 32

export type FormRecord = Record<string, unknown>

/** Why a form cannot be read: it has no sense or nests too deep, or it has too many fields. */
export type FormFault = 'malformed' | 'too many'

/** Reads an urlencoded body. */
export function parseForm(text: string): FormRecord | FormFault {
  const pairs = text.split('&', MAX_FIELDS + 1).filter((pair) => pair !== '')
  const entries = pairs.map((pair) => {
    const at = pair.indexOf('=')
    return at < 0 ? [decode(pair), true] : [decode(pair.slice(0, at)), decode(pair.slice(at + 1))]
  })
  return nestForm(entries as [string | undefined, FormValue | undefined][])
}

/** What a key of a form has: a text, or true where no `=` follows it. */
type FormValue = string | true

/** Makes a nested record of a form's keys and texts: `a.b`, `a[b]` name a field within, `a[]`, `a[1]` and a repeated key an array's element. */
export function nestForm(
  entries: readonly (readonly [string | undefined, FormValue | undefined])[],
): FormRecord | FormFault {
  if (entries.length > MAX_FIELDS) return 'too many'
  const form = newRecord()
  for (const [key, value] of entries) {
    const steps = key === undefined ? undefined : stepsOf(key)
    if (!steps || value === undefined || !put(form, steps, value)) return 'malformed'
  }
  return compact(form) as FormRecord
}

/**
 * Gives a form's texts the types that the schema's fields have: numbers, booleans, arrays of one, null for an empty text.
 * `existing` is the entity to be changed, which tells the kind (such as a plugin's name) where the form does not.
 */
export function inferForm(schema: Schema, form: FormRecord, existing?: Readonly<Record<string, unknown>>): FormRecord {
  const key = schema.subschema_key ?? ''
  const subschema = schema.subschemas?.get(String(form[key] ?? existing?.[key]))
  const shorthands = (schema.shorthand_fields ?? []) as Fields
  const mortal: Fields = schema.ttl ? [{ ttl: { type: 'integer' } }] : []
  return inferFields([...(subschema?.fields ?? []), ...schema.fields, ...shorthands, ...mortal], form)
}

type Step = string | number | typeof APPEND
const APPEND = Symbol('append')

/** A key's steps, such as `paths`, append; undefined where brackets are not closed, or numbers or depth beyond the limits. */
function stepsOf(key: string): Step[] | undefined {
  const steps: Step[] = []
  for (const part of key.split('.')) {
    const match = /^([^[\]]*)((?:\[[^[\]]*\])*)$/.exec(part)
    if (!match) return [key]
    if (match[1] !== '' || match[2] === '') steps.push(match[1] ?? '')
    for (const [, inner = ''] of (match[2] ?? '').matchAll(/\[([^[\]]*)\]/g)) steps.push(bracketStep(inner))
  }
  const tooFar = steps.some((step) => typeof step === 'number' && step > MAX_INDEX)
  return steps.length > MAX_DEPTH || tooFar ? undefined : steps
}

const bracketStep = (inner: string): Step => {
  if (inner === '') return APPEND
  return /^\d{1,9}$/.test(inner) ? Number(inner) : inner
}

/** An array under construction: elements by index, so that gaps cost nothing. */
class Elements extends Map<number, unknown> {}

/** Puts a value at its place; false where the key contradicts an earlier one. */
function put(holder: FormRecord | Elements, [step, ...rest]: readonly Step[], value: FormValue): boolean {
  if (step === undefined) return false
  if (holder instanceof Elements) {
    if (typeof step === 'string') return false
    const index = step === APPEND ? nextIndex(holder) : step
    return index <= MAX_INDEX && place(holder.get(index), rest, value, (made) => holder.set(index, made))
  }
  if (step === APPEND) return false
  const name = String(step)
  return place(holder[name], rest, value, (made) => (holder[name] = made))
}

function place(present: unknown, rest: readonly Step[], value: FormValue, set: (made: unknown) => void): boolean {
  if (rest.length === 0) return put1(present, value, set)
  const wanted = typeof rest[0] === 'string' ? newRecord() : new Elements()
  const inner = present ?? wanted
  if (typeof inner !== 'object') return false
  if (present === undefined) set(inner)
  return put(inner as FormRecord | Elements, rest, value)
}

/** A key that comes again makes an array of its values. */
function put1(present: unknown, value: FormValue, set: (made: unknown) => void): boolean {
  if (present === undefined) set(value)
  else if (present instanceof Elements) present.set(nextIndex(present), value)
  else if (typeof present === 'string' || present === true)
    set(
      new Elements([
        [1, present],
        [2, value],
      ]),
    )
  else return false
  return true
}

const nextIndex = (elements: Elements): number => elements.size + 1

function compact(value: unknown): unknown {
  if (value instanceof Elements) {
    const elements = [...value].sort(([a], [b]) => a - b)
    // What has gaps is no list, as in Lua.
    if (elements.some(([index], at) => index !== at + 1)) return compact(Object.fromEntries(elements))
    return elements.map(([, element]) => compact(element))
  }
  if (typeof value !== 'object' || value === null) return value
  const record = newRecord()
  for (const [key, inner] of Object.entries(value)) record[key] = compact(inner)
  return record
}

function inferFields(fields: Fields, form: FormRecord): FormRecord {
  const record = newRecord()
  for (const [name, value] of Object.entries(form)) record[name] = infer(fieldNamed(fields, name), value)
  return record
}

const fieldNamed = (fields: Fields, name: string): Field | undefined =>
  fields.find((entry) => Object.hasOwn(entry, name))?.[name]

function infer(field: Field | undefined, value: unknown): unknown {
  if (value === '' || value === null) return null
  if (!field) return value
  return inferrers[field.type]?.(field, value) ?? value
}

type Infer = (field: Field, value: unknown) => unknown

const numeric: Infer = (_, value) => {
  const number = typeof value === 'string' ? luaNumber(value) : undefined
  return number ?? value
}

/** One text is a list of one; what is no list at all is left to the checks. */
const elements: Infer = (field, value) => {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  return (Array.isArray(value) ? value : [value]).map((element) => infer(field.elements, element))
}

const within = (value: unknown, inner: (record: FormRecord) => unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? inner(value as FormRecord) : value

const inferrers: { readonly [type in Field['type']]?: Infer } = {
  integer: numeric,
  number: numeric,
  boolean: (_, value) => (value === 'true' ? true : value === 'false' ? false : value),
  array: elements,
  set: elements,
  record: (field, value) => within(value, (record) => inferFields(field.fields ?? [], record)),
  foreign: (field, value) => within(value, (record) => inferFields(field.$foreign?.().fields ?? [], record)),
  map: (field, value) =>
    within(value, (record) => {
      const map = newRecord()
      for (const [key, inner] of Object.entries(record)) map[key] = infer(field.values, inner)
      return map
    }),
}

/** Undefined where a percent sign begins no escape. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

function newRecord(): FormRecord {
  return Object.create(null) as FormRecord
}
