import type { ErrorTree, FieldError } from '../schema/errors.ts'
import { luaText } from '../schema/lua-text.ts'
import { asObject, define, isTable } from '../schema/value.ts'
import { type EntityNode, type Mistaken, nameOf, pathOf } from './declarative-nodes.ts'

/** One mistake of a configuration: what is wrong, and the way to it from the top. */
export interface Mistake {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** An entity that has something wrong with it, as `flatten_errors` lists it. */
export interface FlattenedError {
  readonly entity_type: string
  readonly entity_id?: string
  readonly entity_name?: string
  readonly entity_tags?: readonly string[]
  /** As it was written, without what is nested in it. */
  readonly entity: Readonly<Record<string, unknown>>
  readonly errors: readonly (
    | { readonly type: 'field'; readonly field: string; readonly message: string }
    | { readonly type: 'entity'; readonly message: string }
  )[]
}

/** What Kong's answer to a configuration with mistakes consists of, beside its constant parts. */
export interface Complaint {
  readonly message: string
  readonly fields: ErrorTree
  readonly flattened?: readonly FlattenedError[]
}

/** The error tree by section and index, and its text. */
export function complaintOf(mistaken: Mistaken): Complaint {
  return complaint(treeOf(mistaken, mistaken.wrong))
}

/** The same, but each entity's mistakes in an entry of its own; the tree keeps what belongs to no entity. */
export function flattenedComplaintOf(mistaken: Mistaken): Complaint {
  return { ...complaint(treeOf(mistaken, [])), flattened: flattenedOf(mistaken) }
}

/** The complaint about a text that is no configuration at all. */
export function textComplaint(message: string): Complaint {
  return complaint({ error: message })
}

/** Every mistake with its path, in the order of the file's sections. */
export function mistakesOf({ wrong, malformed, errors }: Mistaken): Mistake[] {
  const inEntities = wrong.flatMap((node) => {
    const path = pathOf(node)
    const conflicts = node.conflicts.map(({ field, message }) => ({
      path: field === undefined ? path : [...path, field],
      message,
    }))
    return [...leaves(node.errors ?? {}, path), ...conflicts]
  })
  return [...leaves(errors, []), ...malformed, ...inEntities]
}

/** Whether anything is wrong at all. */
export const hasMistakes = ({ wrong, malformed, errors }: Mistaken): boolean =>
  Object.keys(errors).length > 0 || malformed.length > 0 || wrong.length > 0

const complaint = (fields: ErrorTree): Complaint => ({
  message: `declarative config is invalid: ${luaText(fields)}`,
  fields,
})

function leaves(error: FieldError | null, path: readonly (string | number)[]): Mistake[] {
  if (error === null) return []
  if (typeof error === 'string') return [{ path, message: error }]
  if (Array.isArray(error)) return error.flatMap((inner, index) => leaves(inner, [...path, index]))
  return Object.entries(error).flatMap(([field, inner]) => {
    if (field === '@entity') return textsOf(inner).map((message) => ({ path, message }))
    return leaves(inner, [...path, field])
  })
}

/** The texts about a whole entity: one, or a list of them. */
const textsOf = (error: FieldError): string[] => [error].flat().filter((text) => typeof text === 'string')

/** A tree in the making; numbers are indexes from 0. */
type Branch = Map<string | number, Branch | FieldError>

function treeOf({ errors, malformed }: Mistaken, wrong: readonly EntityNode[]): ErrorTree {
  const root: Branch = new Map()
  for (const [field, error] of Object.entries(errors)) root.set(field, error)
  for (const { path, message } of malformed) put(root, path, message)
  for (const node of wrong) {
    const atIndex = node.conflicts.filter(({ where }) => where === 'index').map(({ message }) => message)
    const own = ownError(node.errors, atIndex)
    if (own !== undefined) put(root, pathOf(node), own)
    const byName = errorByName(node)
    if (byName !== undefined) put(root, [node.kind.name, nameOf(node) ?? node.id], byName)
  }
  return grown(root) as ErrorTree
}

/** A conflict alone is a text, as Kong gives it; beside other mistakes it is one about the whole entity. */
function ownError(errors: ErrorTree | undefined, conflicts: readonly string[]): FieldError | undefined {
  if (conflicts.length === 0) return errors
  if (!errors && conflicts.length === 1) return conflicts[0]
  const whole = errors?.['@entity']
  return { ...errors, '@entity': [...(Array.isArray(whole) ? whole : []), ...conflicts] }
}

/** Kong lists references that lead nowhere, and gives a value that must be unique as a text. */
function errorByName({ conflicts }: EntityNode): FieldError | undefined {
  const found = conflicts.filter(({ where }) => where !== 'index')
  const texts = found.map(({ message }) => message)
  return found.some(({ where }) => where === 'reference') || texts.length > 1 ? texts : texts[0]
}

function put(root: Branch, path: readonly (string | number)[], error: FieldError): void {
  let branch = root
  for (const step of path.slice(0, -1)) {
    const next = branch.get(step)
    const inner: Branch = next instanceof Map ? next : branchOf(next)
    if (inner !== next) branch.set(step, inner)
    branch = inner
  }
  const last = path.at(-1) ?? ''
  const there = branch.get(last)
  if (there instanceof Map && isTable(error) && !Array.isArray(error))
    for (const [field, text] of Object.entries(error)) there.set(field, text)
  else branch.set(last, error)
}

const branchOf = (error: FieldError | undefined): Branch =>
  new Map(isTable(error) ? (Object.entries(asObject(error as ErrorTree)) as [string, FieldError][]) : [])

function grown(branch: Branch): FieldError {
  const entries = [...branch].map(([key, value]) => [key, value instanceof Map ? grown(value) : value] as const)
  if (entries.length > 0 && entries.every(([key]) => typeof key === 'number'))
    return listOf(entries as [number, FieldError][])
  const tree: ErrorTree = {}
  for (const [key, value] of entries) define(tree, typeof key === 'number' ? String(key + 1) : key, value)
  return tree
}

function listOf(entries: readonly (readonly [number, FieldError])[]): (FieldError | null)[] {
  const length = entries.reduce((most, [index]) => Math.max(most, index + 1), 0)
  const list: (FieldError | null)[] = Array.from({ length }, () => null)
  for (const [index, error] of entries) list[index] = error
  return list
}

/** Kong's order: sections and indexes backwards, and what is nested before that in which it is nested. */
function flattenedOf({ wrong }: Mistaken): FlattenedError[] {
  // Kong makes ids only once every field is as it should be.
  const showIds = wrong.every((node) => node.errors === undefined)
  const groups = new Map<EntityNode, EntityNode[]>()
  for (const node of wrong) {
    const root = rootOf(node)
    groups.set(root, [...(groups.get(root) ?? []), node])
  }
  return [...groups]
    .sort(([a], [b]) => (a.kind.name === b.kind.name ? b.index - a.index : a.kind.name < b.kind.name ? 1 : -1))
    .flatMap(([, group]) => group.map((node) => flattened(node, showIds)))
}

function rootOf(node: EntityNode): EntityNode {
  let root = node
  while (root.parent) root = root.parent
  return root
}

function flattened(node: EntityNode, showIds: boolean): FlattenedError {
  const entity = entityOf(node, showIds)
  const { id, name, tags } = entity
  const conflicts = node.conflicts.map(({ field, message, where }) =>
    where !== 'index' && field !== undefined
      ? { type: 'field' as const, field, message }
      : { type: 'entity' as const, message },
  )
  return {
    entity_type: node.kind.name.replace(/s$/, ''),
    ...(typeof id === 'string' && uuid.test(id) && { entity_id: id }),
    ...(typeof name === 'string' && name !== '' && { entity_name: name }),
    ...(Array.isArray(tags) && tags.every((tag) => typeof tag === 'string') && { entity_tags: tags }),
    entity,
    errors: [...categorized(node.errors ?? {}, ''), ...conflicts],
  }
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

function entityOf(node: EntityNode, showIds: boolean): Record<string, unknown> {
  const entity: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(asObject(node.written as Record<string, unknown>))) {
    if (node.kind.children.has(field) && isTable(value)) continue
    if (node.kind.references.has(field) && isTable(value)) {
      const { id } = asObject(value)
      if (typeof id === 'string' && uuid.test(id)) define(entity, field, { id })
      continue
    }
    define(entity, field, value)
  }
  if (showIds && node.idIsKongs) entity['id'] = node.id
  const parentId = node.parent && shownId(node.parent, showIds)
  if (parentId !== undefined && node.parentField !== undefined) entity[node.parentField] ??= { id: parentId }
  return entity
}

function shownId(node: EntityNode, showIds: boolean): string | undefined {
  const given = asObject(node.written as Record<string, unknown>)['id']
  if (typeof given === 'string') return uuid.test(given) ? given : undefined
  return showIds && node.idIsKongs ? node.id : undefined
}

/** Fields backwards, as Kong empties its tables; positions count from 1. */
function categorized(
  errors: ErrorTree | readonly (FieldError | null)[],
  within: string,
): FlattenedError['errors'][number][] {
  const entries = Array.isArray(errors)
    ? errors.map((error, index) => [String(index + 1), error as FieldError | null] as const).reverse()
    : Object.entries(errors as ErrorTree).sort(([a], [b]) => (a < b ? 1 : -1))
  return entries.flatMap(([name, error]): FlattenedError['errors'][number][] => {
    if (error === null) return []
    if (name === '@entity') return textsOf(error).map((message) => ({ type: 'entity', message }))
    const field = within === '' ? name : `${within}.${name}`
    return typeof error === 'string' ? [{ type: 'field', field, message: error }] : categorized(error, field)
  })
}
