/**
 * The secrets in an entity: where its schema says that there are any, at whatever depth, also in a plugin's config.
 * A field is a secret where Kong marks it `encrypted`, or we `$secret`; what refers to a vault is none.
 */
import type { Field, Fields, Schema, Subschema } from './field.ts'
import { isObject, isReference, own } from './value.ts'

export type Entity = Readonly<Record<string, unknown>>

/** Gets a secret, clear or sealed, and its place, such as `config.redis.password`; gives what is to stand there. */
export type Visit = (secret: unknown, path: string) => unknown

type Walk = (value: unknown, path: string, visit: Visit) => unknown

/** A copy of the entity in which `visit` has replaced every secret; the entity itself where nothing was replaced. */
export function mapSecrets<T extends Entity>(schema: Schema, entity: T, visit: Visit): T {
  return (walkOf(schema)?.(entity, '', visit) ?? entity) as T
}

/** Whether entities of the kind can have secrets at all. */
export const maySecrets = (schema: Schema): boolean => walkOf(schema) !== undefined

/** The names of unique fields that are secrets. */
export const uniqueSecrets = ({ fields }: Schema): string[] =>
  fields.flatMap((entry) =>
    Object.entries(entry).flatMap(([name, field]) => (field.unique && isSecretField(field) ? [name] : [])),
  )

const isSecretField = (field: Field): boolean => field.encrypted === true || field.$secret !== undefined

const known = new WeakMap<Schema, Walk | 'none'>()

function walkOf(schema: Schema): Walk | undefined {
  let walk = known.get(schema)
  if (walk === undefined) known.set(schema, (walk = schemaWalk(schema) ?? 'none'))
  return walk === 'none' ? undefined : walk
}

function schemaWalk(schema: Schema): Walk | undefined {
  const shared = fieldsWalk(schema.fields)
  const { subschema_key: key, subschemas } = schema
  if (key === undefined || !subschemas) return shared
  const special = new Map(
    [...subschemas].flatMap(([name, { fields }]: [string, Subschema]) => {
      const walk = fieldsWalk(fields)
      return walk ? [[name, walk] as const] : []
    }),
  )
  if (special.size === 0) return shared
  return (value, path, visit) => {
    const walk = special.get(String(own(value, key)))
    const walked = shared ? shared(value, path, visit) : value
    return walk ? walk(walked, path, visit) : walked
  }
}

function fieldsWalk(fields: Fields): Walk | undefined {
  const inner = fields.flatMap((entry) =>
    Object.entries(entry).flatMap(([name, field]) => {
      const walk = fieldWalk(field)
      return walk ? [{ name, walk }] : []
    }),
  )
  if (inner.length === 0) return undefined
  return (value, path, visit) => {
    if (!isObject(value)) return value
    let copy: Record<string, unknown> | undefined
    for (const { name, walk } of inner) {
      const before = own(value, name)
      const after = walk(before, path === '' ? name : `${path}.${name}`, visit)
      if (after !== before) (copy ??= { ...value })[name] = after
    }
    return copy ?? value
  }
}

function fieldWalk(field: Field): Walk | undefined {
  if (isSecretField(field)) return secretWalk(field)
  if (field.type === 'record' && field.fields) return fieldsWalk(field.fields)
  const part = field.elements ?? field.values
  const walk = part && fieldWalk(part)
  return walk && (field.elements ? listWalk(walk) : mapWalk(walk))
}

function secretWalk({ $secret }: Field): Walk {
  const isSecret = typeof $secret === 'function' ? $secret : () => true
  return (value, path, visit) => {
    if (value === null || value === undefined) return value
    // What is no text may be a secret that lies sealed in the store.
    return typeof value === 'string' && (isReference(value) || !isSecret(value)) ? value : visit(value, path)
  }
}

const listWalk =
  (walk: Walk): Walk =>
  (value, path, visit) => {
    if (!Array.isArray(value)) return value
    const copy = value.map((element: unknown, index) => walk(element, `${path}.${index}`, visit))
    return copy.some((element, index) => element !== value[index]) ? copy : value
  }

const mapWalk =
  (walk: Walk): Walk =>
  (value, path, visit) => {
    if (!isObject(value)) return value
    const entries = Object.entries(value).map(([key, inner]) => [key, walk(inner, `${path}.${key}`, visit)] as const)
    return entries.some(([key, inner]) => inner !== value[key]) ? Object.fromEntries(entries) : value
  }
