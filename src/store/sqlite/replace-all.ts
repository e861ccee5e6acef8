import { equal } from '../equal.ts'
import type { KindIndex } from '../kinds.ts'
import type { Kind, Stored, StoreError } from '../store.ts'
import { expiryOf, indexOf, type Context } from './operations.ts'
import { rowsOf, type KeyRow, type LinkRow } from './rows.ts'

/** Fields that a replacement does not look at: an entity that differs only here stays as it is, with its old times. */
const timesOfWriting = ['created_at', 'updated_at']

/**
 * Makes `entities` the whole content, in whatever order they come. Constraints are checked on the new content alone, before
 * anything is written; then only what differs is written, each table in the order of its keys, because inserting a million
 * random keys one by one makes SQLite rewrite most pages many times over.
 */
export function replaceAll(
  context: Context,
  entities: readonly { readonly kind: Kind; readonly entity: Stored }[],
): StoreError | undefined {
  const content = new Map<Kind, Map<string, Stored>>()
  for (const { kind, entity } of entities) {
    indexOf(context, kind)
    const ofKind = content.get(kind) ?? new Map<string, Stored>()
    if (ofKind.has(entity.id)) return { code: 'primary', kind, id: entity.id }
    content.set(kind, ofKind.set(entity.id, entity))
  }
  const error = violation(context, content, entities)
  if (error) return error
  const changed = takeAway(context, content)
  for (const [kind, entity] of changed) putChanged(context, indexOf(context, kind), entity)
  for (const [kind, added] of content) putAdded(context, indexOf(context, kind), added)
}

type Content = Map<Kind, Map<string, Stored>>

function violation(
  context: Context,
  content: Content,
  entities: readonly { readonly kind: Kind; readonly entity: Stored }[],
): StoreError | undefined {
  const seen = new Map<Kind, Map<string, Set<string>>>([...content.keys()].map((kind) => [kind, new Map()]))
  for (const { kind, entity } of entities) {
    const { keys, links } = rowsOf(indexOf(context, kind), entity)
    const twice = keys.find((key) => !addTo(seen.get(kind), key))
    if (twice) return { code: 'unique', kind, fields: twice.fields }
    const missing = links.find((link) => !content.get(link.kind)?.has(link.id))
    if (missing) return { code: 'foreign', field: missing.field, kind: missing.kind, id: missing.id }
  }
}

/** Adds a key to those of its kind and says whether it was new. */
function addTo(fields: Map<string, Set<string>> | undefined, { field, value }: KeyRow): boolean {
  const values = fields?.get(field) ?? new Set()
  if (values.has(value)) return false
  fields?.set(field, values.add(value))
  return true
}

/**
 * Deletes what the content does not name, and the keys of what changed, so that no new key meets an old one.
 * Takes what is unchanged or changed out of the content, which then holds what is to be added, and returns what changed.
 */
function takeAway(context: Context, content: Content): [Kind, Stored][] {
  const { tables, record } = context
  const changed: [Kind, Stored][] = []
  for (const kind of tables.kinds()) {
    if (context.kinds.get(kind)?.undeclared) continue
    const wanted = content.get(kind)
    if (!wanted) {
      for (const { id } of tables.bodies(kind)) record(kind, id, 'delete')
      tables.deleteKind(kind)
      continue
    }
    const index = indexOf(context, kind)
    for (const { id, body } of tables.bodies(kind)) {
      const entity = wanted.get(id)
      wanted.delete(id)
      const old = JSON.parse(body) as Stored
      if (entity && equal(old, entity, timesOfWriting)) continue
      tables.deleteRows(kind, id, rowsOf(index, old))
      if (entity) {
        changed.push([kind, entity])
        continue
      }
      tables.deleteBody(kind, id)
      record(kind, id, 'delete')
    }
  }
  return changed
}

function putChanged(context: Context, index: KindIndex, entity: Stored): void {
  const { tables, record } = context
  tables.updateBody(index.kind, entity.id, JSON.stringify(entity), expiryOf(context, index, entity))
  tables.insertRows(index.kind, entity.id, rowsOf(index, entity))
  record(index.kind, entity.id, 'update')
}

function putAdded(context: Context, index: KindIndex, added: ReadonlyMap<string, Stored>): void {
  const { tables, record } = context
  const { kind } = index
  const keys: (KeyRow & Bearer)[] = []
  const links: (LinkRow & Bearer)[] = []
  const tags: ({ readonly tag: string } & Bearer)[] = []
  for (const bearer of [...added.keys()].sort()) {
    const entity = added.get(bearer) as Stored
    const rows = rowsOf(index, entity)
    for (const { field, value, fields } of rows.keys) keys.push({ field, value, fields, bearer })
    for (const link of rows.links) links.push({ ...link, bearer })
    for (const tag of rows.tags) tags.push({ tag, bearer })
    tables.insertBody(kind, bearer, JSON.stringify(entity), expiryOf(context, index, entity))
    record(kind, bearer, 'insert')
  }
  keys.sort((a, b) => compare(a.field, b.field) || compare(a.value, b.value))
  links.sort((a, b) => compare(a.kind, b.kind) || compare(a.id, b.id))
  // Bearers are in order already, and sorting keeps the order of equals.
  tags.sort((a, b) => compare(a.tag, b.tag))
  for (const key of keys) tables.insertKey(kind, key.bearer, key)
  for (const link of links) tables.insertLink(kind, link.bearer, link)
  for (const { tag, bearer } of tags) tables.insertTag(kind, bearer, tag)
}

interface Bearer {
  /** The id of the entity that a row belongs to. */
  readonly bearer: string
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
