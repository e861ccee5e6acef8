/**
 * The tables, as steps from each version of them to the next; `PRAGMA user_version` says how many a file has been through.
 * A released step is never edited: a change of the tables is a new step at the end. A step leaves what the version before reads
 * and writes as it is: a process that is replaced by a newer one reads on, and writes again where that one cannot start.
 *
 * `entities` has rowids, so that bodies are appended wherever their id sorts and long ones stay on their page; the small
 * tables have none, so that one search finds all they hold.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE entities (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    expires_at INTEGER
  );
  CREATE UNIQUE INDEX entities_by_id ON entities (kind, id);
  CREATE INDEX entities_by_expiry ON entities (expires_at) WHERE expires_at IS NOT NULL;

  CREATE TABLE unique_keys (
    kind TEXT NOT NULL,
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (kind, field, value)
  ) WITHOUT ROWID;

  CREATE TABLE links (
    to_kind TEXT NOT NULL,
    to_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    field TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (to_kind, to_id, kind, field, id)
  ) WITHOUT ROWID;

  CREATE TABLE tags (
    tag TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (tag, kind, id)
  ) WITHOUT ROWID;
  CREATE INDEX tags_by_id ON tags (id, kind, tag);

  CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    operation TEXT NOT NULL
  );

  CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) WITHOUT ROWID;
  `,
]

/** `PRAGMA application_id` of our files ("GIBB"), by which another program's database is told from ours. */
export const applicationId = 0x47494242
