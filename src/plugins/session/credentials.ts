import type { Schema } from '../../schema/field.ts'
import { auto_timestamp_s, uuid } from '../../schema/typedefs.ts'

/** What a session holds, where that is kept in the database. */
export const sessions = {
  name: 'sessions',
  endpoint_key: 'session_id',
  cache_key: ['session_id'],
  ttl: true,
  db_export: false,
  fields: [
    { id: uuid },
    { session_id: { type: 'string', unique: true, required: true, description: "The session's own id." } },
    { expires: { type: 'integer', description: 'When it ends, in seconds since 1970.' } },
    { data: { type: 'string', description: 'What it holds, encrypted.' } },
    { created_at: auto_timestamp_s },
  ],
} as const satisfies Schema

/**
 * Whose a session in the database is, a row for each application that shares it. Kong has the kind, but not in its Admin API: the
 * paths are ours.
 */
export const session_metadatas = {
  name: 'session_metadatas',
  db_export: false,
  $own: true,
  fields: [
    { id: uuid },
    {
      session: {
        type: 'foreign',
        reference: 'sessions',
        required: true,
        on_delete: 'cascade',
        description: 'The session.',
      },
    },
    { sid: { type: 'string', description: "The session's own id, its `session_id`." } },
    { audience: { type: 'string', description: 'The application.' } },
    { subject: { type: 'string', description: 'Whose it is, or the hash of that.' } },
    { created_at: auto_timestamp_s },
  ],
} as const satisfies Schema
