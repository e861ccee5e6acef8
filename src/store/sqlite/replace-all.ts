import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { equal } from '../equal.ts'
import type { KindIndex } from '../kinds.ts'
import type { Kind, Stored, StoreError } from '../store.ts'
import { sqliteCode } from './file.ts'
import { expiryOf, indexOf, type Context } from './operations.ts'
import { rowsOf } from './rows.ts'

/** Fields that a replacement does not look at: an entity that differs only here stays as it is, with its old times. */
const timesOfWriting = ['created_at', 'updated_at']

/**
 * A whole new content while it is gathered, entity by entity, in any order. It lies in temporary tables, which SQLite keeps in a
 * file of its own once they are large: a million entities take no more memory than a thousand.
 */
export interface Content {
  /** Adds an entity, given as the text that is its body. */
  add(index: KindIndex, body: string): void
  /**
   * Makes it the whole content. Constraints are checked on the new content alone; only what differs is written, each table in the
   * order of its keys, because inserting a million random keys one by one makes SQLite rewrite most pages many times over.
   */
  replace(context: Context): StoreError | undefined
  /** Forgets it. Not to be called in a transaction that may be rolled back, unless it was gathered in the same one. */
  drop(): void
}

let contents = 0

/** SQLite's code for a row that a constraint does not allow. */
const constraint = 19

/** Rows that are read at once where what they lead to changes the tables that they come from. */
const step = 1000

/** Begins a content on the writer's connection. */
export function openContent(db: DatabaseSync): Content {
  const name = `content_${++contents}`
  const sql = (text: string): string => text.replaceAll('$', name)
  const tables = ['', '_keys', '_links', '_tags', '_there'].map((suffix) => `${name}${suffix}`)
  db.exec(
    sql(`
    CREATE TEMP TABLE $ (at INTEGER PRIMARY KEY, kind TEXT, id TEXT, ttl REAL, body TEXT);
    CREATE TEMP TABLE $_keys (at INTEGER, kind TEXT, field TEXT, value TEXT, id TEXT);
    CREATE TEMP TABLE $_links (at INTEGER, to_kind TEXT, to_id TEXT, kind TEXT, field TEXT, id TEXT);
    CREATE TEMP TABLE $_tags (at INTEGER, tag TEXT, kind TEXT, id TEXT);
    CREATE TEMP TABLE $_there (at INTEGER PRIMARY KEY, same INTEGER)`),
  )
  const prepare = (text: string): StatementSync => db.prepare(sql(text))
  const addBody = prepare('INSERT INTO $ (at, kind, id, ttl, body) VALUES (?, ?, ?, ?, ?)')
  const addKey = prepare('INSERT INTO $_keys (at, kind, field, value, id) VALUES (?, ?, ?, ?, ?)')
  const addLink = prepare('INSERT INTO $_links (at, to_kind, to_id, kind, field, id) VALUES (?, ?, ?, ?, ?, ?)')
  const addTag = prepare('INSERT INTO $_tags (at, tag, kind, id) VALUES (?, ?, ?, ?)')
  let size = 0

  const replace = (context: Context): StoreError | undefined => {
    if (!isDone(() => db.exec(sql('CREATE UNIQUE INDEX temp.$_by_id ON $ (kind, id)')))) return violation(context)
    takeAway(context)
    putChanged(context)
    db.exec(
      sql(`INSERT INTO entities (kind, id, body, expires_at)
      SELECT kind, id, body, CAST(${context.now()} + ttl * 1000 AS INTEGER) FROM $ NOT INDEXED
      WHERE at NOT IN (SELECT at FROM $_there) ORDER BY kind, id`),
    )
    const isWritten = 'at NOT IN (SELECT at FROM $_there WHERE same)'
    const keys = sql(`INSERT INTO unique_keys (kind, field, value, id)
      SELECT kind, field, value, id FROM $_keys WHERE ${isWritten} ORDER BY kind, field, value`)
    if (!isDone(() => db.exec(keys))) return violation(context)
    if (prepare(`SELECT 1 FROM $_links WHERE ${dangles} LIMIT 1`).get()) return violation(context)
    db.exec(
      sql(`
      INSERT INTO links (to_kind, to_id, kind, field, id)
        SELECT to_kind, to_id, kind, field, id FROM $_links WHERE ${isWritten} ORDER BY to_kind, to_id, kind, field, id;
      INSERT INTO tags (tag, kind, id) SELECT tag, kind, id FROM $_tags WHERE ${isWritten} ORDER BY tag, kind, id`),
    )
    recordAdded(context)
    return undefined
  }

  /** Of a million changes the log is told the last ones only, and how many there were. */
  const recordAdded = ({ record, skip, most }: Context): void => {
    const isAdded = 'FROM $ WHERE at NOT IN (SELECT at FROM $_there)'
    const { count } = prepare(`SELECT count(*) AS count ${isAdded}`).get() as { count: number }
    skip(Math.max(0, count - most))
    const last = `SELECT kind, id ${isAdded} ORDER BY kind DESC, id DESC LIMIT ?`
    const added = prepare(`SELECT kind, id FROM (${last}) ORDER BY kind, id`).iterate(Math.min(count, most))
    for (const { kind, id } of added) record(String(kind), String(id), 'insert')
  }
  /** The mistake met first where entities are looked at in the order in which they were added, keys before references. */
  const violation = (context: Context): StoreError | undefined => {
    const twice = prepare(`SELECT kind, id FROM
      (SELECT kind, id, at, row_number() OVER (PARTITION BY kind, id ORDER BY at) AS nth FROM $)
      WHERE nth > 1 ORDER BY at LIMIT 1`).get() as { kind: Kind; id: string } | undefined
    if (twice) return { code: 'primary', ...twice }
    const key = prepare(`SELECT at, kind, field, value FROM
      (SELECT *, rowid AS row, row_number() OVER (PARTITION BY kind, field, value ORDER BY at, rowid) AS nth FROM $_keys)
      WHERE nth > 1 ORDER BY at, row LIMIT 1`).get() as KeyOf | undefined
    const link = prepare(`SELECT at, field, to_kind, to_id FROM $_links WHERE ${dangles} ORDER BY at, rowid LIMIT 1`)
    const dangling = link.get() as LinkOf | undefined
    if (key && !(dangling && dangling.at < key.at))
      return { code: 'unique', kind: key.kind, fields: fieldsOf(context, key) }
    return dangling && { code: 'foreign', field: dangling.field, kind: dangling.to_kind, id: dangling.to_id }
  }
  const fieldsOf = (context: Context, { at, kind, field, value }: KeyOf): Readonly<Record<string, unknown>> => {
    const { body } = prepare('SELECT body FROM $ WHERE at = ?').get(at) as { body: string }
    const { keys } = rowsOf(indexOf(context, kind), JSON.parse(body) as Stored)
    return keys.find((key) => key.field === field && key.value === value)?.fields ?? {}
  }

  /** Deletes what the content does not name, and the keys of what changed, so that no new key meets an old one; notes what is there. */
  const takeAway = (context: Context): void => {
    const named = prepare('SELECT 1 FROM $ WHERE kind = ? LIMIT 1')
    const note = prepare(`INSERT INTO $_there SELECT $.at, $.body = entity.body
      FROM $ JOIN entities AS entity ON entity.kind = $.kind AND entity.id = $.id WHERE $.kind = ?`)
    for (const kind of context.tables.kinds()) {
      if (context.kinds.get(kind)?.undeclared) continue
      if (named.get(kind) === undefined) {
        for (const { id } of context.tables.bodies(kind)) context.record(kind, id, 'delete')
        context.tables.deleteKind(kind)
        continue
      }
      takeGone(context, kind)
      note.run(kind)
    }
    takeRowsOfChanged(context)
  }
  const takeGone = ({ kinds, tables, record }: Context, kind: Kind): void => {
    const gone = prepare(`SELECT id, body FROM entities WHERE kind = ?1
      AND NOT EXISTS (SELECT 1 FROM $ WHERE $.kind = ?1 AND $.id = entities.id) ORDER BY id LIMIT ${step}`)
    const index = kinds.get(kind)
    for (const row of inSteps(() => gone.all(kind) as unknown as { id: string; body: string }[])) {
      if (index) tables.deleteRows(kind, row.id, rowsOf(index, JSON.parse(row.body) as Stored))
      tables.deleteBody(kind, row.id)
      record(kind, row.id, 'delete')
    }
  }
  const takeRowsOfChanged = (context: Context): void => {
    const differing = prepare(`SELECT at, $.kind, $.id, $.body, entity.body AS old FROM $_there JOIN $ USING (at)
      JOIN entities AS entity ON entity.kind = $.kind AND entity.id = $.id
      WHERE NOT same AND at > ? ORDER BY at LIMIT ${step}`)
    const isSame = prepare('UPDATE $_there SET same = 1 WHERE at = ?')
    for (const { at, kind, id, body, old } of after(differing)) {
      const before = JSON.parse(old as string) as Stored
      if (equal(before, JSON.parse(body) as Stored, timesOfWriting)) isSame.run(at)
      else context.tables.deleteRows(kind, id, rowsOf(indexOf(context, kind), before))
    }
  }
  const putChanged = (context: Context): void => {
    const changed = prepare(`SELECT at, kind, id, body FROM $_there JOIN $ USING (at)
      WHERE NOT same AND at > ? ORDER BY at LIMIT ${step}`)
    for (const { kind, id, body } of after(changed)) {
      const expiresAt = expiryOf(context, indexOf(context, kind), JSON.parse(body) as Stored)
      context.tables.updateBody(kind, id, body, expiresAt)
      context.record(kind, id, 'update')
    }
  }
  return {
    add(index, body) {
      const entity = JSON.parse(body) as Stored
      const { kind } = index
      const { id } = entity
      const at = ++size
      const ttl = index.ttl && typeof entity['ttl'] === 'number' ? entity['ttl'] : null
      addBody.run(at, kind, id, ttl, body)
      const rows = rowsOf(index, entity)
      for (const { field, value } of rows.keys) addKey.run(at, kind, field, value, id)
      for (const link of rows.links) addLink.run(at, link.kind, link.id, kind, link.field, id)
      for (const tag of rows.tags) addTag.run(at, tag, kind, id)
    },
    replace,
    drop: () => db.exec(tables.map((table) => `DROP TABLE temp.${table};`).join(' ')),
  }
}

const dangles = 'NOT EXISTS (SELECT 1 FROM $ WHERE $.kind = $_links.to_kind AND $.id = $_links.to_id)'

interface KeyOf {
  readonly at: number
  readonly kind: Kind
  readonly field: string
  readonly value: string
}

interface LinkOf {
  readonly at: number
  readonly field: string
  readonly to_kind: Kind
  readonly to_id: string
}

interface Differing {
  readonly at: number
  readonly kind: Kind
  readonly id: string
  readonly body: string
  /** The body that is there. */
  readonly old?: string
}

/** Every row that a statement gives after a place, read in steps. */
function after(statement: StatementSync): Iterable<Differing> {
  let last = 0
  return inSteps(() => {
    const rows = statement.all(last) as unknown as Differing[]
    last = rows.at(-1)?.at ?? last
    return rows
  })
}

function* inSteps<Row>(read: () => readonly Row[]): Iterable<Row> {
  for (let rows = read(); rows.length > 0; rows = read()) yield* rows
}

/** Whether it went through; not where a constraint does not allow it. */
function isDone(run: () => void): boolean {
  try {
    run()
    return true
  } catch (error) {
    if (sqliteCode(error) === constraint) return false
    throw error
  }
}
