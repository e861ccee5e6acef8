import pg from 'pg'

/**
 * The shared tables, as steps from each version of them to the next; `gibbon_head` says how many a database has been through.
 * A released step is never edited: a change of the tables is a new step at the end. Names bear a prefix, because other
 * programs' tables, Kong's among them, may stand in the same schema.
 *
 * They hold what a node cannot work out by itself. Tags are read from the local copies alone, which take them from the bodies.
 * Texts are compared by their bytes (`COLLATE "C"`), as SQLite does.
 */
export const migrations: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: '001_entities_and_log',
    sql: `
    -- One row. Whoever writes locks it first, so that revisions are given in the order of the commits.
    CREATE TABLE $.head (
      one boolean PRIMARY KEY DEFAULT true CHECK (one),
      version integer NOT NULL,
      revision bigint NOT NULL
    );

    -- Named values stand here, too, as the kind meta.
    CREATE TABLE $.entities (
      kind text COLLATE "C" NOT NULL,
      id text COLLATE "C" NOT NULL,
      body text NOT NULL,
      -- ms since 1970, by this server's clock.
      expires_at bigint,
      PRIMARY KEY (kind, id)
    );
    CREATE INDEX gibbon_entities_by_expiry ON $.entities (expires_at) WHERE expires_at IS NOT NULL;

    -- The digest is SHA-256 of the value: an index takes no long values.
    CREATE TABLE $.unique_keys (
      kind text COLLATE "C" NOT NULL,
      field text COLLATE "C" NOT NULL,
      digest bytea NOT NULL,
      id text COLLATE "C" NOT NULL,
      PRIMARY KEY (kind, field, digest),
      FOREIGN KEY (kind, id) REFERENCES $.entities DEFERRABLE INITIALLY DEFERRED
    );
    CREATE INDEX gibbon_unique_keys_by_id ON $.unique_keys (kind, id);

    CREATE TABLE $.links (
      to_kind text COLLATE "C" NOT NULL,
      to_id text COLLATE "C" NOT NULL,
      kind text COLLATE "C" NOT NULL,
      field text COLLATE "C" NOT NULL,
      id text COLLATE "C" NOT NULL,
      PRIMARY KEY (to_kind, to_id, kind, field, id),
      FOREIGN KEY (to_kind, to_id) REFERENCES $.entities DEFERRABLE INITIALLY DEFERRED,
      FOREIGN KEY (kind, id) REFERENCES $.entities DEFERRABLE INITIALLY DEFERRED
    );
    CREATE INDEX gibbon_links_by_id ON $.links (kind, id);

    -- The stamp is the transaction's own: by it a follower knows that the log is still the one that it has followed, and not
    -- that of another database or of an older backup.
    CREATE TABLE $.changes (
      revision bigint PRIMARY KEY,
      kind text NOT NULL,
      id text NOT NULL,
      operation text NOT NULL,
      stamp text NOT NULL
    );
    INSERT INTO $.head (version, revision) VALUES (0, 0);
    INSERT INTO $.changes (revision, kind, id, operation, stamp) VALUES (0, '', '', 'mark', $STAMP);
    `,
  },
]

/** Our tables by the names that SQL has them under before `inSchema`. */
export const tableNames = ['$.changes', '$.links', '$.unique_keys', '$.entities', '$.head'] as const

/** Puts tables into their schema: `$.head` becomes `"kong".gibbon_head`, or `gibbon_head` where the search_path tells. */
export function inSchema(schema: string | undefined, sql: string): string {
  return sql.replaceAll('$.', schema === undefined ? 'gibbon_' : `${pg.escapeIdentifier(schema)}.gibbon_`)
}

/** What every writer notifies, so that followers look at once. */
export const channel = 'gibbon_changes'
