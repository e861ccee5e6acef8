import { fieldsOf } from '../schema/fill.ts'
import type { EntityNode } from './declarative-nodes.ts'
import { uuidOfName } from './uuid.ts'

/** How often each nameless entity has been seen, so that equal ones get ids of their own. */
export type Ordinals = Map<string, number>

type Unidentified = Pick<EntityNode, 'kind' | 'parent' | 'parentField' | 'body' | 'references'>

/**
 * The id of an entity: the one it is given, else one that follows from what it says, so that loading a file again changes nothing.
 * Where Kong makes such an id, ours is the same (a UUIDv5 of kind and name). Where Kong takes a random one, ours follows
 * from the content and never from a secret, since ids are shown to people who may not see those.
 */
export function identify(
  entity: Unidentified,
  ordinals: Ordinals,
): { readonly id: string; readonly idIsKongs: boolean } {
  const given = entity.body['id']
  if (given !== undefined && given !== null)
    return { id: typeof given === 'string' ? given : JSON.stringify(given), idIsKongs: true }
  delete entity.body['id']
  const kongs = kongKey(entity)
  if (kongs !== undefined) return { id: idOf(entity.kind.name, kongs), idIsKongs: true }
  return { id: idOf(entity.kind.name, ownKey(entity, ordinals)), idIsKongs: false }
}

/** The id of an entity that is given none, and whose kind's name is unique by itself. */
export const idOfName = ({ name }: Pick<EntityNode['kind'], 'name'>, value: string): string => idOf(name, value)

/** Whether an entity that has a name, unique by itself, has the id that follows from that. */
export const followsFromName = ({ kind, body }: Pick<EntityNode, 'kind' | 'body'>): boolean =>
  body['id'] === undefined && !kind.schema.cache_key

/** Kong's namespace for generated ids; each kind has its own below it. */
const root = 'fd02801f-0957-4a15-a55a-c8d9606f30b5'
const namespaces = new Map<string, string>()

function idOf(kind: string, key: string): string {
  const namespace = namespaces.get(kind) ?? uuidOfName(root, kind)
  namespaces.set(kind, namespace)
  return uuidOfName(namespace, key)
}

/** Every workspace, in Kong's keys. */
const workspace = '*'

function kongKey(entity: Unidentified): string | undefined {
  const { schema } = entity.kind
  return schema.cache_key ? kongCacheKey(entity, schema.cache_key) : kongEndpointKey(entity)
}

/** Undefined where a part is missing or made up: the key would not be unique. */
function kongCacheKey(entity: Unidentified, cacheKey: readonly string[]): string | undefined {
  const fields = fieldsOf(entity.kind.schema)
  const parts = [entity.kind.name, workspace]
  for (const name of cacheKey) {
    const field = fields.get(name)
    if (field?.auto) return undefined
    const part = textOf(entity, name) ?? (name === entity.parentField ? entity.parent?.id : undefined)
    if (part === undefined && field?.required) return undefined
    parts.push(part ?? '')
  }
  return parts.join(':')
}

/** An endpoint key that is not unique by itself is so below its parents. */
function kongEndpointKey(entity: Unidentified): string | undefined {
  const name = entity.kind.schema.endpoint_key
  const key = name === undefined ? undefined : textOf(entity, name)
  if (name === undefined || key === undefined) return undefined
  const field = fieldsOf(entity.kind.schema).get(name)
  if (field?.unique) return key
  const parents = [...entity.kind.references.values()]
    .filter(({ cascades }) => cascades)
    .map((reference) => `:${entity.parent?.id ?? textOf(entity, reference.field) ?? ''}`)
  return key + parents.join('') + (field?.unique_across_ws ? '' : `:${workspace}`)
}

function textOf(entity: Unidentified, name: string): string | undefined {
  if (entity.kind.references.has(name)) return entity.references.find(({ field }) => field === name)?.key
  const value = entity.body[name]
  return typeof value === 'string' ? value : undefined
}

function ownKey(entity: Unidentified, ordinals: Ordinals): string {
  const { kind, body } = entity
  const name = kind.nameField
  const isSecret = name === undefined || isEncrypted(entity, name)
  if (!isSecret && typeof body[name] === 'string') return `${kind.name}:${body[name]}`
  const content = Object.entries(body).filter(([field]) => !kind.secrets.has(field))
  const references = entity.references.map(({ field, key }) => [field, key])
  const key = `${kind.name}:${entity.parent?.id ?? ''}:${canonical([Object.fromEntries(content), references])}`
  const ordinal = ordinals.get(key) ?? 0
  ordinals.set(key, ordinal + 1)
  return `${key}:${ordinal}`
}

function isEncrypted(entity: Unidentified, name: string): boolean {
  const field = fieldsOf(entity.kind.schema).get(name)
  return Boolean(field?.encrypted || field?.referenceable)
}

/** JSON in which the order of keys does not count. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
