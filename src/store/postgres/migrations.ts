/** The state of the shared tables, and how it is changed: what `gibbon migrations` does, and what a node looks at before it reads. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { codeOf, sqlState, type Connection, type Database } from './connection.ts'
import { inSchema, migrations, tableNames } from './tables.ts'

/** How far a database is: it has no tables of ours, or has been through the first `version` steps. */
export type SchemaState =
  | { readonly is: 'empty' }
  | { readonly is: 'older' | 'current' | 'newer'; readonly version: number }

/** The newest version that this Gibbon knows. */
export const newestVersion = migrations.length

/** Steps that a database of this version has been through, and those that it has not. */
export const stepsOf = (
  state: SchemaState,
): { readonly executed: readonly string[]; readonly pending: readonly string[] } => {
  const version = state.is === 'empty' ? 0 : state.version
  const names = migrations.map(({ name }) => name)
  return { executed: names.slice(0, version), pending: names.slice(version) }
}

/** The shared tables cannot be used as they are; the message says what to do. */
export class SchemaProblem extends Error {}

/** What has to be done before a node may use tables in this state; undefined where nothing has. */
export function problemOf(state: SchemaState, place: string): SchemaProblem | undefined {
  switch (state.is) {
    case 'current':
      return undefined
    case 'empty':
      return new SchemaProblem(`${place} has no tables of Gibbon yet: run gibbon migrations bootstrap`)
    case 'older':
      return new SchemaProblem(
        `${place} needs new migrations (it is at version ${state.version}, this Gibbon at ${newestVersion}): run gibbon migrations up`,
      )
    case 'newer':
      return new SchemaProblem(
        `${place} was brought up to date by a newer Gibbon (it is at version ${state.version}, this one knows ${newestVersion}): start that version; nothing was changed`,
      )
  }
}

/** A version as a state. */
export function stateOf(version: number): SchemaState {
  return { is: version < newestVersion ? 'older' : version > newestVersion ? 'newer' : 'current', version }
}

/** Looks how far the database is. */
export async function schemaState(connection: Connection, { schema }: Database): Promise<SchemaState> {
  try {
    const [rows] = await connection.run([{ text: inSchema(schema, 'SELECT version FROM $.head') }])
    return stateOf(Number(rows?.[0]?.['version'] ?? 0))
  } catch (error) {
    if (codeOf(error) === sqlState.undefinedTable) return { is: 'empty' }
    throw error
  }
}

/** Makes the tables, in a schema that is made, too, where it is not there; nothing happens where they are there. */
export async function bootstrap(connection: Connection, database: Database, timeoutMs: number): Promise<SchemaState> {
  return locked(connection, database, timeoutMs, async () => {
    const [rows] = await connection.run([{ text: 'SHOW server_encoding' }])
    const encoding = rows?.[0]?.['server_encoding']
    if (encoding !== 'UTF8')
      throw new SchemaProblem(`the database has the encoding ${String(encoding)}; it has to be one with UTF8`)
    const state = await schemaState(connection, database)
    if (state.is !== 'empty') return state
    if (database.schema !== undefined)
      await connection.run([{ text: `CREATE SCHEMA IF NOT EXISTS ${pg.escapeIdentifier(database.schema)}` }])
    await advance(connection, database, 0, timeoutMs)
    return state
  })
}

/** Runs the steps that the database has not been through. Returns how far it was. */
export async function up(connection: Connection, database: Database, timeoutMs: number): Promise<SchemaState> {
  return locked(connection, database, timeoutMs, async () => {
    const state = await schemaState(connection, database)
    if (state.is === 'older') await advance(connection, database, state.version, timeoutMs)
    return state
  })
}

/** Removes our tables with all that is in them; other programs' tables, and the schema, stay. */
export async function reset(connection: Connection, database: Database, timeoutMs: number): Promise<void> {
  await locked(connection, database, timeoutMs, async () => {
    await connection.run([{ text: inSchema(database.schema, `DROP TABLE IF EXISTS ${tableNames.join(', ')}`) }], {
      timeoutMs,
    })
  })
}

/** All steps in one transaction, writers shut out: the tables are of one version or of another, never between. */
async function advance(connection: Connection, { schema }: Database, from: number, timeoutMs: number): Promise<void> {
  const text = [
    'BEGIN',
    ...(from > 0 ? ['SELECT 1 FROM $.head FOR UPDATE'] : []),
    ...migrations.slice(from).map(({ sql }) => sql.replaceAll('$STAMP', `'${randomUUID()}'`)),
    `UPDATE $.head SET version = ${newestVersion}`,
    'COMMIT',
  ].join(';\n')
  await connection.run([{ text: inSchema(schema, text) }], { timeoutMs })
}

/** The key of the lock that keeps two from changing the tables at once: "GIBB". */
const lockKey = 0x47494242

async function locked<T>(
  connection: Connection,
  { timeoutMs: answerMs }: Database,
  timeoutMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const lock = { text: `SET lock_timeout = ${timeoutMs}; SELECT pg_advisory_lock(${lockKey})` }
  await connection.run([lock], { timeoutMs: timeoutMs + answerMs })
  try {
    return await work()
  } finally {
    await connection.run([{ text: `SELECT pg_advisory_unlock(${lockKey})` }]).catch(() => undefined)
  }
}
