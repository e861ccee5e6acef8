/** Where a gateway under trial keeps its configuration: a file, its own store, or a PostgreSQL that is started for it. */
import { startPostgres } from '../../test/postgres/server.ts'

const databases = ['off', 'sqlite', 'postgres'] as const
export type Database = (typeof databases)[number]

/** The one that an argument names; throws where there is none. */
export function databaseNamed(name: string): Database {
  const database = databases.find((one) => one === name)
  if (!database) throw new Error(`--database takes ${databases.join(', ')}, not "${name}"`)
  return database
}

export interface OpenDatabase {
  /** What a gateway is told of it. */
  readonly settings: Readonly<Record<string, string>>
  close(): Promise<void>
}

export async function openDatabase(database: Database): Promise<OpenDatabase> {
  if (database !== 'postgres') return { settings: { database }, close: async () => {} }
  const server = await startPostgres()
  const { host, port, user, database: pg_database, schema = '' } = await server.database()
  const place = { pg_host: host, pg_port: String(port), pg_user: user, pg_database, pg_schema: schema }
  return { settings: { database, ...place }, close: () => server.stop() }
}
