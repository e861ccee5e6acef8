/** What a node does on one connection to the shared store: it follows the log, and writes. */
import type { Change, Written } from '../store.ts'
import { unavailable } from '../writing.ts'
import { append, beginWrite, work } from './append.ts'
import { codeOf, explain, sqlState } from './connection.ts'
import { copyAfresh, followInSteps, headOf, newsOf, type Followed, type Head, type News, type Sides } from './feed.ts'
import type { Proposal, SentOperation } from './messages.ts'
import { problemOf, stateOf } from './migrations.ts'
import { step } from './statements.ts'

export interface Batch {
  readonly batch: number
  readonly operations: readonly SentOperation[]
}

export interface Answer {
  readonly batch: number
  /** An Error stands for a bug met in this batch. */
  readonly result: Written | Error
}

export interface SessionOptions {
  /** As messages name the database. */
  readonly place: string
  /** Whether some entities have a time to live. */
  readonly mortal: boolean
  /** How many changes the shared log keeps. */
  readonly keep: number
  /** Told when the copy is at another revision, by which changes; of some that are too many, or not known, by none. */
  readonly arrived: (revision: number, changes: readonly Change[]) => void
  /** Told what batches came to; a batch that has its answer already keeps that. */
  readonly answer: (answers: readonly Answer[]) => void
  /** Waits; when that takes too long, no writes are taken until it is over. */
  readonly patient: <T>(answered: Promise<T>, of: Awaited) => Promise<T>
  /** Those of some batches that nobody has given up waiting for: they, and no others, may be written. Their time stands still now. */
  readonly take: (batches: readonly Batch[]) => readonly Batch[]
  /** Told of batches that are sent to the database, when their time goes on. */
  readonly send: (batches: readonly Batch[]) => void
}

/** Whether the database is waited for, or all that it holds. */
export type Awaited = 'the database' | 'the copy'

export interface Session {
  /** Follows what is new, and deletes what is past its time. */
  look(): Promise<void>
  /** Writes batches in one transaction and answers each. Rejects, with all answered, where the session is over. */
  write(batches: readonly Batch[]): Promise<void>
}

/** Brings the copy to where the shared store is, however far behind or beside it was, and goes on from there. */
export async function openSession(
  sides: Sides,
  before: Followed | undefined,
  { place, mortal, keep, arrived, answer, patient, take, send }: SessionOptions,
): Promise<Session> {
  const { connection, copy, say } = sides
  let followed = await caughtUp(before)

  async function caughtUp(from: Followed | undefined): Promise<Followed> {
    const continued = from && (await followInSteps(sides, from))
    const now = continued ?? (await copyAgain(from))
    if (now.revision !== from?.revision) arrived(now.revision, [])
    return now
  }
  /** The workers tell by its revision that a copy is another one: the shared log's must be beyond all that they have seen. */
  async function copyAgain(from: Followed | undefined): Promise<Followed> {
    if (from) await raiseAbove(sides, from.revision)
    return copyAfresh(sides)
  }
  const adopt = async (news: News): Promise<void> => {
    if (news.is !== 'changes') {
      followed = await patient(caughtUp(followed), 'the copy')
    } else if (news.changes.length > 0) {
      await copy.ask({ do: 'follow', changes: news.changes, commit: news.followed.stamp })
      followed = news.followed
      arrived(followed.revision, news.changes)
    }
  }
  const refuse = (batches: readonly Batch[], result: Written) => answer(batches.map(({ batch }) => ({ batch, result })))
  /** Refuses batches; throws the error where the session cannot go on. */
  const failed = (batches: readonly Batch[], error: unknown, asked: 'nothing' | 'to write'): void => {
    const refusal = asked === 'to write' && connection.isOver() ? unsure : notWritten
    refuse(batches, refusal(explain(error)))
    if (connection.isOver() || !isSqlState(error)) throw error
  }
  const begin = async () => {
    // Of what others wrote meanwhile there may be too much for one step, or more than a log that was cut back tells.
    for (;;) {
      const begun = await patient(beginWrite(sides, followed, mortal), 'the database')
      refuseOtherVersion(begun.head, place)
      await adopt(begun.news)
      if (begun.news.is === 'changes') return begun.expired
    }
  }
  const write = async (sent: readonly Batch[]): Promise<void> => {
    let batches = sent
    let proposal: Proposal
    try {
      const expired = await begin()
      batches = take(sent)
      proposal = await work(
        sides,
        batches.map(({ operations }) => operations),
        expired,
      )
    } catch (error) {
      return failed(sent, error, 'nothing')
    }
    const answers = batches.map(({ batch }, at) => ({ batch, result: proposal.results[at] ?? new Error('no result') }))
    if (proposal.count > 0) return commit(proposal, batches, answers)
    await Promise.all([copy.ask({ do: 'rollback' }), connection.run([say.rollback])])
    answer(answers)
  }
  const commit = async (proposal: Proposal, batches: readonly Batch[], answers: readonly Answer[]): Promise<void> => {
    try {
      const isLong = proposal.puts.size > step
      // One of many entities takes its time.
      if (!isLong) send(batches)
      const appended = append(sides, proposal, keep)
      followed = await (isLong ? appended : patient(appended, 'the database'))
    } catch (error) {
      await copy.ask({ do: 'rollback' }).catch(() => undefined)
      failed(batches, error, 'to write')
      // The copy let pass what the shared tables refuse: it is not what they are.
      if (sqlState.integrity.test(codeOf(error))) followed = await caughtUp(undefined)
      return
    }
    try {
      await copy.ask({ do: 'commit', stamp: followed.stamp })
    } catch (error) {
      refuse(batches, unsure(`this node cannot follow: ${explain(error)}`))
      throw error
    }
    arrived(followed.revision, proposal.count > proposal.changes.length ? [] : proposal.changes)
    answer(answers)
  }
  return {
    async look() {
      const queries = [say.head, say.feed(followed.revision), ...(mortal ? [say.expired] : [])]
      const [rows, feed = [], expired = []] = await patient(connection.run(queries), 'the database')
      const head = headOf(rows)
      refuseOtherVersion(head, place)
      await adopt(newsOf(feed, followed, head))
      if (expired.length > 0) await write([])
    },
    write,
  }
}

/** What refuses a batch that did not come to be sent. */
export const notWritten = (why: string): Written => unavailable(`${why}; nothing was written`)

/** Something may have been written. */
export const unsure = (why: string): Written => ({
  ok: false,
  at: 0,
  error: { code: 'unavailable', message: `${why}; whether this was written is not known`, unsure: true },
})

/** Another Gibbon may have changed the tables while this one was connected. */
function refuseOtherVersion({ version }: Head, place: string): void {
  const problem = problemOf(stateOf(version), place)
  if (problem) throw problem
}

const isSqlState = (error: unknown): boolean => /^[0-9A-Z]{5}$/.test(codeOf(error))

/** Where the shared log ends before a revision, or at it, as after a restored backup, its end is put behind it. */
async function raiseAbove({ connection, say }: Sides, revision: number): Promise<void> {
  const [, rows] = await connection.run(say.lock)
  const isBelow = headOf(rows).revision <= revision
  await connection.run(isBelow ? [...say.raise(revision + 1), say.commit] : [say.rollback])
}
