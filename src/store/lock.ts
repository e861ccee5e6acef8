import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createPrivate, explain, sqliteCode } from './sqlite/file.ts'

const busy = 5
const timeout = 200

/**
 * Locks a prefix folder (created with mode 0700 where it is not there) against a second instance; throws an error that names
 * the folder and the holder's process id where it is taken.
 *
 * The lock is SQLite's on `gibbon.lock`, which the kernel drops with the process however it ends, so that none is ever stale.
 * The holder stays in a write transaction, in which others may still read its process id.
 */
export function lockPrefix(prefix: string, pid: number = process.pid): { release(): void } {
  const file = join(prefix, 'gibbon.lock')
  createPrivate(file)
  const db = new DatabaseSync(file, { timeout })
  try {
    // Nothing in the file is worth a journal on the disk: the lock itself is the kernel's.
    db.exec('PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; BEGIN IMMEDIATE')
    db.exec('CREATE TABLE IF NOT EXISTS holder (pid INTEGER NOT NULL); DELETE FROM holder')
    db.prepare('INSERT INTO holder (pid) VALUES (?)').run(pid)
    // Whoever comes between these two is then the holder, and this process the one that is refused.
    db.exec('COMMIT; BEGIN IMMEDIATE')
  } catch (error) {
    const reason = sqliteCode(error) === busy ? `it is in use by ${holder(db)}` : `${file}: ${explain(error)}`
    db.close()
    throw new Error(`cannot lock the prefix ${prefix}: ${reason}`, { cause: error })
  }
  return {
    release() {
      if (db.isOpen) db.close()
    },
  }
}

function holder(db: DatabaseSync): string {
  try {
    const row = db.prepare('SELECT pid FROM holder').get() as { pid: number } | undefined
    return row ? `process ${row.pid}` : 'another process'
  } catch {
    return 'another process'
  }
}
