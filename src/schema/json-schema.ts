/**
 * Schemas of this language as JSON Schema (draft 2020-12), as OpenAPI 3.1 documents hold them. What JSON Schema cannot say,
 * such as Lua's patterns and checks between fields, is left out: it accepts whatever the checks accept, and more.
 */
import type { Field, Fields, Schema, ShorthandField } from './field.ts'

export type JsonSchema = { readonly [keyword: string]: unknown }

/** What a description is of: an entity as it is answered, a body that makes one, or a body that changes one. */
export type Form = 'answer' | 'new' | 'change'

/** An entity or a record. An answer has every field but for our extensions; a body that makes one needs those that nothing fills in. */
export function jsonSchemaOf(
  schema: Pick<Schema, 'fields' | 'shorthand_fields' | 'ttl' | 'endpoint_key'>,
  form: Form,
): JsonSchema {
  const fields = entriesOf(schema.fields)
  const shorthands = entriesOf(schema.shorthand_fields ?? []).filter(
    ([, field]) => form !== 'answer' || field.deprecation?.replaced_with !== undefined,
  )
  const known = new Set(fields.map(([name]) => name))
  // A shorthand stands for fields that are then not needed themselves.
  const canBeExpanded = shorthands.some(([name]) => !known.has(name))
  const isListed = form === 'answer' ? isAlwaysThere : form === 'new' && !canBeExpanded ? isNeeded : () => false
  // What a path can say need not stand in the body.
  const required = fields
    .filter(isListed)
    .map(([name]) => name)
    .filter((name) => form === 'answer' || name !== schema.endpoint_key)
  const described = [...shorthands, ...fields].map(([name, field]) => [name, fieldSchema(field, form)] as const)
  return {
    type: 'object',
    properties: { ...Object.fromEntries(described), ...(schema.ttl && { ttl: { type: ['integer', 'null'] } }) },
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  }
}

const entriesOf = (fields: Fields | readonly ShorthandField[]): [string, ShorthandField[string]][] =>
  fields.flatMap((entry) => Object.entries(entry))

const isAlwaysThere = ([, field]: readonly [string, Field]): boolean => !field.$extension

const isNeeded = ([, field]: readonly [string, Field]): boolean =>
  field.required === true && field.default === undefined && !field.auto && !/^(record|foreign)$/.test(field.type)

/** One field's value; null is a value of every field that need not have one. */
export function fieldSchema(field: Field, form: Form): JsonSchema {
  const described = field.description === undefined ? {} : { description: field.description }
  const filled = field.default === undefined || form === 'change' ? {} : { default: field.default }
  const old = field.deprecation === undefined ? {} : { deprecated: true }
  const value = field.eq === null ? { type: 'null' } : nullable(field, types[field.type](field, form))
  return { ...value, ...described, ...filled, ...old }
}

function nullable(field: Field, schema: JsonSchema): JsonSchema {
  if (field.required || (field.uuid && field.auto) || schema['type'] === undefined) return schema
  const options = schema['enum'] as readonly unknown[] | undefined
  return { ...schema, type: [schema['type'], 'null'], ...(options && { enum: [...options, null] }) }
}

type Describe = (field: Field, form: Form) => JsonSchema

const numeric =
  (type: 'integer' | 'number'): Describe =>
  ({ between, gt, one_of }) => ({
    type,
    ...(between && { minimum: between[0], maximum: between[1] }),
    ...(gt !== undefined && { exclusiveMinimum: gt }),
    ...(one_of && { enum: one_of }),
  })

const list =
  (isSet: boolean): Describe =>
  ({ elements, len_min, len_max, len_eq }, form) => ({
    type: 'array',
    ...(elements && { items: fieldSchema({ ...elements, required: true }, form) }),
    ...lengths('Items', len_eq ?? len_min, len_eq ?? len_max),
    // What is sent twice is kept once.
    ...(isSet && form === 'answer' && { uniqueItems: true }),
  })

const lengths = (of: 'Items' | 'Length', least: number | undefined, most: number | undefined): JsonSchema => ({
  ...(least !== undefined && { [`min${of}`]: least }),
  ...(most !== undefined && { [`max${of}`]: most }),
})

const types: { readonly [Type in Field['type']]: Describe } = {
  string: ({ one_of, uuid, len_min, len_max, len_eq, starts_with, referenceable, contains }) => ({
    type: 'string',
    ...(uuid && { format: 'uuid' }),
    ...(one_of && { enum: one_of }),
    // A reference to a vault stands in place of any text; lengths are counted in bytes, of which a character has one or more.
    ...(!referenceable && lengths('Length', Math.min(len_eq ?? len_min ?? 1, 1), len_eq ?? len_max)),
    ...(starts_with !== undefined && !referenceable && { pattern: `^${escaped(starts_with)}` }),
    ...(contains !== undefined && !referenceable && { pattern: escaped(String(contains)) }),
  }),
  integer: numeric('integer'),
  number: numeric('number'),
  boolean: () => ({ type: 'boolean' }),
  array: list(false),
  set: list(true),
  map: ({ values }, form) => ({
    type: 'object',
    additionalProperties: values ? fieldSchema({ ...values, required: true }, form) : true,
  }),
  record: (field, form) =>
    field.abstract
      ? { type: 'object' }
      : jsonSchemaOf({ fields: field.fields ?? [], shorthand_fields: field.shorthand_fields ?? [] }, form),
  foreign: (_, form) => ({
    type: 'object',
    properties: { id: { type: 'string', format: 'uuid' } },
    // Bodies may name the entity by a unique field in place of its id.
    ...(form === 'answer' && { required: ['id'], additionalProperties: false }),
  }),
  json: () => ({}),
  any: () => ({}),
}

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
