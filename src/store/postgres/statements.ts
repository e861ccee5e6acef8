/** What is said to the server. */
import { randomUUID } from 'node:crypto'
import type { Query } from './connection.ts'
import type { Cleared, Put } from './messages.ts'
import { channel, inSchema } from './tables.ts'

/** Changes that are read in one step; a follower further behind reads them in several, within one transaction. */
export const step = 1000

/** How long those of other nodes wait for one that has fallen silent in the midst of it, in ms. */
const idleMs = 3000

export type Statements = ReturnType<typeof statements>

/** Every statement, for tables in this schema; a write waits `lockWaitMs` for those of other nodes. */
export function statements(schema: string | undefined, lockWaitMs: number) {
  const sql = (text: string): string => inSchema(schema, text)
  const now = '(extract(epoch FROM clock_timestamp()) * 1000)'
  const head = sql(`SELECT version, revision, ${now}::float8 AS now FROM $.head`)
  const feed = sql(`
    SELECT revision, change.kind, change.id, operation, stamp, body, expires_at
    FROM $.changes AS change LEFT JOIN $.entities AS entity ON entity.kind = change.kind AND entity.id = change.id
    WHERE revision >= $1 ORDER BY revision`)
  const removed = sql(`
    WITH gone AS (SELECT * FROM unnest($1::text[], $2::text[]) AS gone(kind, id)),
      keys AS (DELETE FROM $.unique_keys AS key USING gone WHERE key.kind = gone.kind AND key.id = gone.id)
    DELETE FROM $.links AS link USING gone WHERE link.kind = gone.kind AND link.id = gone.id`)
  const deleted = sql(`
    DELETE FROM $.entities AS entity USING unnest($1::text[], $2::text[]) AS gone(kind, id)
    WHERE entity.kind = gone.kind AND entity.id = gone.id`)
  const put = sql(`
    INSERT INTO $.entities (kind, id, body, expires_at)
    SELECT kind, id, body, ${now}::bigint + ms_left
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS put(kind, id, body, ms_left)
    ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body, expires_at = excluded.expires_at`)
  const keys = sql(`
    INSERT INTO $.unique_keys (kind, field, digest, id)
    SELECT kind, field, decode(digest, 'hex'), id
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS key(kind, field, digest, id)`)
  const links = sql(`
    INSERT INTO $.links (to_kind, to_id, kind, field, id)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])`)
  const changes = sql(`
    INSERT INTO $.changes (revision, kind, id, operation, stamp)
    SELECT revision, kind, id, operation, $5
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS change(revision, kind, id, operation)`)
  const advance = sql('UPDATE $.head SET revision = $1')
  const prune = sql('DELETE FROM $.changes WHERE revision <= $1')
  const mark = sql(`INSERT INTO $.changes (revision, kind, id, operation, stamp) VALUES ($1, '', '', 'mark', $2)`)
  const expired = sql(`SELECT kind, id FROM $.entities WHERE expires_at <= ${now} LIMIT ${step}`)
  const everything = sql(`
    DECLARE everything NO SCROLL CURSOR FOR
    SELECT kind, id, body, expires_at FROM $.entities ORDER BY kind, id`)
  const analyze = sql('ANALYZE $.entities, $.unique_keys, $.links, $.changes')
  const stamp = sql('SELECT stamp FROM $.changes JOIN $.head USING (revision)')
  const lock = sql(`BEGIN; SET LOCAL lock_timeout = ${lockWaitMs};
    SET LOCAL idle_in_transaction_session_timeout = ${idleMs};
    SELECT 1 FROM $.head FOR UPDATE`)
  const plain = (text: string): Query => ({ text })

  return {
    listen: plain(`LISTEN ${channel}`),
    // Where the server's own default would acknowledge before it is durable.
    durable: plain(
      `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`,
    ),
    head: plain(head),
    /** The log from the change of this revision on, each with what its entity is now. */
    feed: (revision: number): Query => ({ text: `${feed} LIMIT ${step + 1}`, values: [revision] }),
    expired: plain(expired),
    commit: plain('COMMIT'),
    rollback: plain('ROLLBACK'),
    /** Begins a write: from here on nobody else's is committed, until this one's end or until it was idle for too long. */
    lock: [plain(lock), plain(head)] as const,
    /** Nothing, lest the transaction counts as idle. */
    nudge: plain('SELECT 1'),
    /** One moment's content, to be fetched in steps. */
    beginReading: plain('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'),
    feedInSteps: (revision: number): Query => ({
      text: `DECLARE feed NO SCROLL CURSOR FOR ${feed.replace('$1', String(revision))}`,
    }),
    everythingInSteps: plain(everything),
    fetch: (cursor: 'feed' | 'everything'): Query => plain(`FETCH ${step} FROM ${cursor}`),
    stamp: plain(stamp),
    /** Takes all of these entities' rows out of the way, and those that are gone themselves. */
    clear: (rows: readonly Cleared[]): Query[] => {
      const gone = rows.filter(({ isGone }) => isGone)
      return [
        { text: removed, values: columns(rows, ['kind', 'id']) },
        ...(gone.length > 0 ? [{ text: deleted, values: columns(gone, ['kind', 'id']) }] : []),
      ]
    },
    put: (puts: readonly Put[]): Query[] => {
      const there = puts.filter(({ body }) => body !== null)
      const rows = {
        keys: there.flatMap(({ kind, id, keys }) => keys.map((key) => ({ kind, id, ...key }))),
        links: there.flatMap(({ kind, id, links }) => links.map((link) => ({ kind, id, ...link }))),
      }
      return [
        ...some(put, there, ['kind', 'id', 'body', 'msLeft']),
        ...some(keys, rows.keys, ['kind', 'field', 'digest', 'id']),
        ...some(links, rows.links, ['toKind', 'toId', 'kind', 'field', 'id']),
      ]
    },
    record: (rows: readonly Recorded[], stamp: string): Query[] => [
      { text: changes, values: [...columns(rows, ['revision', 'kind', 'id', 'operation']), stamp] },
    ],
    advance: (revision: number, stamp: string): Query[] => [
      { text: advance, values: [revision] },
      { text: 'SELECT pg_notify($1, $2)', values: [channel, stamp] },
    ],
    /** Tells the planner what the tables are now; until autovacuum did, every look would go through all of them. */
    analyze: plain(analyze),
    prune: (revision: number): Query => ({ text: prune, values: [revision] }),
    /** Puts the log's end beyond a revision that it never had, or has no longer. */
    raise: (revision: number): Query[] => [
      { text: advance, values: [revision] },
      { text: mark, values: [revision, randomUUID()] },
    ],
  }
}

interface Recorded {
  readonly revision: number
  readonly kind: string
  readonly id: string
  readonly operation: string
}

function some<Row extends object>(text: string, rows: readonly Row[], names: readonly (keyof Row)[]): Query[] {
  return rows.length > 0 ? [{ text, values: columns(rows, names) }] : []
}

/** Rows as arrays, one for each column. */
function columns<Row extends object>(rows: readonly Row[], names: readonly (keyof Row)[]): unknown[][] {
  return names.map((name) => rows.map((row) => row[name]))
}
