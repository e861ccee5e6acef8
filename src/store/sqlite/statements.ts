import type { DatabaseSync } from 'node:sqlite'
import type { KeyRow, LinkRow, Rows } from './rows.ts'

/** The writer's prepared statements, by what they do. */
export function statements(db: DatabaseSync) {
  const body = db.prepare('SELECT body FROM entities WHERE kind = ? AND id = ?')
  const row = db.prepare('SELECT body, expires_at FROM entities WHERE kind = ? AND id = ?')
  const insertBody = db.prepare('INSERT INTO entities (kind, id, body, expires_at) VALUES (?, ?, ?, ?)')
  const updateBody = db.prepare('UPDATE entities SET body = ?, expires_at = ? WHERE kind = ? AND id = ?')
  const rewriteBody = db.prepare('UPDATE entities SET body = ? WHERE kind = ? AND id = ?')
  const deleteBody = db.prepare('DELETE FROM entities WHERE kind = ? AND id = ?')
  const exists = db.prepare('SELECT 1 FROM entities WHERE kind = ? AND id = ?')
  const owner = db.prepare('SELECT id FROM unique_keys WHERE kind = ? AND field = ? AND value = ?')
  const insertKey = db.prepare('INSERT INTO unique_keys (kind, field, value, id) VALUES (?, ?, ?, ?)')
  const deleteKey = db.prepare('DELETE FROM unique_keys WHERE kind = ? AND field = ? AND value = ? AND id = ?')
  const insertLink = db.prepare('INSERT INTO links (to_kind, to_id, kind, field, id) VALUES (?, ?, ?, ?, ?)')
  const deleteLink = db.prepare(
    'DELETE FROM links WHERE to_kind = ? AND to_id = ? AND kind = ? AND field = ? AND id = ?',
  )
  const insertTag = db.prepare('INSERT INTO tags (tag, kind, id) VALUES (?, ?, ?)')
  const deleteTag = db.prepare('DELETE FROM tags WHERE tag = ? AND kind = ? AND id = ?')
  const referrer = db.prepare('SELECT 1 FROM links WHERE to_kind = ? AND to_id = ? AND kind = ? AND field = ? LIMIT 1')
  const referrers = db.prepare(
    'SELECT id FROM links WHERE to_kind = ? AND to_id = ? AND kind = ? AND field = ? ORDER BY id',
  )
  const following = db.prepare('SELECT id, body FROM entities WHERE kind = ? AND id > ? ORDER BY id LIMIT 1000')
  const kinds = db.prepare('SELECT DISTINCT kind FROM entities')
  const expired = db.prepare('SELECT kind, id FROM entities WHERE expires_at <= ?')
  const putMeta = db.prepare(
    'INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  )
  const meta = db.prepare('SELECT value FROM meta WHERE name = ?')
  const dropMeta = db.prepare('DELETE FROM meta WHERE name = ?')

  const ofKind = ['entities', 'unique_keys', 'links', 'tags'].map((table) =>
    db.prepare(`DELETE FROM ${table} WHERE kind = ?`),
  )

  const putKey = (kind: string, id: string, key: Pick<KeyRow, 'field' | 'value'>) =>
    void insertKey.run(kind, key.field, key.value, id)
  const putLink = (kind: string, id: string, link: Omit<LinkRow, 'onDelete'>) =>
    void insertLink.run(link.kind, link.id, kind, link.field, id)
  const putTag = (kind: string, id: string, tag: string) => void insertTag.run(tag, kind, id)
  return {
    body: (kind: string, id: string) => (body.get(kind, id) as { body: string } | undefined)?.body,
    row: (kind: string, id: string) =>
      row.get(kind, id) as { readonly body: string; readonly expires_at: number | null } | undefined,
    insertBody: (kind: string, id: string, text: string, expiresAt: number | null) =>
      void insertBody.run(kind, id, text, expiresAt),
    updateBody: (kind: string, id: string, text: string, expiresAt: number | null) =>
      void updateBody.run(text, expiresAt, kind, id),
    /** Changes a body and leaves its time to live. */
    rewriteBody: (kind: string, id: string, text: string) => void rewriteBody.run(text, kind, id),
    deleteBody: (kind: string, id: string) => void deleteBody.run(kind, id),
    exists: (kind: string, id: string) => exists.get(kind, id) !== undefined,
    /** The id of the entity that has this unique value. */
    owner: (kind: string, field: string, value: string) =>
      (owner.get(kind, field, value) as { id: string } | undefined)?.id,
    insertRows(kind: string, id: string, { keys, links, tags }: Rows) {
      for (const key of keys) putKey(kind, id, key)
      for (const link of links) putLink(kind, id, link)
      for (const tag of tags) putTag(kind, id, tag)
    },
    deleteRows(kind: string, id: string, { keys, links, tags }: Rows) {
      for (const key of keys) deleteKey.run(kind, key.field, key.value, id)
      for (const link of links) deleteLink.run(link.kind, link.id, kind, link.field, id)
      for (const tag of tags) deleteTag.run(tag, kind, id)
    },
    /** Deletes every entity of a kind; costs a look at all links and tags. */
    deleteKind(kind: string) {
      for (const statement of ofKind) statement.run(kind)
    },
    isReferred: (toKind: string, toId: string, kind: string, field: string) =>
      referrer.get(toKind, toId, kind, field) !== undefined,
    referrers: (toKind: string, toId: string, kind: string, field: string) =>
      (referrers.all(toKind, toId, kind, field) as { id: string }[]).map(({ id }) => id),
    kinds: () => (kinds.all() as { kind: string }[]).map(({ kind }) => kind),
    /** Every entity of a kind by its id, in order; what is written meanwhile may or may not be seen. */
    *bodies(kind: string): Iterable<{ readonly id: string; readonly body: string }> {
      let last: string | undefined = ''
      while (last !== undefined) {
        const rows = following.all(kind, last) as unknown as { id: string; body: string }[]
        yield* rows
        last = rows.at(-1)?.id
      }
    },
    expired: (now: number) => expired.all(now) as unknown as { kind: string; id: string }[],
    meta: (name: string) => (meta.get(name) as { value: string } | undefined)?.value,
    setMeta: (name: string, value: string | null) =>
      void (value === null ? dropMeta.run(name) : putMeta.run(name, value)),
  }
}

export type Statements = ReturnType<typeof statements>
