import type { DatabaseSync } from 'node:sqlite'
import { lockWaitMs } from './file.ts'

/** Commits, or changes in them, after which the write-ahead log is brought over into the file. */
const checkpointCommits = 100
const checkpointChanges = 1000

/** Pages in the write-ahead log from which on it is begun anew: 32 MB. */
const restartPages = 8192

/** How long that waits for readers to let go of the log, in ms; writes wait meanwhile. */
const restartWaitMs = 60

/** Bytes that the log's file may keep when it is begun anew after a large commit. */
const longestIdleLog = 64 * 1024 * 1024

/**
 * Gives what is called after each commit, when its answers are under way: brings the write-ahead log over into the file now
 * and then, and begins it anew once it is long. That waits, for a moment, for readers that still read from it; they let go of
 * it soon after each commit (see `openReader`).
 */
export function checkpoints(db: DatabaseSync) {
  const passive = db.prepare('PRAGMA wal_checkpoint(PASSIVE)')
  const restart = db.prepare('PRAGMA wal_checkpoint(RESTART)')
  let commits = 0
  let changes = 0
  db.exec(`PRAGMA journal_size_limit = ${longestIdleLog}`)

  return (changed: number) => {
    commits++
    changes += changed
    if (commits < checkpointCommits && changes < checkpointChanges) return
    commits = 0
    changes = 0
    try {
      if (Number(passive.get()?.['log'] ?? 0) < restartPages) return
      db.exec(`PRAGMA busy_timeout = ${restartWaitMs}`)
      restart.get()
    } catch {
      // A full or failing disk: the commits are safe in the log, and the next write reports what is wrong.
    } finally {
      db.exec(`PRAGMA busy_timeout = ${lockWaitMs}`)
    }
  }
}
