import type { DatabaseSync } from 'node:sqlite'
import { keyrings } from '../../entities/keyrings.ts'

/** The named value in which a file keeps for which sealing it was last rewritten. */
const cleanedName = '@cleaned'

export interface Cleaning {
  /**
   * Rewrites the file where its secrets were sealed, or sealed anew, since that was last done: pages that the tables were moved
   * about in keep pieces of what stood there. Asked outside of transactions, after each of them; costs a look at one row.
   */
  readonly clean: () => void
  /** Says, in a transaction, that a file that was empty until now holds nothing but what was sealed elsewhere. */
  readonly spare: () => void
}

/** What keeps a file free of the clear text of secrets that are sealed by now, over deaths and restarts as well. */
export function cleaning(db: DatabaseSync): Cleaning {
  const sealing = db.prepare(
    `SELECT body FROM entities
     WHERE kind = '${keyrings.name}' AND body ->> 'complete'
       AND body IS NOT (SELECT value FROM meta WHERE name = '${cleanedName}')`,
  )
  let hasFailed = false
  const put = db.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)')
  const since = () => (sealing.get() as { readonly body: string } | undefined)?.body
  const spare = () => {
    const body = since()
    if (body !== undefined) put.run(cleanedName, body)
  }
  return {
    clean() {
      if (hasFailed || since() === undefined) return
      try {
        db.exec('VACUUM')
        spare()
      } catch {
        // A full disk: what was to go lies on until the next start, and the next write reports what is wrong.
        hasFailed = true
      }
    },
    spare,
  }
}
