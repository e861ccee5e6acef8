/** How the shared store's content comes into the local copy: change by change, or all of it. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { KindIndex } from '../kinds.ts'
import { rowsOf } from '../sqlite/rows.ts'
import type { Statements } from '../sqlite/statements.ts'
import type { Stored } from '../store.ts'
import type { Fed, FedChange } from './messages.ts'

/** The operation of the log's first entry after everything was copied: whoever has read less reads everything afresh. */
const copied = 'copy'

/**
 * Everything here happens in an open transaction. The content was checked where it was written, and comes in any order: a
 * unique value that has moved may be put before its old bearer lets go of it.
 */
export function copying(db: DatabaseSync, tables: Statements, indexes: ReadonlyMap<string, KindIndex>) {
  const putKey = db.prepare('INSERT OR REPLACE INTO unique_keys (kind, field, value, id) VALUES (?, ?, ?, ?)')
  let takeKey: StatementSync | undefined
  let takeLink: StatementSync | undefined
  let takeTag: StatementSync | undefined
  const record = db.prepare('INSERT INTO changes (revision, kind, id, operation) VALUES (?, ?, ?, ?)')

  const clear = (kind: string, id: string) => {
    const body = tables.body(kind, id)
    const index = indexes.get(kind)
    if (body === undefined || !index) return
    tables.deleteRows(kind, id, rowsOf(index, JSON.parse(body) as Stored))
    tables.deleteBody(kind, id)
  }
  const put = ({ kind, id, body, expiresAt }: Fed) => {
    if (kind === 'meta') return tables.setMeta(id, body)
    const index = indexes.get(kind)
    clear(kind, id)
    // A kind that a newer version has brought, and this one knows nothing of.
    if (body === null || !index) return
    const { keys, links, tags } = rowsOf(index, JSON.parse(body) as Stored)
    tables.insertBody(kind, id, body, expiresAt)
    for (const { field, value } of keys) putKey.run(kind, field, value, id)
    tables.insertRows(kind, id, { keys: [], links, tags })
  }
  return {
    follow(changes: readonly FedChange[]): undefined {
      const last = new Map(changes.map((change) => [`${change.kind} ${change.id}`, change]))
      for (const change of last.values()) put(change)
      for (const { revision, kind, id, operation } of changes) record.run(revision, kind, id, operation)
    },
    /** Forgets everything, and prepares to take what comes. */
    forget(): undefined {
      db.exec(`
        DELETE FROM entities; DELETE FROM unique_keys; DELETE FROM links; DELETE FROM tags; DELETE FROM changes;
        DELETE FROM meta;
        CREATE TEMP TABLE IF NOT EXISTS keys_taken (kind, field, value, id);
        CREATE TEMP TABLE IF NOT EXISTS links_taken (to_kind, to_id, kind, field, id);
        CREATE TEMP TABLE IF NOT EXISTS tags_taken (tag, kind, id);
        DELETE FROM keys_taken; DELETE FROM links_taken; DELETE FROM tags_taken`)
      takeKey ??= db.prepare('INSERT INTO keys_taken (kind, field, value, id) VALUES (?, ?, ?, ?)')
      takeLink ??= db.prepare('INSERT INTO links_taken (to_kind, to_id, kind, field, id) VALUES (?, ?, ?, ?, ?)')
      takeTag ??= db.prepare('INSERT INTO tags_taken (tag, kind, id) VALUES (?, ?, ?)')
    },
    /** Takes entities, which come in the order of their ids. */
    take(entities: readonly Fed[]): undefined {
      for (const { kind, id, body, expiresAt } of entities) {
        if (body === null) continue
        if (kind === 'meta') tables.setMeta(id, body)
        const index = indexes.get(kind)
        if (!index) continue
        const { keys, links, tags } = rowsOf(index, JSON.parse(body) as Stored)
        tables.insertBody(kind, id, body, expiresAt)
        for (const { field, value } of keys) takeKey?.run(kind, field, value, id)
        for (const link of links) takeLink?.run(link.kind, link.id, kind, link.field, id)
        for (const tag of tags) takeTag?.run(tag, kind, id)
      }
    },
    /** Puts the small rows in the order of their keys: in the order that they come in, most pages would be written many times. */
    finish(revision: number): undefined {
      db.exec(`
        INSERT INTO unique_keys (kind, field, value, id)
          SELECT kind, field, value, id FROM keys_taken ORDER BY kind, field, value;
        INSERT INTO links (to_kind, to_id, kind, field, id)
          SELECT to_kind, to_id, kind, field, id FROM links_taken ORDER BY to_kind, to_id, kind, field, id;
        INSERT INTO tags (tag, kind, id) SELECT tag, kind, id FROM tags_taken ORDER BY tag, kind, id;
        DELETE FROM keys_taken; DELETE FROM links_taken; DELETE FROM tags_taken`)
      record.run(revision, '', '', copied)
    },
  }
}
