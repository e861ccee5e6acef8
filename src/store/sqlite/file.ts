import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { applicationId, migrations } from './tables.ts'

/** How long a connection waits for another one's lock before it gives up, in ms. */
export const lockWaitMs = 5000

/** Files up to this many bytes are checked wholly when they are opened; a larger one would hold up the start. */
const checkedWhole = 8 * 1024 * 1024

/**
 * Makes `file` ready for readers and the writer: creates it (0600, its folder 0700), refuses what is not ours, damaged or
 * newer, and brings older tables up to date. Throws an error that names the file; what the file holds is never given up.
 */
export function prepareFile(file: string): void {
  const created = createPrivate(file)
  try {
    const db = new DatabaseSync(file, { timeout: lockWaitMs })
    try {
      refuseForeign(db)
      refuseNewer(db)
      keepTemporaryFiles(db, file)
      tune(db)
      migrate(db)
      refuseDamaged(db, file)
    } finally {
      db.close()
    }
  } catch (error) {
    throw new Error(`cannot use the store ${file}: ${explain(error)}`, { cause: error })
  }
  if (created) syncFolder(file)
}

/** A connection for the writer: every commit waits for the disk. Checkpoints are the writer's own business. */
export function connect(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: lockWaitMs })
  try {
    tune(db)
  } catch (error) {
    db.close()
    throw error
  }
  return db
}

/** A connection that cannot write. */
export function connectReadOnly(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { readOnly: true, timeout: lockWaitMs })
  db.exec('PRAGMA cache_size = -8192')
  return db
}

// What is deleted is overwritten: a secret that was replaced, or sealed, is not to lie on in a free page, or in a backup.
function tune(db: DatabaseSync): void {
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -65536; ' +
      // Temporary files have no name from the beginning, and nobody keeps copies of them.
      'PRAGMA secure_delete = ON; PRAGMA temp.secure_delete = OFF; PRAGMA temp.cache_size = -65536',
  )
}

/**
 * What does not fit into memory lies beside the store, where there is room for it and nobody else looks. It holds for the whole
 * process (https://sqlite.org/pragma.html#pragma_temp_store_directory), and must not be changed while threads use it.
 */
function keepTemporaryFiles(db: DatabaseSync, file: string): void {
  if (db.prepare('PRAGMA temp_store_directory').get() !== undefined) return
  db.exec(`PRAGMA temp_store_directory = '${dirname(file).replaceAll("'", "''")}'`)
}

const explanations: Readonly<Record<number, string>> = {
  5: 'another process holds its lock',
  6: 'another process holds its lock',
  8: 'it cannot be written to',
  10: 'the disk reports an error',
  11: 'it is damaged; it was left as it is, restore a backup',
  13: 'the disk is full; nothing was written and nothing was lost',
  14: 'it cannot be opened',
  26: 'it is not a file of Gibbon; it was left as it is',
}

/** What a failure of SQLite means, in words for the operator. */
export function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const meaning = explanations[sqliteCode(error)]
  return meaning ? `${meaning} (${message})` : message
}

/** SQLite's primary result code (https://sqlite.org/rescode.html), or -1 where the error is not SQLite's. */
export function sqliteCode(error: unknown): number {
  if (!(error instanceof Error) || !('errcode' in error)) return -1
  return Number(error.errcode) & 0xff
}

/** Creates an empty file that only its owner may read, and says whether it was not there; an existing one is made private. */
export function createPrivate(file: string): boolean {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  // An existing file must not be opened and closed here: POSIX would drop the locks SQLite holds on it in this process.
  if (existsSync(file)) {
    if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600)
    return false
  }
  closeSync(openSync(file, 'wx', 0o600))
  return true
}

/** Makes a new file's name as durable as its content. */
export function syncFolder(file: string): void {
  const folder = openSync(dirname(file), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

function refuseForeign(db: DatabaseSync): void {
  const id = pragma(db, 'application_id')
  const { tables } = db.prepare('SELECT count(*) AS tables FROM sqlite_schema').get() as { tables: number }
  if (id === applicationId || (id === 0 && tables === 0)) return
  throw new Error('it is a database of another program')
}

function refuseNewer(db: DatabaseSync): void {
  const version = pragma(db, 'user_version')
  if (version <= migrations.length) return
  throw new Error(
    `it was written by a newer Gibbon (store version ${version}, this one knows ${migrations.length}); it was left as it is`,
  )
}

function migrate(db: DatabaseSync): void {
  const version = pragma(db, 'user_version')
  if (version === migrations.length) return
  db.exec('BEGIN IMMEDIATE')
  try {
    for (const step of migrations.slice(version)) db.exec(step)
    db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${migrations.length}; COMMIT`)
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

function refuseDamaged(db: DatabaseSync, file: string): void {
  if (statSync(file).size > checkedWhole) return
  const { quick_check: found } = db.prepare('PRAGMA quick_check(1)').get() as { quick_check: string }
  if (found !== 'ok') throw new Error(`it is damaged; it was left as it is, restore a backup (${found})`)
}

function pragma(db: DatabaseSync, name: string): number {
  const row = db.prepare(`PRAGMA ${name}`).get() as Record<string, number>
  return row[name] ?? 0
}
