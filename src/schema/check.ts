import { randomInt, randomUUID } from 'node:crypto'
import type { ErrorTree } from './errors.ts'
import type { Field, Schema, Shape } from './field.ts'
import { type CheckContext, fieldsOf, fill, recordOf, subschemaOf } from './fill.ts'
import { type Table, asObject, define, isObject, isTable, own } from './value.ts'
import { checkTransforms } from './entity-checks.ts'
import { isEmpty, validate } from './validate.ts'

export { type ErrorTree, type FieldError, errorMessage } from './errors.ts'
export type { CheckContext } from './fill.ts'

export type Checked<T = Record<string, unknown>> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly errors: ErrorTree }

const alphanumerics = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** The clock and the chance of this machine. */
export const realContext: CheckContext = {
  now: () => Date.now() / 1000,
  uuid: randomUUID,
  randomText: () => Array.from({ length: 32 }, () => alphanumerics[randomInt(alphanumerics.length)]).join(''),
}

/** What a time to live may be, in seconds; 0 is none. */
const longestTtl = 100_000_000
export const ttlError = `must be an integer between 0 and ${longestTtl}`
export const isTtl = (ttl: unknown): boolean =>
  ttl === null || (typeof ttl === 'number' && Number.isInteger(ttl) && ttl >= 0 && ttl <= longestTtl)

/** Checks a POST's body, fills defaults and generated values, and returns the entity with every field present (null where it has no value). */
export function checkInsert(schema: Schema, input: unknown, context: CheckContext = realContext): Checked {
  return prepared(schema, input, (value) => write(schema, value, 'insert', atOnce(context)))
}

/** Checks an entity of a declarative file: like an insert, but what cannot be prepared is left to the checks, whose words are then told. */
export function checkDeclared(schema: Schema, input: unknown, context: CheckContext = realContext): Checked {
  const check = (value: Table): Checked => write(schema, value, 'insert', atOnce(context))
  return prepared(schema, input, check, { unprepared: check, ttl: undefined })
}

/** Checks a PUT's body: like an insert, but the path gives `id` or the endpoint key (`fixed`), which win over the body. */
export function checkUpsert(
  schema: Schema,
  fixed: Record<string, unknown>,
  input: unknown,
  context: CheckContext = realContext,
): Checked {
  const body = isTable(input) ? { ...asObject(input), ...fixed } : input
  return prepared(schema, body, (value) => write(schema, value, 'upsert', atOnce(context)))
}

/** Checks as an insert does, but for what only the entity's own collection does with a body: what `POST /schemas/:entity/validate` asks. */
export function checkOnly(schema: Schema, input: unknown, context: CheckContext = realContext): Checked {
  if (!isTable(input)) return notAnEntity
  const object = asObject(input)
  ignoreUpdatedAt(schema, object)
  return mortal(schema, object, undefined, () => write(schema, object, 'insert', atOnce(context)))
}

/** Checks a PATCH's body against the entity as it stands; records merge deeply, arrays are replaced, null clears. */
export function checkUpdate(
  schema: Schema,
  existing: Readonly<Record<string, unknown>>,
  input: unknown,
  context: CheckContext = realContext,
): Checked {
  const before = { ...existing }
  if (schema.ttl) delete before['ttl']
  // A change that cannot be prepared is left to the checks, whose words are then told.
  const change = (value: Table): Checked => update(schema, before, value, atOnce(context))
  return prepared(schema, input, change, { unprepared: change, ttl: existing['ttl'] })
}

/** Clients send back what they read elsewhere: `updated_at` is taken, and ignored, by entities without it too. */
function ignoreUpdatedAt(schema: Schema, value: Table): void {
  if (!fieldsOf(schema).has('updated_at')) delete value['updated_at']
}

/** One check has one time. */
function atOnce(context: CheckContext): CheckContext {
  const time = context.now()
  return { ...context, now: () => time }
}

const notAnEntity: Checked = { ok: false, errors: { '@entity': ['expected an input table'] } }

/** What an update and a file add: what is done with a body that cannot be prepared, and the time to live that is left. */
interface Updating {
  readonly unprepared: (value: Table) => Checked
  readonly ttl: unknown
}

function prepared(schema: Schema, input: unknown, next: (value: Table) => Checked, updating?: Updating): Checked {
  if (!isTable(input)) return notAnEntity
  const object = asObject(input)
  ignoreUpdatedAt(schema, object)
  return mortal(schema, object, updating?.ttl, () => {
    const outcome = schema.$prepare?.(object) ?? { value: object }
    if (!('errors' in outcome)) return next(outcome.value)
    return updating ? updating.unprepared(object) : { ok: false, errors: outcome.errors }
  })
}

/** Checks an entity that may have a time to live, which is no field of its schema: one that is not sent stays as it is. */
function mortal(schema: Schema, sent: Table, ttlBefore: unknown, check: () => Checked): Checked {
  if (!schema.ttl) return check()
  const ttl = own(sent, 'ttl')
  delete sent['ttl']
  if (ttl !== undefined && !isTtl(ttl)) return { ok: false, errors: { ttl: ttlError } }
  const checked = check()
  if (!checked.ok) return checked
  const kept = ttl === undefined ? (ttlBefore ?? null) : ttl === 0 ? null : ttl
  return { ok: true, value: { ...checked.value, ttl: kept } }
}

function write(schema: Schema, sent: Table, kind: 'insert' | 'upsert', context: CheckContext): Checked {
  const errors: ErrorTree = {}
  const value = fill(schema, sent, kind, context, errors)
  if (!isEmpty(errors)) return { ok: false, errors }
  const wrong = validate(schema, value, { context, full: true, updating: false })
  if (schema.$transforms) checkTransforms(schema.$transforms, { sent, entity: value }, wrong)
  return isEmpty(wrong) ? accepted(schema, derived(schema, value, context)) : { ok: false, errors: wrong }
}

function update(schema: Schema, existing: Table, sent: Table, context: CheckContext): Checked {
  const errors: ErrorTree = {}
  const changes = fill(schema, sent, 'update', context, errors)
  if (!isEmpty(errors)) return { ok: false, errors }
  const merged = merge(schema, existing, changes)
  const wrong = {
    ...immutable(schema, existing, changes),
    ...validate(schema, merged, { context, full: false, updating: true }),
  }
  if (schema.$transforms) checkTransforms(schema.$transforms, { sent, entity: merged, before: existing }, wrong)
  return isEmpty(wrong)
    ? accepted(schema, refilled(schema, { ...merged, ...schema.$derive?.(merged) }, context))
    : { ok: false, errors: wrong }
}

function immutable(schema: Schema, existing: Table, changes: Table): ErrorTree {
  const errors: ErrorTree = {}
  for (const [name, field] of fieldsOf(schema)) {
    const before = own(existing, name)
    const after = own(changes, name)
    if (!field.immutable || before === null || before === undefined || after === undefined) continue
    if (JSON.stringify(before) !== JSON.stringify(after)) define(errors, name, 'immutable field cannot be updated')
  }
  return errors
}

const recordsOf = (shape: Shape, value: Table): ReadonlyMap<string, Field> => fieldsOf(shape, subschemaOf(shape, value))

/** The kind is that of the entity as it stands: a plugin's config merges by the old plugin's fields. */
function merge(shape: Shape, existing: Table, changes: Table): Table {
  const out = { ...existing, ...changes }
  for (const [name, field] of recordsOf(shape, existing)) {
    const before = own(existing, name)
    const after = own(changes, name)
    if (field.type === 'record' && !field.abstract && isObject(before) && isTable(after)) {
      define(out, name, merge(recordOf(field), before, asObject(after)))
    }
  }
  return out
}

/** With what follows from other fields; only that is not yet filled. */
const derived = (schema: Schema, filled: Table, context: CheckContext): Table =>
  schema.$derive ? refilled(schema, { ...filled, ...schema.$derive(filled) }, context) : filled

const refilled = (schema: Schema, value: Table, context: CheckContext): Table =>
  fill({ ...schema, shorthand_fields: [] }, value, 'insert', context, {})

/** The entity as it is kept: every field present, foreign fields cut to their key. */
function accepted(schema: Schema, value: Table): Checked {
  const out: Table = {}
  for (const [name, field] of recordsOf(schema, value)) {
    const member = own(value, name)
    if (field.$extension && (member === undefined || member === null)) continue
    define(out, name, kept(field, member))
  }
  return { ok: true, value: out }
}

function kept(field: Field, value: unknown): unknown {
  if (value === undefined || field.transient) return null
  return field.type === 'foreign' && isObject(value) ? keyOf(field, value) : value
}

/** The entity with its fields in the form that is kept, such as passwords hashed; `sent` is what was sent of it. */
export function transformed(
  schema: Schema,
  entity: Record<string, unknown>,
  sent: Readonly<Record<string, unknown>>,
  before?: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return schema.$transform ? { ...entity, ...schema.$transform(entity, new Set(Object.keys(sent)), before) } : entity
}

function keyOf(field: Field, value: Table): Table {
  const key = field.$foreign?.().primary_key ?? 'id'
  return { [key]: own(value, key) }
}
