import { checkInsert } from '../schema/check.ts'
import type { Field, Schema } from '../schema/field.ts'
import type { Stored } from '../store/store.ts'
import { fieldOf, invalidPrimaryKey, invalidUnique, unresolved, type Answer } from './answers.ts'
import type { Context } from './types.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export const isUuid = (text: string): boolean => UUID.test(text)

/** What a path's last part says of an entity: its id, or the value of its endpoint key. */
export interface Named {
  readonly field: string
  readonly value: string
  /** An id as it was written, where that is not in small letters: a declarative file may say it so. */
  readonly written?: string
}

/** Reads `:id_or_name`; a refusal where the text can be neither. */
export function nameOf(schema: Schema, text: string): Named | { readonly refusal: Answer } {
  if (isUuid(text)) {
    const value = text.toLowerCase()
    return { field: 'id', value, ...(value !== text && { written: text }) }
  }
  const field = schema.endpoint_key
  if (field === undefined) return { refusal: invalidPrimaryKey({ id: 'expected a valid UUID' }) }
  const wrong = wrongValue(schema, field, text)
  return wrong === undefined ? { field, value: text } : { refusal: invalidUnique(field, wrong) }
}

/** What is wrong with a value for one field of a schema, in the checks' words. */
export function wrongValue(schema: Schema, field: string, value: unknown): string | undefined {
  const declared = fieldOf(schema, field)
  if (!declared) return undefined
  const checked = checkInsert({ name: schema.name, fields: [{ [field]: declared }] }, { [field]: value })
  if (checked.ok) return undefined
  const error = checked.errors[field]
  return typeof error === 'string' ? error : 'invalid value'
}

/** The entity of this name, among those whose foreign field `within.field` refers to `within.id` where that is given. */
export function find(
  context: Context,
  schema: Schema,
  { field, value, written }: Named,
  within?: { readonly field: string; readonly id: string },
): Stored | undefined {
  const { reader } = context.store
  const found =
    field === 'id'
      ? (reader.get(schema.name, value) ?? (written === undefined ? undefined : reader.get(schema.name, written)))
      : fieldOf(schema, field)?.unique
        ? reader.by(schema.name, field, value)
        : // Names such as a target's are unique only below their parent, where there are few.
          within && entitiesBelow(context, schema.name, within).find((entity) => entity[field] === value)
  return !within || referenceId(found?.[within.field]) === within.id ? found : undefined
}

/** Every entity of a kind that refers to another one by a field, in the order of ids. */
export function* entitiesBelow(
  { store }: Context,
  kind: string,
  link: { readonly field: string; readonly id: string },
): Generator<Stored, undefined> {
  for (let offset: string | undefined; ;) {
    const page = store.reader.page(kind, { size: 1000, link, ...(offset !== undefined && { offset }) })
    yield* page.entities
    if (page.offset === undefined) return undefined
    offset = page.offset
  }
}

/** The id that a foreign field holds. */
export function referenceId(value: unknown): string | undefined {
  const id = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)['id'] : undefined
  return typeof id === 'string' ? id : undefined
}

export interface Foreign {
  readonly name: string
  readonly kind: string
}

/** A schema's foreign fields, each with the kind it refers to. */
export function foreignFields(schema: Schema): readonly Foreign[] {
  const known = foreignOf.get(schema) ?? foreignIn(schema)
  foreignOf.set(schema, known)
  return known
}

/** Every write asks for them. */
const foreignOf = new WeakMap<Schema, readonly Foreign[]>()

const foreignIn = ({ fields }: Schema): Foreign[] =>
  fields
    .flatMap((entry): [string, Field][] => Object.entries(entry))
    .flatMap(([name, { type, reference }]) => (type === 'foreign' && reference ? [{ name, kind: reference }] : []))

/** Replaces references by name, such as `{"service":{"name":"a"}}`, by references by id; a refusal where one names nobody. */
export function resolveNames(
  context: Context,
  schema: Schema,
  input: Readonly<Record<string, unknown>>,
): { readonly input: Record<string, unknown> } | { readonly refusal: Answer } {
  const resolved: Record<string, unknown> = Object.assign(Object.create(null), input)
  const errors: Record<string, Record<string, string>> = {}
  for (const { name, kind } of foreignFields(schema)) {
    const target = context.kinds.get(kind)
    const value = input[name]
    if (!target || typeof value !== 'object' || value === null || Object.hasOwn(value, 'id')) continue
    const found = byUniqueFields(context, target, value as Record<string, unknown>)
    if (found.id !== undefined) resolved[name] = { id: found.id }
    else if (Object.keys(found.errors).length > 0) errors[name] = found.errors
  }
  return Object.keys(errors).length > 0 ? { refusal: unresolved(errors) } : { input: resolved }
}

function byUniqueFields(
  { store }: Context,
  schema: Schema,
  value: Readonly<Record<string, unknown>>,
): { readonly id?: string; readonly errors: Record<string, string> } {
  const errors: Record<string, string> = {}
  for (const [field, { unique }] of schema.fields.flatMap((entry): [string, Field][] => Object.entries(entry))) {
    const text = value[field]
    if (!unique || typeof text !== 'string') continue
    const found = store.reader.by(schema.name, field, text)
    if (found) return { id: found.id, errors: {} }
    errors[field] =
      `the foreign key cannot be resolved with '{${field}="${text}"}' for an existing '${schema.name}' entity`
  }
  return { errors }
}
