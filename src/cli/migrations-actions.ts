/** What `gibbon migrations` does, without the talking. */
import type { Settings } from '../config/settings.ts'
import { connect, placeOf } from '../store/postgres/connection.ts'
import { databaseOf } from '../store/postgres/database.ts'
import {
  bootstrap,
  problemOf,
  reset,
  type SchemaState,
  schemaState,
  stepsOf,
  up,
} from '../store/postgres/migrations.ts'

/** How far the shared tables are. */
export interface Look {
  readonly state: SchemaState['is']
  readonly text: string
  readonly executed: readonly string[]
  readonly pending: readonly string[]
}

/** What came of wanting to change them. */
export interface Change {
  readonly done: boolean
  readonly text: string
  /** The steps that were run. */
  readonly ran: readonly string[]
}

export interface SharedTables {
  /** As messages name the database. */
  readonly place: string
  look(): Promise<Look>
  bootstrap(): Promise<Change>
  up(): Promise<Change>
  reset(): Promise<Change>
  close(): void
}

/** Connects to the database of the settings; rejects, in words for people, where that fails. */
export async function connectTables(settings: Settings, timeoutMs: number, lockMs: number): Promise<SharedTables> {
  const database = { ...databaseOf(settings), timeoutMs }
  const connection = await connect(database)
  const place = placeOf(database)
  const ran = (before: SchemaState): Change => {
    const { pending } = stepsOf(before)
    return {
      done: true,
      text: `${place} is ready: ${pending.length === 0 ? 'nothing had to be done' : `ran ${pending.join(', ')}`}`,
      ran: pending,
    }
  }
  const unchanged = (state: SchemaState): Change => ({
    done: false,
    text: problemOf(state, place)?.message ?? '',
    ran: [],
  })
  return {
    place,
    async look() {
      const state = await schemaState(connection, database)
      return { state: state.is, text: problemOf(state, place)?.message ?? `${place} is up to date`, ...stepsOf(state) }
    },
    async bootstrap() {
      const before = await bootstrap(connection, database, lockMs)
      return before.is === 'empty' || before.is === 'current' ? ran(before) : unchanged(before)
    },
    async up() {
      const before = await up(connection, database, lockMs)
      return before.is === 'older' || before.is === 'current' ? ran(before) : unchanged(before)
    },
    async reset() {
      await reset(connection, database, lockMs)
      return { done: true, text: `the tables of Gibbon in ${place} were removed`, ran: [] }
    },
    close: () => connection.end(),
  }
}

/** Makes the tables, or brings them up to date, whichever is needed; returns why that was not possible. */
export async function migrate(settings: Settings): Promise<string | undefined> {
  try {
    const tables = await connectTables(settings, usualTimeoutMs, usualTimeoutMs)
    try {
      await tables.bootstrap()
      const { done, text } = await tables.up()
      return done ? undefined : text
    } finally {
      tables.close()
    }
  } catch (error) {
    return (error as Error).message
  }
}

/** Kong's, in ms. */
const usualTimeoutMs = 60_000
