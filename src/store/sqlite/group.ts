import type { DatabaseSync } from 'node:sqlite'
import type { KindIndex } from '../kinds.ts'
import { type Change, type Operation, untold, type Written } from '../store.ts'
import { unavailable } from '../writing.ts'
import { explain, sqliteCode } from './file.ts'
import { apply, remove, type Context } from './operations.ts'
import { openContent } from './replace-all.ts'
import { statements } from './statements.ts'

/** How many changes more than asked for may stand in the log before it is cut back. */
const pruneSlack = 1000

export interface Committed {
  readonly revision: number
  readonly changes: readonly Change[]
  /** One for each batch, in order; an Error stands for a bug met in that batch alone. */
  readonly results: readonly (Written | Error)[]
}

export interface GroupOptions {
  /** How many changes the log keeps. */
  readonly keep: number
  /** How many changes of one batch are told of; of more, the newest of them (default: all). */
  readonly most?: number
  readonly now: () => number
}

/**
 * Gives a function that applies several batches in one durable transaction, each wholly or not at all, on this connection.
 * What the disk or the file refuses makes the result of every batch concerned `unavailable`; it never throws.
 */
export function groupCommit(db: DatabaseSync, kinds: readonly KindIndex[], options: GroupOptions) {
  const group = openGroup(db, kinds, { most: options.keep, ...options })
  const mortal = kinds.some(({ ttl }) => ttl)
  return (batches: readonly (readonly Operation[])[]): Committed => {
    try {
      group.begin()
      if (mortal) group.bury(group.tables.expired(options.now()))
      const results = group.apply(batches)
      group.record()
      group.commit()
      return { revision: group.revision(), changes: group.changes(), results }
    } catch (error) {
      group.rollback()
      return { revision: 0, changes: [], results: batches.map(() => unavailable(explain(error))) }
    }
  }
}

/** A transaction of several batches, step by step, for those who do something else before it is committed. */
export function openGroup(db: DatabaseSync, kinds: readonly KindIndex[], { keep, most = Infinity, now }: GroupOptions) {
  const tables = statements(db)
  const log = changeLog(db, keep, most)
  const indexes = new Map(kinds.map((index) => [index.kind, index]))
  const { record, skip } = log
  const context: Context = { kinds: indexes, tables, record, skip, most, now, openContent: () => openContent(db) }

  /** Runs `work` so that what it did is undone, in the tables and in the log, where it returns an error or throws. */
  const inSavepoint = <T>(work: () => T | undefined): T | undefined => {
    const before = log.mark()
    let done = false
    db.exec('SAVEPOINT batch')
    try {
      const failure = work()
      done = failure === undefined
      return failure
    } finally {
      // After a full disk SQLite may have rolled back everything by itself, savepoints included.
      if (!done) log.cut(before)
      if (db.isTransaction) db.exec(done ? 'RELEASE batch' : 'ROLLBACK TO batch; RELEASE batch')
    }
  }
  const applyBatch = (operations: readonly Operation[]): Written | Error => {
    const before = log.mark()
    try {
      const failure = inSavepoint(() => {
        for (const [at, operation] of operations.entries()) {
          const error = apply(context, operation)
          if (error) return { ok: false, at, error } as const
        }
      })
      return failure ?? { ok: true, revision: log.revision(), ...log.since(before) }
    } catch (error) {
      if (sqliteCode(error) >= 0) throw error
      return error instanceof Error ? error : new Error(String(error))
    }
  }
  return {
    tables,
    begin() {
      db.exec('BEGIN IMMEDIATE')
      log.begin()
    },
    /** Deletes entities whose time is over, with what hangs on them; those that something holds on to stay. */
    bury(expired: readonly { readonly kind: string; readonly id: string }[]) {
      for (const { kind, id } of expired) if (indexes.has(kind)) inSavepoint(() => remove(context, kind, id))
    },
    apply: (batches: readonly (readonly Operation[])[]) => batches.map(applyBatch),
    /** The changes made since `begin`, numbered from the last revision on. */
    changes: () => log.since(start).changes,
    revision: () => log.revision(),
    /** Writes the changes to the log. */
    record: () => log.write(),
    cutBack: (last: number) => log.cutBack(last),
    commit: () => db.exec('COMMIT'),
    rollback() {
      if (db.isTransaction) db.exec('ROLLBACK')
    },
  }
}

/** Where the open transaction's changes stood at a moment: how many are remembered, and how many there were. */
interface Mark {
  readonly remembered: number
  readonly count: number
}

const start: Mark = { remembered: 0, count: 0 }

/** The open transaction's changes, numbered from the last revision on, written to the log at its end. */
function changeLog(db: DatabaseSync, keep: number, most: number) {
  const last = db.prepare('SELECT coalesce(max(revision), 0) AS revision FROM changes')
  const first = db.prepare('SELECT coalesce(min(revision), 0) AS revision FROM changes')
  const insert = db.prepare('INSERT INTO changes (revision, kind, id, operation) VALUES (?, ?, ?, ?)')
  const prune = db.prepare('DELETE FROM changes WHERE revision <= ?')
  const revisionOf = (statement: typeof last) => (statement.get() as { revision: number }).revision
  let base = 0
  let count = 0
  let changes: Change[] = []
  /** The place from which on the oldest may be forgotten: what stands before it is of another batch. */
  let floor = 0

  return {
    begin() {
      base = revisionOf(last)
      count = 0
      changes = []
      floor = 0
    },
    record: (kind: string, id: string, operation: Change['operation']) => {
      changes.push({ revision: base + ++count, kind, id, operation })
      if (changes.length - floor >= 2 * most) changes.splice(floor, changes.length - floor - most)
    },
    skip: (changes: number) => {
      count += changes
    },
    mark(): Mark {
      floor = changes.length
      return { remembered: floor, count }
    },
    cut(mark: Mark) {
      changes.length = mark.remembered
      floor = mark.remembered
      count = mark.count
    },
    /** What has changed since, with one that stands for all that were forgotten, and how many those were. */
    since(mark: Mark): { readonly changes: readonly Change[]; readonly more?: number } {
      const remembered = changes.slice(mark.remembered)
      const more = count - mark.count - remembered.length
      if (more === 0) return { changes: remembered }
      return { changes: [untold(base + mark.count + more), ...remembered], more }
    },
    revision: () => base + count,
    write() {
      const newest = changes.slice(-keep)
      for (const { revision, kind, id, operation } of newest) insert.run(revision, kind, id, operation)
      // What was in the log before is not continued by what is in it now.
      if (newest.length < count) prune.run(base + count - newest.length)
      else if (count > 0) this.cutBack(base + count)
    },
    /** Forgets all but the newest changes, where it has become too long. */
    cutBack(last: number) {
      if (revisionOf(first) <= last - keep - pruneSlack) prune.run(last - keep)
    },
  }
}
