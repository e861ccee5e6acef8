import { equal } from '../equal.ts'
import type { KindIndex } from '../kinds.ts'
import type { Change, Kind, Operation, Stored, StoreError } from '../store.ts'
import type { Content } from './replace-all.ts'
import { rowsOf, type Rows } from './rows.ts'
import type { Statements } from './statements.ts'

/** What operations work with: the indexes by kind, the tables, the log, and the time in ms. */
export interface Context {
  readonly kinds: ReadonlyMap<Kind, KindIndex>
  readonly tables: Statements
  readonly record: (kind: Kind, id: string, operation: Change['operation']) => void
  /** Counts changes that are not told singly, since more than `most` follow. */
  readonly skip: (changes: number) => void
  readonly most: number
  readonly now: () => number
  /** Begins a content that is gathered in the open transaction. */
  readonly openContent: () => Content
}

type Replacement = Extract<Operation, { do: 'replace-all' }> & { readonly gathered?: Content }

/** An operation as the writer does it: a large content may have been gathered before. */
export type WriterOperation = Exclude<Operation, { do: 'replace-all' }> | Replacement

/**
 * Applies one operation inside the open transaction. An error that it returns leaves a part of it done: the caller rolls back.
 * Errors come in Kong's order: the id, then what is unique together, then single unique fields, then references.
 */
export function apply(context: Context, operation: WriterOperation): StoreError | undefined {
  switch (operation.do) {
    case 'insert':
      return insert(context, operation.kind, operation.entity)
    case 'update':
      return update(context, operation.kind, operation.entity, operation.expected)
    case 'upsert':
      return context.tables.exists(operation.kind, operation.entity.id)
        ? update(context, operation.kind, operation.entity)
        : insert(context, operation.kind, operation.entity)
    case 'delete':
      return context.tables.exists(operation.kind, operation.id)
        ? remove(context, operation.kind, operation.id)
        : { code: 'absent', kind: operation.kind, id: operation.id }
    case 'replace-all':
      return replaceAll(context, operation)
    case 'meta':
      return setMeta(context, operation.name, operation.value)
  }
}

/** A content that was gathered before its operation came is its gatherer's to forget. */
function replaceAll(context: Context, { entities, gathered }: Replacement): StoreError | undefined {
  if (gathered) return gathered.replace(context)
  const content = context.openContent()
  for (const { kind, entity } of entities) content.add(indexOf(context, kind), JSON.stringify(entity))
  const error = content.replace(context)
  content.drop()
  return error
}

/** A named value stands in the log as an entity of the kind `meta`, so that who follows the log learns of it, too. */
function setMeta({ tables, record }: Context, name: string, value: string | null): undefined {
  const before = tables.meta(name)
  if (before === (value ?? undefined)) return
  tables.setMeta(name, value)
  record('meta', name, value === null ? 'delete' : before === undefined ? 'insert' : 'update')
}

/** Deletes an entity with everything that hangs on it; nothing happens where it is gone already. */
export function remove(context: Context, kind: Kind, id: string): StoreError | undefined {
  const { tables, record } = context
  const body = tables.body(kind, id)
  if (body === undefined) return
  const entity = JSON.parse(body) as Stored
  // Before its referrers, so that entities that refer to each other in a circle come to an end.
  tables.deleteBody(kind, id)
  tables.deleteRows(kind, id, rowsOf(indexOf(context, kind), entity))
  const error = release(context, kind, id)
  if (error) return error
  record(kind, id, 'delete')
}

export function indexOf({ kinds }: Context, kind: Kind): KindIndex {
  const index = kinds.get(kind)
  if (!index) throw new TypeError(`the store knows no kind ${kind}`)
  return index
}

/** When an entity's time is over, in ms since 1970; null where it has none. */
export function expiryOf(context: Context, index: KindIndex, entity: Stored): number | null {
  const ttl = index.ttl ? entity['ttl'] : undefined
  return typeof ttl === 'number' ? context.now() + ttl * 1000 : null
}

function insert(context: Context, kind: Kind, entity: Stored): StoreError | undefined {
  const { tables, record } = context
  const index = indexOf(context, kind)
  if (tables.exists(kind, entity.id)) return { code: 'primary', kind, id: entity.id }
  const rows = rowsOf(index, entity)
  const error = taken(tables, kind, entity.id, rows) ?? missing(tables, kind, entity.id, rows)
  if (error) return error
  tables.insertBody(kind, entity.id, JSON.stringify(entity), expiryOf(context, index, entity))
  tables.insertRows(kind, entity.id, rows)
  record(kind, entity.id, 'insert')
}

function update(context: Context, kind: Kind, entity: Stored, expected?: Stored): StoreError | undefined {
  const { tables, record } = context
  const index = indexOf(context, kind)
  const before = tables.body(kind, entity.id)
  if (before === undefined) return { code: 'absent', kind, id: entity.id }
  const old = JSON.parse(before) as Stored
  // A reader gives the seconds left in place of `ttl`, which says nothing about a change.
  const ignored = index.ttl ? ['ttl'] : []
  if (expected && !equal(old, expected, ignored)) return { code: 'conflict', kind, id: entity.id }
  if (!index.ttl && equal(old, entity)) return
  const rows = rowsOf(index, entity)
  const error = taken(tables, kind, entity.id, rows) ?? missing(tables, kind, entity.id, rows)
  if (error) return error
  tables.updateBody(kind, entity.id, JSON.stringify(entity), expiryOf(context, index, entity))
  replaceRows(tables, kind, entity.id, rowsOf(index, old), rows)
  record(kind, entity.id, 'update')
}

function replaceRows(tables: Statements, kind: Kind, id: string, old: Rows, rows: Rows): void {
  if (equal(old, rows)) return
  tables.deleteRows(kind, id, old)
  tables.insertRows(kind, id, rows)
}

function taken(tables: Statements, kind: Kind, id: string, { keys }: Rows): StoreError | undefined {
  for (const { field, value, fields } of keys) {
    const owner = tables.owner(kind, field, value)
    if (owner !== undefined && owner !== id) return { code: 'unique', kind, fields }
  }
}

function missing(tables: Statements, kind: Kind, id: string, { links }: Rows): StoreError | undefined {
  for (const link of links) {
    const itself = link.kind === kind && link.id === id
    if (!itself && !tables.exists(link.kind, link.id))
      return { code: 'foreign', field: link.field, kind: link.kind, id: link.id }
  }
}

/** Lets go of a deleted entity everything that refers to it: refuses, deletes too, or sets the reference to null. */
function release(context: Context, kind: Kind, id: string): StoreError | undefined {
  const referring = [...context.kinds.values()].flatMap((index) =>
    index.foreign.filter((foreign) => foreign.kind === kind).map((foreign) => ({ by: index.kind, ...foreign })),
  )
  const holder = referring.find(
    ({ by, field, onDelete }) => onDelete === 'restrict' && context.tables.isReferred(kind, id, by, field),
  )
  if (holder) return { code: 'referenced', kind, by: holder.by }
  for (const { by, field, onDelete } of referring) {
    for (const referrer of context.tables.referrers(kind, id, by, field)) {
      const error = onDelete === 'cascade' ? remove(context, by, referrer) : forget(context, by, referrer, field)
      if (error) return error
    }
  }
}

/** Sets a reference to null; an entity with a time to live does not get a new one by that. */
function forget({ kinds, tables, record }: Context, kind: Kind, id: string, field: string): StoreError | undefined {
  const body = tables.body(kind, id)
  const index = kinds.get(kind)
  if (body === undefined || !index) return
  const old = JSON.parse(body) as Stored
  const entity = { ...old, [field]: null }
  const rows = rowsOf(index, entity)
  const error = taken(tables, kind, id, rows)
  if (error) return error
  tables.rewriteBody(kind, id, JSON.stringify(entity))
  replaceRows(tables, kind, id, rowsOf(index, old), rows)
  record(kind, id, 'update')
}
