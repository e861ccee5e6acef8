import { fieldsOf } from '../schema/fill.ts'
import type { Schema } from '../schema/field.ts'

/** A field by which an entity of one kind refers to one of another. */
export interface Reference {
  readonly field: string
  readonly kind: string
  readonly required: boolean
  readonly cascades: boolean
}

/** What the declarative format needs to know of a kind, derived once from its schema. */
export interface DeclarativeKind {
  readonly name: string
  readonly schema: Schema
  /** The schema for an entity that stands below its parent, whose reference needs no writing. */
  readonly nestedSchema: Schema
  readonly references: ReadonlyMap<string, Reference>
  /** Sections that may stand in an entity of this kind, with the field that refers back: `routes` in a service by `service`. */
  readonly children: ReadonlyMap<string, string>
  /** The endpoint key, where its values are unique: entities are referred to by it. */
  readonly nameField: string | undefined
  /** Unique fields besides `id` and the name field. */
  readonly uniques: readonly string[]
  /** Text fields that are made up where they are left out, such as a credential's key and secret. */
  readonly generated: readonly string[]
  /** Fields that must not leave a trace in an id. */
  readonly secrets: ReadonlySet<string>
}

/** The kinds that have a section in declarative files, each after the kinds it refers to. */
export function declarativeKinds(schemas: ReadonlyMap<string, Schema>): ReadonlyMap<string, DeclarativeKind> {
  const known = remembered.get(schemas)
  if (known) return known
  // There is one workspace; Kong's exports name it, and nothing refers to it here.
  const exported = new Map(
    [...schemas].filter(([name, schema]) => schema.db_export !== false && !schema.primary_key && name !== 'workspaces'),
  )
  const kinds = new Map(inOrder(exported).map((name) => [name, kindOf(name, exported)]))
  remembered.set(schemas, kinds)
  return kinds
}

const remembered = new WeakMap<ReadonlyMap<string, Schema>, ReadonlyMap<string, DeclarativeKind>>()

function kindOf(name: string, schemas: ReadonlyMap<string, Schema>): DeclarativeKind {
  const schema = schemas.get(name) as Schema
  const fields = [...fieldsOf(schema)]
  const endpointKey = schema.endpoint_key
  const unique = fields.filter(([, field]) => field.unique).map(([field]) => field)
  const nameField = endpointKey !== undefined && unique.includes(endpointKey) ? endpointKey : undefined
  return {
    name,
    schema,
    nestedSchema: nested(schema),
    references: referencesOf(schema),
    children: childrenOf(name, schemas),
    nameField,
    uniques: unique.filter((field) => field !== nameField && field !== 'id'),
    generated: fields
      .filter(([, field]) => field.auto && field.type === 'string' && !field.uuid)
      .map(([field]) => field),
    secrets: new Set(
      fields
        .filter(([, field]) => Boolean(field.encrypted || field.referenceable || field.auto))
        .map(([field]) => field),
    ),
  }
}

function referencesOf(schema: Schema): ReadonlyMap<string, Reference> {
  const references = new Map<string, Reference>()
  for (const [field, { type, reference, required, on_delete }] of fieldsOf(schema)) {
    if (type !== 'foreign' || reference === undefined) continue
    references.set(field, { field, kind: reference, required: required === true, cascades: on_delete === 'cascade' })
  }
  return references
}

/** Where a parent has a field of its own with the children's name, that field is meant. */
function childrenOf(parent: string, schemas: ReadonlyMap<string, Schema>): ReadonlyMap<string, string> {
  const own = fieldsOf(schemas.get(parent) as Schema)
  const children = new Map<string, string>()
  for (const [child, schema] of schemas) {
    const ownField = own.get(child)
    if (ownField && !ownField.transient) continue
    for (const { field, kind } of referencesOf(schema).values()) if (kind === parent) children.set(child, field)
  }
  return children
}

function nested(schema: Schema): Schema {
  const fields = schema.fields.map((entry) =>
    Object.fromEntries(
      Object.entries(entry).map(([name, field]) => [
        name,
        field.type === 'foreign' ? { ...field, required: false } : field,
      ]),
    ),
  )
  const { $transforms: given, ...rest } = schema
  const isParents = (path: string): boolean =>
    schema.fields.some((entry) => entry[path.split('.')[0] ?? '']?.type === 'foreign')
  const $transforms = given && { ...given, needs: given.needs.filter((path) => !isParents(path)) }
  const entity_checks = schema.entity_checks?.filter(({ at_least_one_of: paths }) => !paths?.some(isParents))
  return { ...rest, fields, ...(entity_checks && { entity_checks }), ...($transforms && { $transforms }) }
}

/** Depth first along the references, by name among equals; a kind that refers to itself comes once. */
function inOrder(schemas: ReadonlyMap<string, Schema>): string[] {
  const order = new Set<string>()
  const begun = new Set<string>()
  const visit = (name: string): void => {
    const schema = schemas.get(name)
    if (!schema || begun.has(name)) return
    begun.add(name)
    for (const { kind } of referencesOf(schema).values()) visit(kind)
    order.add(name)
  }
  for (const name of [...schemas.keys()].sort()) visit(name)
  return [...order]
}
