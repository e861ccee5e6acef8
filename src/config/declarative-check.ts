import { isDeepStrictEqual } from 'node:util'
import { checkDeclared, type CheckContext, transformed } from '../schema/check.ts'
import { fieldsOf, uniqueTogether } from '../schema/fill.ts'
import { mapSecrets } from '../schema/secrets.ts'
import { define, isTable } from '../schema/value.ts'
import type { Stored } from '../store/store.ts'
import type { DeclarativeKind } from './declarative-kinds.ts'
import { followsFromName, idOfName } from './declarative-ids.ts'
import { type Conflict, type EntityNode, nameOf, noteConflict, type WrittenReference } from './declarative-nodes.ts'
import { IdSet } from './id-set.ts'
import { mask } from './settings.ts'

/** What is in force while a file is loaded again: generated secrets and times are taken from it, so that they stay as they are. */
export interface Previous {
  get(kind: string, id: string): Stored | undefined
  /** The fields that were made up then, as `kind/id/field`; what a file once said is never kept against a file that no longer says it. */
  readonly generated: ReadonlySet<string>
}

/** An entity that may be stored. */
export interface Loaded {
  readonly kind: string
  readonly entity: Stored
}

/** What has to be known of all entities of a file before any of them can be checked. */
export interface Survey {
  /** How many there are. */
  readonly count: number
  readonly directory: Directory
  /** What stands there twice, by the place of the entity among all. */
  readonly conflicts: ReadonlyMap<number, readonly Conflict[]>
}

/** What entities can be referred to with, by kind. */
interface Directory {
  /** The ids by name; null for the one that follows from the name. */
  readonly byName: ReadonlyMap<string, Map<string, string | null>>
  readonly byId: ReadonlyMap<string, IdSet>
}

export interface Checking {
  readonly kinds: ReadonlyMap<string, DeclarativeKind>
  readonly context: CheckContext
  readonly previous: Previous | undefined
  /** Whether secrets are brought into the form that is kept; not where they are in it already. */
  readonly transform: boolean
}

/**
 * Checks every entity by its schema, resolves references and finds what stands there twice; gives those without mistakes, as they
 * are asked for. Wrong ones are put into `wrong`, and into `generated` the names of the fields that were made up. The nodes must
 * be those that were surveyed.
 */
export function* checkNodes(
  nodes: Iterable<EntityNode>,
  { directory, conflicts }: Survey,
  checking: Checking,
  { wrong, generated }: { readonly wrong: EntityNode[]; readonly generated: string[] },
): Iterable<Loaded> {
  const seen: Seen = new Map()
  let place = 0
  for (const node of nodes) {
    node.conflicts = conflicts.get(place++) ?? node.conflicts
    const sent = checked(node, directory, checking)
    if (sent) {
      const before = checking.previous?.get(node.kind.name, node.id)
      const value = checking.transform ? transformed(node.kind.schema, sent, node.body, before) : sent
      noteUniques(node, value, seen)
      if (node.conflicts.length === 0)
        yield { kind: node.kind.name, entity: kept(node, value, before, checking.previous, generated) }
    }
    if (node.errors || node.conflicts.length > 0) wrong.push(node)
  }
}

/** Kong's words for what stands there twice. */
const twice = (node: EntityNode, what: string): string =>
  `uniqueness violation: '${node.kind.name}' entity with ${what} already declared`

export function surveyOf(nodes: Iterable<EntityNode>, kinds: ReadonlyMap<string, DeclarativeKind>): Survey {
  const byName = new Map([...kinds.keys()].map((kind) => [kind, new Map<string, string | null>()]))
  const byId = new Map([...kinds.keys()].map((kind) => [kind, new IdSet()]))
  const conflicts = new Map<number, readonly Conflict[]>()
  let count = 0
  for (const node of nodes) {
    register(node, byName.get(node.kind.name), byId.get(node.kind.name))
    if (node.conflicts.length > 0) conflicts.set(count, node.conflicts)
    count++
  }
  return { count, directory: { byName, byId }, conflicts }
}

function register(node: EntityNode, names: Map<string, string | null> | undefined, ids: IdSet | undefined): void {
  const { kind, id } = node
  const name = nameOf(node)
  if (name !== undefined) {
    if (names?.has(name)) return conflict(node, kind.nameField, `${kind.nameField} set to '${name}'`)
    names?.set(name, followsFromName(node) ? null : id)
  }
  if (ids?.add(id) === false) conflict(node, 'id', `primary key set to '${id}'`)
}

function conflict(
  node: EntityNode,
  field: string | undefined,
  what: string,
  where: 'index' | 'unique' = 'index',
): void {
  noteConflict(node, { field, message: twice(node, what), where })
}

const nobody = '00000000-0000-0000-0000-000000000000'

/** The entity as its schema makes it, or undefined when something is wrong with it. */
function checked(node: EntityNode, directory: Directory, checking: Checking): Record<string, unknown> | undefined {
  const { kind, parent, parentField } = node
  const input: Record<string, unknown> = { ...node.body, id: node.body['id'] ?? node.id }
  const unresolved: WrittenReference[] = []
  for (const reference of node.references) {
    const found = resolve(reference, directory)
    if (!found) unresolved.push(reference)
    define(input, reference.field, { id: found ?? nobody })
  }
  const result = checkDeclared(parent ? kind.nestedSchema : kind.schema, input, checking.context)
  if (!result.ok) node.errors = { ...result.errors, ...node.errors }
  for (const reference of unresolved) noteUnresolved(node, reference)
  if (result.ok) noteMasked(node, result.value)
  if (!result.ok || node.errors || node.conflicts.length > 0) return undefined
  if (parent && parentField !== undefined) result.value[parentField] = { id: parent.id }
  return result.value
}

/** The id of the entity that is meant. */
function resolve({ kind, key }: WrittenReference, { byName, byId }: Directory): string | undefined {
  const named = byName.get(kind)?.get(key)
  if (named !== undefined) return named ?? idOfName({ name: kind }, key)
  return byId.get(kind)?.has(key) ? key : undefined
}

function noteUnresolved(node: EntityNode, { field, kind, written }: WrittenReference): void {
  if (node.errors && Object.hasOwn(node.errors, field)) return
  const text = typeof written === 'string' ? written : JSON.stringify(written)
  const message = `invalid reference '${field}: ${text}' (no such entry in '${kind}')`
  noteConflict(node, { field, message, where: 'reference' })
}

/** An export without its secrets, read again, would give everyone the same one, which is known to all. */
function noteMasked(node: EntityNode, value: Record<string, unknown>): void {
  mapSecrets(node.kind.schema, value, (secret, path) => {
    if (secret === mask) {
      const message = `'${path}' was left out of the export: write it here, or export with --with-secrets`
      noteConflict(node, { field: path.split('.')[0], message, where: 'index' })
    }
    return secret
  })
}

/** What is unique: by kind and fields, then by their values. */
type Seen = Map<string, Set<unknown>>

function noteUniques(node: EntityNode, value: Readonly<Record<string, unknown>>, seen: Seen): void {
  for (const field of node.kind.uniques) if (value[field] !== null) noteUnique(node, [field], value, seen)
  const together = uniqueTogether(node.kind.schema)
  if (together && node.conflicts.length === 0) noteUnique(node, together, value, seen)
}

function noteUnique(
  node: EntityNode,
  fields: readonly string[],
  value: Readonly<Record<string, unknown>>,
  seen: Seen,
): void {
  const place = `${node.kind.name} ${fields.join(' ')}`
  const known = seen.get(place) ?? new Set()
  seen.set(place, known)
  const values = fields.map((field) => plain(value[field]))
  // A single text, as nearly all are, is kept as it is: of a million the keys would take more memory than the entities.
  const key = values.length === 1 && typeof values[0] === 'string' ? values[0] : JSON.stringify(values)
  if (known.size !== known.add(key).size) return
  const parts = fields.map((field, at) => [field, values[at]] as const)
  const given = parts.filter(([, part]) => part !== null)
  const named = (given.length > 0 ? given : parts).map(([field, part]) => `${field} set to '${String(part)}'`)
  conflict(node, fields[0], named.join(' and '), fields.length === 1 ? 'unique' : 'index')
}

const plain = (value: unknown): unknown => (isTable(value) && !Array.isArray(value) ? value['id'] : (value ?? null))

/** The entity as it will be stored: where it says what it said before, the same as before to the last field. */
function kept(
  node: EntityNode,
  value: Record<string, unknown>,
  before: Stored | undefined,
  previous: Previous | undefined,
  generated: string[],
): Stored {
  for (const field of node.kind.generated) {
    if (node.body[field] !== undefined) continue
    const mark = `${node.kind.name}/${node.id}/${field}`
    generated.push(mark)
    if (before && previous?.generated.has(mark)) value[field] = before[field]
  }
  const entity = value as Record<string, unknown> & Stored
  if (!before) return entity
  const times = timesOf(node)
  const sameTimes = Object.fromEntries(times.filter((field) => field in entity).map((field) => [field, before[field]]))
  if (isDeepStrictEqual({ ...entity, ...sameTimes }, before)) return before
  return times.includes('created_at') ? { ...entity, created_at: before['created_at'] } : entity
}

/** The times that the file leaves to us; `updated_at` always is. */
function timesOf({ kind, body }: EntityNode): string[] {
  const fields = fieldsOf(kind.schema)
  return ['created_at', 'updated_at'].filter(
    (field) => fields.has(field) && (field === 'updated_at' || body[field] === undefined),
  )
}
