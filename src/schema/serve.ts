import type { Field, Fields, Schema, Subschema } from './field.ts'

/** A schema as `GET /schemas/...` answers it: plain JSON, one key for each element of `fields` and `entity_checks`. */
export interface ServedSchema {
  readonly fields: readonly Record<string, unknown>[]
  readonly entity_checks: readonly Record<string, unknown>[]
}

/**
 * An entity's declaration as it is served. Where entities can be written, the rules that hold without being declared are
 * served too: no text may be empty, no element null. Fields that every subschema declares anew are left to these.
 */
export function serveEntity(schema: Schema): ServedSchema {
  if (schema.generate_admin_api === false) return serve(schema)
  const subschemas = [...(schema.subschemas?.values() ?? [])]
  const declaredAnew = (name: string) =>
    subschemas.length > 0 && subschemas.every(({ fields }) => fields.some((entry) => Object.hasOwn(entry, name)))
  const fields = schema.fields.map((entry) =>
    Object.fromEntries(
      Object.entries(entry).map(([name, field]) => [name, declaredAnew(name) ? field : explicit(field)]),
    ),
  )
  return serve({ ...schema, fields })
}

/** A plugin's or vault's declaration as it is served. */
export function serveSubschema(subschema: Subschema): ServedSchema {
  return serve(subschema)
}

/** The fields of a plugin's config alone, as `GET /plugins/schema/:name` answers. */
export function serveConfig(subschema: Subschema): ServedSchema {
  const config = subschema.fields.find((entry) => Object.hasOwn(entry, 'config'))?.['config']
  return serve({ fields: config?.fields ?? [], entity_checks: config?.entity_checks ?? [] })
}

const serve = (subschema: Subschema): ServedSchema => ({
  fields: servedFields(subschema.fields),
  entity_checks: (subschema.entity_checks ?? []).map((check) => plain(check)),
})

function explicit(field: Field): Field {
  if (field.type === 'string') return { ...field, len_min: field.len_min ?? 1 }
  const parts = (['elements', 'keys', 'values'] as const).flatMap((part) => {
    const inner = field[part]
    return inner && inner.type !== 'record' ? [[part, { ...explicit(inner), required: true }] as const] : []
  })
  return { ...field, ...Object.fromEntries(parts) }
}

const servedFields = (fields: Fields): Record<string, unknown>[] =>
  fields
    .filter(isServed)
    .map((entry) => Object.fromEntries(Object.entries(entry).map(([name, field]) => [name, plain(field)])))

/** Drops functions and our own attributes, at every depth. */
function plain(value: object): Record<string, unknown> {
  const entries = Object.entries(value).filter(
    ([name, member]) => !name.startsWith('$') && typeof member !== 'function',
  )
  return Object.fromEntries(
    entries.map(([name, member]) => [
      name,
      name === 'default' || name === 'json_schema' ? member : plainMember(member),
    ]),
  )
}

/** Whether an element of a list of fields, or of another list, is none of our extensions. */
const isServed = (entry: unknown): boolean =>
  typeof entry !== 'object' ||
  entry === null ||
  !Object.values(entry).some((field: unknown) => typeof field === 'object' && field !== null && '$extension' in field)

function plainMember(member: unknown): unknown {
  if (Array.isArray(member)) return member.filter(isServed).map(plainMember)
  return typeof member === 'object' && member !== null ? plain(member) : member
}
