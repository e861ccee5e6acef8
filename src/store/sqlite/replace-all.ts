import { equal } from '../equal.ts'
import type { KindIndex } from '../kinds.ts'
import type { Kind, Stored, StoreError } from '../store.ts'
import { expiryOf, indexOf, type Context } from './operations.ts'
import { rowsOf } from './rows.ts'

/** Fields that a replacement does not look at: an entity that differs only here stays as it is, with its old times. */
const timesOfWriting = ['created_at', 'updated_at']

/**
 * A whole new content while it is gathered, entity by entity, in any order. Of each it holds the body as text and what goes into
 * the tables beside it, so that a million of them take a few hundred bytes each.
 */
export interface Content {
  readonly kinds: Map<Kind, OfKind>
  /** How many entities were added. */
  size: number
  /** The first entity with an id that its kind had already. */
  twice: StoreError | undefined
}

interface OfKind {
  /** By id. */
  readonly bodies: Map<string, string>
  readonly keys: KeyOf[]
  readonly links: LinkOf[]
  readonly tags: TagOf[]
}

/** What stands in a row, of which entity (its id), and as what entity of all that one was added. */
interface Row {
  readonly bearer: string
  readonly at: number
}
type KeyOf = Row & { readonly field: string; readonly value: string }
type LinkOf = Row & { readonly field: string; readonly kind: Kind; readonly id: string }
type TagOf = Row & { readonly tag: string }

export const emptyContent = (): Content => ({ kinds: new Map(), size: 0, twice: undefined })

/** Adds an entity, given as the text that is its body. */
export function addToContent(content: Content, index: KindIndex, body: string): void {
  const entity = JSON.parse(body) as Stored
  const { kind } = index
  const at = content.size++
  const { id: bearer } = entity
  const ofKind: OfKind = content.kinds.get(kind) ?? { bodies: new Map(), keys: [], links: [], tags: [] }
  content.kinds.set(kind, ofKind)
  if (ofKind.bodies.has(bearer)) content.twice ??= { code: 'primary', kind, id: bearer }
  ofKind.bodies.set(bearer, body)
  const rows = rowsOf(index, entity)
  for (const { field, value } of rows.keys) ofKind.keys.push({ field, value, bearer, at })
  for (const link of rows.links) ofKind.links.push({ field: link.field, kind: link.kind, id: link.id, bearer, at })
  for (const tag of rows.tags) ofKind.tags.push({ tag, bearer, at })
}

/**
 * Makes a content the whole one. Constraints are checked on the new content alone, before anything is written; then only what
 * differs is written, each table in the order of its keys, because inserting a million random keys one by one makes SQLite
 * rewrite most pages many times over.
 */
export function replaceAll(context: Context, content: Content): StoreError | undefined {
  for (const { keys, links, tags } of content.kinds.values()) {
    keys.sort((a, b) => compare(a.field, b.field) || compare(a.value, b.value))
    links.sort((a, b) => compare(a.kind, b.kind) || compare(a.id, b.id) || compare(a.field, b.field) || byBearer(a, b))
    tags.sort((a, b) => compare(a.tag, b.tag) || byBearer(a, b))
  }
  const error = content.twice ?? violation(context, content)
  if (error) return error
  const { changed, there } = takeAway(context, content)
  for (const { kind, id, body } of changed) putChanged(context, kind, id, body)
  for (const [kind, ofKind] of content.kinds) putAdded(context, kind, ofKind, there.get(kind) ?? new Set())
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
const byBearer = (a: Row, b: Row) => compare(a.bearer, b.bearer)

/** The violation met first where entities are looked at in the order in which they were added, keys before references. */
function violation(context: Context, content: Content): StoreError | undefined {
  let first: { readonly at: number; readonly error: () => StoreError } | undefined
  const note = (at: number, error: () => StoreError) => {
    if (first === undefined || at < first.at) first = { at, error }
  }
  for (const [kind, ofKind] of content.kinds) {
    const key = firstOf(ofKind.keys.filter((row, at) => isTakenBefore(ofKind.keys[at - 1], row)))
    if (key) note(key.at, () => ({ code: 'unique', kind, fields: fieldsOf(context, kind, ofKind, key) }))
  }
  for (const { links } of content.kinds.values()) {
    const link = firstOf(links.filter((row) => !content.kinds.get(row.kind)?.bodies.has(row.id)))
    if (link) note(link.at, () => ({ code: 'foreign', field: link.field, kind: link.kind, id: link.id }))
  }
  return first?.error()
}

const firstOf = <T extends Row>(rows: readonly T[]): T | undefined =>
  rows.reduce<T | undefined>((first, row) => (first === undefined || row.at < first.at ? row : first), undefined)

/** Sorting keeps the order of equals: the one that was added later stands behind. */
const isTakenBefore = (before: KeyOf | undefined, row: KeyOf): boolean =>
  before !== undefined && before.field === row.field && before.value === row.value

function fieldsOf(context: Context, kind: Kind, { bodies }: OfKind, { bearer, field, value }: KeyOf) {
  const { keys } = rowsOf(indexOf(context, kind), JSON.parse(bodies.get(bearer) as string) as Stored)
  return keys.find((key) => key.field === field && key.value === value)?.fields ?? {}
}

interface Changed {
  readonly kind: Kind
  readonly id: string
  readonly body: string
}

/**
 * Deletes what the content does not name, and the keys of what changed, so that no new key meets an old one. Returns what
 * changed, and the ids of all that is there already.
 */
function takeAway(
  context: Context,
  content: Content,
): { readonly changed: readonly Changed[]; readonly there: ReadonlyMap<Kind, ReadonlySet<string>> } {
  const { tables, record } = context
  const changed: Changed[] = []
  const there = new Map<Kind, Set<string>>()
  for (const kind of tables.kinds()) {
    if (context.kinds.get(kind)?.undeclared) continue
    const wanted = content.kinds.get(kind)?.bodies
    if (!wanted) {
      for (const { id } of tables.bodies(kind)) record(kind, id, 'delete')
      tables.deleteKind(kind)
      continue
    }
    const index = indexOf(context, kind)
    const thereOfKind = new Set<string>()
    there.set(kind, thereOfKind)
    for (const { id, body: old } of tables.bodies(kind)) {
      const body = wanted.get(id)
      if (body !== undefined) thereOfKind.add(id)
      if (body === old) continue
      const entity = JSON.parse(old) as Stored
      if (body !== undefined && equal(entity, JSON.parse(body) as Stored, timesOfWriting)) continue
      tables.deleteRows(kind, id, rowsOf(index, entity))
      if (body !== undefined) {
        changed.push({ kind, id, body })
        continue
      }
      tables.deleteBody(kind, id)
      record(kind, id, 'delete')
    }
  }
  return { changed, there }
}

function putChanged(context: Context, kind: Kind, id: string, body: string): void {
  const { tables, record } = context
  const index = indexOf(context, kind)
  const entity = JSON.parse(body) as Stored
  tables.updateBody(kind, id, body, expiryOf(context, index, entity))
  tables.insertRows(kind, id, rowsOf(index, entity))
  record(kind, id, 'update')
}

function putAdded(
  context: Context,
  kind: Kind,
  { bodies, keys, links, tags }: OfKind,
  there: ReadonlySet<string>,
): void {
  const { tables, record } = context
  const index = indexOf(context, kind)
  if (there.size === bodies.size) return
  for (const id of [...bodies.keys()].sort()) {
    if (there.has(id)) continue
    const body = bodies.get(id) as string
    const expiresAt = index.ttl ? expiryOf(context, index, JSON.parse(body) as Stored) : null
    tables.insertBody(kind, id, body, expiresAt)
    record(kind, id, 'insert')
  }
  const isAdded = ({ bearer }: Row) => !there.has(bearer)
  for (const key of keys) if (isAdded(key)) tables.insertKey(kind, key.bearer, key)
  for (const link of links) if (isAdded(link)) tables.insertLink(kind, link.bearer, link)
  for (const tag of tags) if (isAdded(tag)) tables.insertTag(kind, tag.bearer, tag.tag)
}
