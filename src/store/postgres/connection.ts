/** One connection to the PostgreSQL server: queries in one round trip, with a limit to how long the server may say nothing. */
import { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'

/** Where the database is and who asks. */
export interface Database {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string | undefined
  readonly database: string
  /** The schema of our tables; undefined for what the server's search_path says. */
  readonly schema: string | undefined
  /** How long connecting, or an answer, may take, in ms. */
  readonly timeoutMs: number
  /** Undefined for a connection in clear. */
  readonly ssl: ConnectionOptions | undefined
}

export interface Query {
  readonly text: string
  readonly values?: readonly unknown[]
}

export type Row = Readonly<Record<string, unknown>>

export interface RunOptions {
  /** How long the answer may take, in ms; the connection ends when that is over. The database's own `timeoutMs` when left out. */
  readonly timeoutMs?: number
}

export interface Connection {
  /**
   * Sends queries together and returns the rows of each. Rejects with the first one's error where one fails; those behind it
   * have run then, too, unless a transaction was open.
   */
  run(queries: readonly Query[], options?: RunOptions): Promise<readonly (readonly Row[])[]>
  /** Calls for each notification on a channel that was listened to. */
  onNotification(listener: () => void): void
  /** Ends it at once; whatever waits for an answer is rejected. */
  end(reason?: Error): void
  /** Resolves, with the reason, when the connection is gone. */
  readonly ended: Promise<Error>
  isOver(): boolean
}

/** Connects, unless that is given up; rejects with an error that says where to and why not, and holds no secret. */
export async function connect(database: Database, givenUp?: AbortSignal): Promise<Connection> {
  const socket = new Socket()
  const client = new pg.Client({
    host: database.host,
    port: database.port,
    user: database.user,
    // As a function, lest the client looks for one in files and variables that are not ours.
    password: () => database.password ?? '',
    database: database.database,
    ssl: database.ssl ?? false,
    stream: () => socket,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: 'gibbon',
    pipeline: true,
  })
  client.setTypeParser(pg.types.builtins.INT8, Number)
  const { promise: ended, resolve: resolveEnded } = Promise.withResolvers<Error>()
  let reason: Error | undefined
  client.on('error', (error) => (reason ??= error))
  client.on('end', () => resolveEnded(reason ?? new Error('the server closed the connection')))
  const end = (why = new Error('the connection was closed')) => {
    reason ??= why
    socket.destroy()
  }
  const timer = setTimeout(end, database.timeoutMs, noAnswer(database.timeoutMs))
  const giveUp = () => end()
  givenUp?.addEventListener('abort', giveUp)
  try {
    await client.connect()
  } catch (error) {
    const why = explain(reason ?? error)
    end()
    throw new Error(`cannot connect to ${placeOf(database)}: ${why}`, { cause: error })
  } finally {
    clearTimeout(timer)
    givenUp?.removeEventListener('abort', giveUp)
  }
  return {
    async run(queries, { timeoutMs = database.timeoutMs } = {}) {
      const late = setTimeout(end, timeoutMs, noAnswer(timeoutMs))
      try {
        const sent = queries.map(({ text, values }) => client.query(text, values && [...values]))
        const outcomes = await Promise.allSettled(sent)
        const failed = outcomes.find((outcome) => outcome.status === 'rejected')
        if (failed) throw reason ?? failed.reason
        return outcomes.map((outcome) => (outcome.status === 'fulfilled' ? rowsOf(outcome.value) : []))
      } finally {
        clearTimeout(late)
      }
    },
    onNotification: (listener) => void client.on('notification', listener),
    end,
    ended,
    isOver: () => socket.destroyed,
  }
}

/** The rows of a query; of several in one text, those of the last. */
function rowsOf(result: pg.QueryResult | pg.QueryResult[]): readonly Row[] {
  return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? []
}

/** As an operator knows it: `kong on 127.0.0.1:5432`. */
export const placeOf = ({ host, port, database }: Database): string => `the database ${database} on ${host}:${port}`

const noAnswer = (ms: number) => new Error(`no answer within ${ms / 1000} s`)

/** A failure's SQLSTATE (PostgreSQL's appendix A), or the system's code such as ECONNREFUSED; empty where there is none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** SQLSTATEs that are told apart. */
export const sqlState = { lockNotAvailable: '55P03', undefinedTable: '42P01', integrity: /^23/ } as const

/** What went wrong in words; an error with several causes, as for a name with several addresses, has no message of its own. */
export function explain(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(explain).join('; ')
  return error instanceof Error ? error.message : String(error)
}
