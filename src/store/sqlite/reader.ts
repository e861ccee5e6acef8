import type { DatabaseSync } from 'node:sqlite'
import type { KindIndex } from '../kinds.ts'
import type { Change, Kind, Page, PageRequest, Reader, Stored } from '../store.ts'
import { connectReadOnly } from './file.ts'
import { filteredIds, tagPages } from './page.ts'

/** How often, and how many times after a renewal, a reader looks for a fresh transaction of the same revision. */
const refreshMs = 10
const refreshes = 10

/** Entities that one step of `all` reads. */
const step = 500

/** Where a reader takes the time from (ms since 1970); entities past their time are not seen. */
export interface ReaderOptions {
  readonly now?: () => number
}

/**
 * Opens a reader of its own for this thread; the file must have been prepared by `openStore`.
 *
 * It holds one read transaction, so that whatever it answers is of one revision. A transaction that reads from the
 * write-ahead log keeps that log from being begun anew, so each renewal is soon followed by others that change nothing:
 * a second connection begins a transaction, and takes over if it sees the very same revision.
 * `all` reads in steps, and is to be used up before the next `renew`.
 */
export function openReader(file: string, kinds: readonly KindIndex[], { now = Date.now }: ReaderOptions = {}): Reader {
  const indexes = new Map(kinds.map((index) => [index.kind, index]))
  let held = session(connectReadOnly(file), indexes, now)
  let spare = session(connectReadOnly(file), indexes, now)
  let timer: NodeJS.Timeout | undefined
  let refreshesLeft = 0
  held.begin()

  const refreshLater = () => {
    if (refreshesLeft > 0) timer ??= setTimeout(refresh, refreshMs).unref()
  }
  const refresh = () => {
    timer = undefined
    refreshesLeft--
    if (spare.begin() === held.revision) [held, spare] = [spare, held]
    spare.end()
    refreshLater()
  }
  return {
    get revision() {
      return held.revision
    },
    renew() {
      held.end()
      refreshesLeft = refreshes
      refreshLater()
      return held.begin()
    },
    get: (kind, id) => held.get(kind, id),
    by: (kind, field, value) => held.by(kind, field, value),
    page: (kind, request) => held.page(kind, request),
    *all(kind) {
      let offset: string | undefined
      do {
        const page = held.page(kind, offset === undefined ? { size: step } : { size: step, offset })
        yield* page.entities
        offset = page.offset
      } while (offset !== undefined)
    },
    count: (kind) => held.count(kind),
    tags: (request) => held.tags(request),
    changesSince: (revision) => held.changesSince(revision),
    meta: (name) => held.meta(name),
    close() {
      clearTimeout(timer)
      held.close()
      spare.close()
    },
  }
}

interface Row {
  readonly id: string
  readonly body: string
  readonly expires_at: number | null
}

/** One connection with its transaction and everything that is asked through it. */
function session(db: DatabaseSync, indexes: ReadonlyMap<string, KindIndex>, now: () => number) {
  const begin = db.prepare('BEGIN')
  const commit = db.prepare('COMMIT')
  const revision = db.prepare('SELECT coalesce(max(revision), 0) AS revision FROM changes')
  const byId = db.prepare('SELECT id, body, expires_at FROM entities WHERE kind = ? AND id = ?')
  const byKey = db.prepare(
    `SELECT entities.id, body, expires_at FROM unique_keys JOIN entities ON entities.kind = unique_keys.kind
     AND entities.id = unique_keys.id WHERE unique_keys.kind = ? AND field = ? AND value = ?`,
  )
  const count = db.prepare('SELECT count(*) AS count FROM entities WHERE kind = ?')
  const countLive = db.prepare(
    'SELECT count(*) AS count FROM entities WHERE kind = ? AND (expires_at IS NULL OR expires_at > ?)',
  )
  // An entry of a whole copy stands for all that came before it, and does not tell what that was.
  const oldest = db.prepare(
    "SELECT revision - (operation <> 'copy') AS revision FROM changes ORDER BY changes.revision LIMIT 1",
  )
  const changes = db.prepare('SELECT revision, kind, id, operation FROM changes WHERE revision > ? ORDER BY revision')
  const meta = db.prepare('SELECT value FROM meta WHERE name = ?')
  const following = db.prepare(
    'SELECT id, body, expires_at FROM entities WHERE kind = ? AND id > ? ORDER BY id LIMIT ?',
  )
  const idsOf = filteredIds(db)
  const tagRows = tagPages(db, [...indexes.keys()])

  const entityOf = (row: Row | undefined): Stored | undefined => {
    if (!row) return undefined
    const entity = JSON.parse(row.body) as Stored
    if (row.expires_at === null) return entity
    const msLeft = row.expires_at - now()
    return msLeft > 0 ? { ...entity, ttl: Math.ceil(msLeft / 1000) } : undefined
  }
  const rowsOf = function* (index: KindIndex, request: PageRequest): Iterable<Row> {
    if (request.link || request.tags?.names.length) {
      for (const id of idsOf(index, request)) yield byId.get(index.kind, id) as unknown as Row
      return
    }
    let rows: Row[]
    let last = request.offset ?? ''
    do {
      rows = following.all(index.kind, last, request.size + 1) as unknown as Row[]
      yield* rows
      last = rows.at(-1)?.id ?? ''
    } while (rows.length > request.size)
  }
  const get = (kind: Kind, id: string) =>
    id.isWellFormed() ? entityOf(byId.get(kind, id) as Row | undefined) : undefined

  return {
    revision: 0,
    begin(): number {
      begin.run()
      this.revision = (revision.get() as { revision: number }).revision
      return this.revision
    },
    end(): void {
      // There is none after a renewal that failed.
      if (db.isTransaction) commit.run()
    },
    get,
    by(kind: Kind, field: string, value: string): Stored | undefined {
      if (!indexes.get(kind)?.unique.includes(field)) throw new TypeError(`${kind}.${field} is not a unique field`)
      // A lone surrogate would be read as U+FFFD, and so find the entity whose value has that character.
      return value.isWellFormed() ? entityOf(byKey.get(kind, field, value) as Row | undefined) : undefined
    },
    page(kind: Kind, request: PageRequest): Page {
      const index = indexes.get(kind)
      const entities: Stored[] = []
      if (!index) return { entities }
      for (const row of rowsOf(index, request)) {
        const entity = entityOf(row)
        if (!entity) continue
        if (entities.length === request.size) return { entities, offset: entities.at(-1)?.id ?? '' }
        entities.push(entity)
      }
      return { entities }
    },
    count(kind: Kind): number {
      const row = indexes.get(kind)?.ttl ? countLive.get(kind, now()) : count.get(kind)
      return (row as { count: number }).count
    },
    tags: tagRows,
    changesSince(since: number): readonly Change[] | undefined {
      if (since === this.revision) return []
      const reach = (oldest.get() as { revision: number } | undefined)?.revision
      if (since > this.revision || reach === undefined || since < reach) return undefined
      return (changes.all(since) as unknown as Change[]).map((change) => ({ ...change }))
    },
    meta: (name: string) => (meta.get(name) as { value: string } | undefined)?.value,
    close() {
      db.close()
    },
  }
}
