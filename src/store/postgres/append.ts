/** Writing to the shared store: under its lock, with what the local copy says that the batches come to. */
import { randomUUID } from 'node:crypto'
import type { Operation } from '../store.ts'
import type { Query } from './connection.ts'
import type { Expired } from './copy-thread.ts'
import { headOf, newsOf, type Followed, type Head, type News, type Sides } from './feed.ts'
import type { Proposal } from './messages.ts'
import { step } from './statements.ts'

/** How often the server is told that a long write is still worked on, in ms. */
const nudgeMs = 1000

/** How many changes more than asked for may stand in the log before it is cut back. */
const pruneSlack = 1000

/** A write that was begun. Where `news` are no changes to follow first, nothing was begun, and the lock is not held. */
export interface Begun {
  readonly head: Head
  readonly news: News
  readonly expired: Expired
}

/**
 * Takes the shared store's lock and says what others have written meanwhile: with that followed, what is worked out next is
 * worked out from the very content that it will be added to.
 */
export async function beginWrite({ connection, say }: Sides, followed: Followed, mortal: boolean): Promise<Begun> {
  const queries = [...say.lock, say.feed(followed.revision), ...(mortal ? [say.expired] : [])]
  try {
    const [, rows, feed = [], expired = []] = await connection.run(queries)
    const head = headOf(rows)
    const news = newsOf(feed, followed, head)
    if (news.is !== 'changes') await connection.run([say.rollback])
    return { head, news, expired: expired as unknown as Expired }
  } catch (error) {
    await connection.run([say.rollback]).catch(() => undefined)
    throw error
  }
}

/** Has the copy work out what batches come to, however long that takes, while the lock is held. */
export async function work(
  { connection, say, copy }: Sides,
  batches: readonly (readonly Operation[])[],
  expired: Expired,
): Promise<Proposal> {
  const nudging = setInterval(() => void connection.run([say.nudge]).catch(() => undefined), nudgeMs)
  try {
    return await copy.propose(batches, expired)
  } finally {
    clearInterval(nudging)
  }
}

/**
 * Writes a proposal and commits it. Rejects where the server refuses it (then nothing was written), or where the connection is
 * lost (then it may have been).
 */
export async function append({ connection, say }: Sides, { changes, puts }: Proposal, keep: number): Promise<Followed> {
  const stamp = randomUUID()
  const revision = changes.at(-1)?.revision ?? 0
  const before = revision - changes.length
  const logged = changes.slice(-keep)
  const prunes = Math.floor(revision / pruneSlack) > Math.floor(before / pruneSlack)
  // Everything is cleared before anything is put, so that no new unique value meets an old one.
  const parts: Query[][] = [
    ...stepsOf(puts).map(say.clear),
    ...stepsOf(puts).map(say.put),
    ...stepsOf(logged).map((rows) => say.record(rows, stamp)),
    [...say.advance(revision, stamp), ...(prunes ? [say.prune(revision - keep)] : []), say.commit],
  ]
  const long = puts.length > step
  // A small write crosses the wire once.
  for (const queries of long ? parts : [parts.flat()])
    await connection.run(queries, long ? { timeoutMs: longWriteMs } : undefined)
  return { revision, stamp }
}

/** How long one step of a write of many entities may take, checks of all references at its end included, in ms. */
const longWriteMs = 120_000

function stepsOf<T>(rows: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(rows.length / step) }, (_, at) => rows.slice(at * step, (at + 1) * step))
}
