import type { DatabaseSync } from 'node:sqlite'
import type { KindIndex } from '../kinds.ts'
import type { Change, Operation, Written } from '../store.ts'
import { unavailable } from '../writing.ts'
import { explain, sqliteCode } from './file.ts'
import { apply, remove, type Context } from './operations.ts'
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
  readonly now: () => number
}

/**
 * Gives a function that applies several batches in one durable transaction, each wholly or not at all, on this connection.
 * What the disk or the file refuses makes the result of every batch concerned `unavailable`; it never throws.
 */
export function groupCommit(db: DatabaseSync, kinds: readonly KindIndex[], options: GroupOptions) {
  const group = openGroup(db, kinds, options)
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
export function openGroup(db: DatabaseSync, kinds: readonly KindIndex[], { keep, now }: GroupOptions) {
  const tables = statements(db)
  const log = changeLog(db, keep)
  const indexes = new Map(kinds.map((index) => [index.kind, index]))
  const context: Context = { kinds: indexes, tables, record: log.record, now }

  /** Runs `work` so that what it did is undone, in the tables and in the log, where it returns an error or throws. */
  const inSavepoint = <T>(work: () => T | undefined): T | undefined => {
    const before = log.length()
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
    const before = log.length()
    try {
      const failure = inSavepoint(() => {
        for (const [at, operation] of operations.entries()) {
          const error = apply(context, operation)
          if (error) return { ok: false, at, error } as const
        }
      })
      return failure ?? { ok: true, revision: log.revision(), changes: log.since(before) }
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
    changes: () => log.since(0),
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

/** The open transaction's changes, numbered from the last revision on, written to the log at its end. */
function changeLog(db: DatabaseSync, keep: number) {
  const last = db.prepare('SELECT coalesce(max(revision), 0) AS revision FROM changes')
  const first = db.prepare('SELECT coalesce(min(revision), 0) AS revision FROM changes')
  const insert = db.prepare('INSERT INTO changes (revision, kind, id, operation) VALUES (?, ?, ?, ?)')
  const prune = db.prepare('DELETE FROM changes WHERE revision <= ?')
  const revisionOf = (statement: typeof last) => (statement.get() as { revision: number }).revision
  let base = 0
  let changes: Change[] = []

  return {
    begin() {
      base = revisionOf(last)
      changes = []
    },
    record: (kind: string, id: string, operation: Change['operation']) => {
      changes.push({ revision: base + changes.length + 1, kind, id, operation })
    },
    length: () => changes.length,
    cut(length: number) {
      changes.length = length
    },
    since: (length: number): readonly Change[] => changes.slice(length),
    revision: () => base + changes.length,
    write() {
      for (const { revision, kind, id, operation } of changes.slice(-keep)) insert.run(revision, kind, id, operation)
      if (changes.length > 0) this.cutBack(base + changes.length)
    },
    /** Forgets all but the newest changes, where it has become too long. */
    cutBack(last: number) {
      if (revisionOf(first) <= last - keep - pruneSlack) prune.run(last - keep)
    },
  }
}
