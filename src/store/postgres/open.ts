import { rmSync } from 'node:fs'
import type { KindIndex } from '../kinds.ts'
import { backupFile } from '../sqlite/backup.ts'
import { prepareFile } from '../sqlite/file.ts'
import { publisher } from '../sqlite/publisher.ts'
import { openReader } from '../sqlite/reader.ts'
import { partsOf, type Part } from '../sqlite/parts.ts'
import { type Change, type Operation, type OwnedStore, untold } from '../store.ts'
import { writing } from '../writing.ts'
import type { Database } from './connection.ts'
import { startCopy, type CopyThread } from './copy-thread.ts'
import type { Followed } from './feed.ts'
import { follow, type Following } from './following.ts'
import { type SentOperation, stampName } from './messages.ts'
import { SchemaProblem } from './migrations.ts'

export interface OpenOptions {
  readonly database: Database
  /** The SQLite file of the local copy; it is created, with its folder, where it is not there, and made anew where it is damaged. */
  readonly file: string
  readonly kinds: readonly KindIndex[]
  /** How many changes the logs keep (default 100,000): who is further behind copies everything afresh. */
  readonly keep?: number
  /** How often the log is looked at though nobody has notified, in ms (default 200). */
  readonly pollMs?: number
  /**
   * How long a write may take, and the database may say nothing, before whoever waits for it is told so, in ms (default 700): with
   * the look that a request to the Admin API begins with, less than a second.
   */
  readonly patienceMs?: number
  /** Told of what nobody waits for (default: a process warning). */
  readonly report?: (error: Error) => void
  /** Told why the database cannot be used, and when it can again. */
  readonly onState?: (problem: Error | undefined) => void
}

/** How long a start that has an older copy to serve waits for the database, in ms. */
const patienceAtStartMs = 2000

/**
 * Opens a store that many nodes share, on PostgreSQL, with a local copy that everything is read from.
 *
 * Where the database cannot be reached, the copy of last time serves, and the store goes on trying. Rejects where there is none,
 * and with a `SchemaProblem` where the shared tables are not there or of another version.
 */
export async function openPostgresStore(options: OpenOptions): Promise<OwnedStore> {
  const {
    database,
    file,
    kinds,
    keep = 100_000,
    pollMs = 200,
    patienceMs = 700,
    report = warn,
    onState = () => {},
  } = options
  prepareCopy(file, report)
  const reader = openReader(file, kinds)
  const published = publisher(reader, report)
  let thread: Promise<CopyThread> | undefined
  let batches = 0

  const followed = (): Followed | undefined => {
    const revision = reader.renew()
    const stamp = reader.meta(stampName)
    return stamp === undefined ? undefined : { revision, stamp }
  }
  const arrived = (revision: number, changes: readonly Change[]) => {
    const told = changes.length > 0 ? changes : [untold(revision)]
    published.committed({ say: 'committed', revision, changes: told, answers: [] })
  }
  const answer = (answers: Parameters<typeof published.committed>[0]['answers']) =>
    published.committed({ say: 'committed', revision: 0, changes: [], answers })

  /**
   * A copy of an operation, so that what is no plain data fails alone, and what waits does not change. Of a million entities some
   * at a time: the connection must be heard meanwhile.
   */
  const copied = async (operation: Operation): Promise<SentOperation> => {
    if (operation.do !== 'replace-all') return structuredClone(operation)
    const parts: Part[] = []
    for (const part of partsOf(operation.entities)) {
      parts.push(part)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return { do: 'replace-all', parts }
  }
  const begin = () =>
    follow({
      database,
      keep,
      pollMs,
      patienceMs,
      mortal: kinds.some(({ ttl }) => ttl),
      followed,
      arrived,
      answer,
      onState,
      copy: () => {
        const died = () => (thread = undefined)
        return (thread ??= startCopy({ file, kinds, keep }, died).catch((error: unknown) => {
          died()
          throw error
        }))
      },
    })
  let following = begin()
  const { write, settled, close } = writing(kinds, async (operations, since) => {
    const begun = performance.now()
    const own: SentOperation[] = []
    for (const operation of operations) own.push(await copied(operation))
    const batch = ++batches
    const answered = published.answerTo(batch)
    // What that has taken is not the database's time.
    following.write(batch, own, since + performance.now() - begun)
    return answered
  })
  const endCopy = async () => {
    await (await thread?.catch(() => undefined))?.close()
  }
  const end = async () => {
    await following.close()
    await published.stop()
    reader.close()
    await endCopy()
  }
  const failure = await startOf(following, followed() !== undefined)
  if (failure) {
    await close(end)
    throw failure
  }
  return {
    reader,
    write,
    onCommit: published.listen,
    reachable: () => following.reachable(),
    refresh: async () => {
      await following.refresh()
      reader.renew()
    },
    backup: (to) => backupFile(file, to),
    release: async () => {
      await settled()
      await following.close()
      await endCopy()
    },
    resume: async () => void (following = begin()),
    look: () => published.look(),
    close: () => close(end),
  }
}

/** Waits until the shared store is followed, or, with a copy to serve, not for long; returns why there is nothing to serve. */
async function startOf({ first }: Following, hasCopy: boolean): Promise<Error | undefined> {
  if (!hasCopy) return first.then((failure) => failure && nothingToServe(failure))
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, patienceAtStartMs)
  const failure = await Promise.race([first, late])
  clearTimeout(timer)
  return failure instanceof SchemaProblem ? failure : undefined
}

const nothingToServe = (failure: Error): Error =>
  failure instanceof SchemaProblem
    ? failure
    : new Error(`${failure.message}; there is no copy of it on this node yet that could serve`, { cause: failure })

/** Nothing is lost with a copy that cannot be used: it is made anew. */
function prepareCopy(file: string, report: (error: Error) => void): void {
  try {
    prepareFile(file)
  } catch (error) {
    report(new Error(`${(error as Error).message}; the local copy is made anew`, { cause: error }))
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true })
    prepareFile(file)
  }
}

const warn = (error: Error) => process.emitWarning(error)
