/** Keeps a node connected to the shared store, whatever happens to that, and takes this node's writes to it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { backOffMs } from '../../pdk/back-off.ts'
import { connect, explain, placeOf, type Connection, type Database } from './connection.ts'
import type { CopyThread } from './copy-thread.ts'
import type { Followed } from './feed.ts'
import type { SentOperation } from './messages.ts'
import { problemOf, schemaState } from './migrations.ts'
import { notWritten, openSession, unsure, type Answer, type Batch, type SessionOptions } from './session.ts'
import { statements } from './statements.ts'

export interface FollowingOptions extends Pick<SessionOptions, 'mortal' | 'keep' | 'arrived' | 'answer'> {
  readonly database: Database
  /** How often the log is looked at though nobody has notified, in ms. */
  readonly pollMs: number
  /** How long a write may take, and the database may say nothing, before whoever waits for it is told so, in ms. */
  readonly patienceMs: number
  /** The copy's thread, started anew where it has died. */
  readonly copy: () => Promise<CopyThread>
  /** What the copy holds; undefined where it has never held anything. */
  readonly followed: () => Followed | undefined
  /** Told why the database cannot be used, and when it can again; not for each attempt. */
  readonly onState: (problem: Error | undefined) => void
}

export interface Following {
  /** How the first attempt to reach the database and to follow it ended: with an error, or well. */
  readonly first: Promise<Error | undefined>
  /** Whether the database answers and its log is followed. */
  reachable(): boolean
  /**
   * Takes a batch to the shared store; it is answered through `answer`, within `patienceMs` of `since` (as `performance.now()`
   * tells) also where the database is silent, or busy with others.
   */
  write(batch: number, operations: readonly SentOperation[], since: number): void
  /** Resolves when the copy holds all that was committed before the call, or soon, where the database does not say so. */
  refresh(): Promise<void>
  close(): Promise<void>
}

/** How long a refreshment waits for the database before what the copy holds must do, in ms. */
const refreshMs = 200

/** Pauses between attempts to connect, in ms: doubled each time, and shortened by chance, so that nodes do not come all at once. */
const pauses = { firstMs: 100, longestMs: 5000 }

/** A batch that has no answer yet. */
interface Waiting {
  deadline: NodeJS.Timeout
  /** When its time is over, as `performance.now()` tells. */
  readonly endsAt: number
  /** When it was taken; it may be in the database from then on. */
  takenAt: number | undefined
}

export function follow({
  database,
  pollMs,
  patienceMs,
  copy,
  followed,
  onState,
  answer,
  ...options
}: FollowingOptions): Following {
  // Waiting for another node's write ends before the patience of those who wait.
  const say = statements(database.schema, patienceMs * 0.75)
  const place = placeOf(database)
  const { promise: first, resolve: firstEnded } = Promise.withResolvers<Error | undefined>()
  const closing = new AbortController()
  let queue: Batch[] = []
  /** Those who wait for a look that begins after they came. */
  let refreshing: (() => void)[] = []
  let connection: Connection | undefined
  let bell = Promise.withResolvers<void>()
  /** Why no write is taken; undefined while all is well. */
  let problem: Error | undefined = new Error(`${place} has not answered yet`)
  let told = ''

  const busy = 'this node is busy with other writes'
  /** What holds up those who wait just now. */
  let silent = busy
  const waiting = new Map<number, Waiting>()

  const ring = () => bell.resolve()
  const setProblem = (next: Error | undefined) => {
    problem = next
    if (next) refuseQueued(next)
    if (told === (next?.message ?? '')) return
    told = next?.message ?? ''
    onState(next)
  }
  const refuseQueued = ({ message }: Error) => {
    const refused = queue
    queue = []
    refuse(refused, message)
  }
  const refuse = (batches: readonly Batch[], why: string) =>
    answerAll(batches.map(({ batch }) => ({ batch, result: notWritten(why) })))
  const answerAll = (answers: readonly Answer[]) => {
    for (const { batch } of answers) {
      clearTimeout(waiting.get(batch)?.deadline)
      waiting.delete(batch)
    }
    answer(answers)
  }
  /** What was not taken to the database by now is not taken there any more. */
  const giveUp = (batch: number) => {
    const why = problem?.message ?? silent
    queue = queue.filter((queued) => queued.batch !== batch)
    answerAll([{ batch, result: (waiting.get(batch)?.takenAt === undefined ? notWritten : unsure)(why) }])
  }
  const take = (batches: readonly Batch[]): Batch[] =>
    batches.filter(({ batch }) => {
      const waiter = waiting.get(batch)
      clearTimeout(waiter?.deadline)
      if (waiter) waiter.takenAt = performance.now()
      return waiter !== undefined
    })
  const send = (batches: readonly Batch[]) => {
    for (const { batch } of batches) {
      const waiter = waiting.get(batch)
      if (waiter) waiter.deadline = setTimeout(giveUp, Math.max(0, waiter.endsAt - (waiter.takenAt ?? 0)), batch)
    }
  }
  const patient: SessionOptions['patient'] = async (answered, of) => {
    silent =
      of === 'the database' ? `${place} does not answer` : `this node has not yet followed all that ${place} holds`
    const timer = setTimeout(() => setProblem(new Error(silent)), patienceMs)
    try {
      return await answered
    } finally {
      clearTimeout(timer)
      silent = busy
    }
  }
  const waitForBell = async () => {
    const timer = setTimeout(ring, pollMs)
    await bell.promise
    clearTimeout(timer)
    bell = Promise.withResolvers()
  }

  /** Serves for as long as the connection holds; `begun` is called when the log is followed. */
  const serve = async (begun: () => void): Promise<never> => {
    const opened = await connect(database, closing.signal)
    connection = opened
    opened.onNotification(ring)
    void opened.ended.then(ring)
    const missing = problemOf(await schemaState(opened, database), place)
    if (missing) throw missing
    await opened.run([say.durable, say.listen])
    const sides = { connection: opened, say, copy: await copy() }
    const session = await openSession(sides, followed(), { ...options, place, answer: answerAll, patient, take, send })
    begun()
    for (;;) {
      closing.signal.throwIfAborted()
      const batches = queue
      const refreshed = refreshing
      queue = []
      refreshing = []
      await (batches.length > 0 ? session.write(batches) : session.look()).catch((error: unknown) => {
        // Those that know better have their answers.
        refuse(batches, explain(error))
        throw error
      })
      for (const resolve of refreshed) resolve()
      if (batches.length > 0) continue
      if (problem) setProblem(undefined)
      if (queue.length === 0 && refreshing.length === 0) await waitForBell()
    }
  }
  const live = async () => {
    for (let failures = 0; !closing.signal.aborted; failures++) {
      const begun = () => {
        failures = 0
        setProblem(undefined)
        firstEnded(undefined)
      }
      const reason = await serve(begun).catch((error: Error) => error)
      connection?.end()
      if (closing.signal.aborted) return
      setProblem(reason)
      firstEnded(reason)
      await sleep(backOffMs(failures + 1, pauses), undefined, { signal: closing.signal }).catch(() => undefined)
    }
  }
  const lived = live()
  return {
    first,
    reachable: () => problem === undefined,
    write(batch, operations, since) {
      const endsAt = since + patienceMs
      const deadline = setTimeout(giveUp, Math.max(0, endsAt - performance.now()), batch)
      waiting.set(batch, { deadline, endsAt, takenAt: undefined })
      queue.push({ batch, operations })
      if (problem) refuseQueued(problem)
      else ring()
    },
    async refresh() {
      if (problem) return
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, refreshMs)
      refreshing.push(resolve)
      ring()
      await promise
      clearTimeout(timer)
    },
    async close() {
      closing.abort()
      ring()
      connection?.end()
      await lived
    },
  }
}
