/** Writing to the shared store: under its lock, with what the local copy says that the batches come to. */
import { randomUUID } from 'node:crypto'
import type { Query } from './connection.ts'
import type { Expired } from './copy-thread.ts'
import { headOf, newsOf, type Followed, type Head, type News, type Sides } from './feed.ts'
import type { Listed, Proposal, SentOperation } from './messages.ts'
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
  batches: readonly (readonly SentOperation[])[],
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
export async function append(sides: Sides, proposal: Proposal, keep: number): Promise<Followed> {
  const { connection, say, copy } = sides
  const { count, changes, cleared, puts } = proposal
  const stamp = randomUUID()
  const revision = changes.at(-1)?.revision ?? 0
  const prunes = Math.floor(revision / pruneSlack) > Math.floor((revision - count) / pruneSlack)
  // Everything is cleared before anything is put, so that no new unique value meets an old one.
  const parts = async function* (): AsyncIterable<Query[]> {
    for await (const rows of stepsOf(cleared, (from) => copy.cleared(from))) yield say.clear(rows)
    for await (const rows of stepsOf(puts, (from) => copy.puts(from))) yield say.put(rows)
    for (let at = 0; at < changes.length; at += step) yield say.record(changes.slice(at, at + step), stamp)
    if (puts.size > step) yield [say.analyze]
    yield [...say.advance(revision, stamp), ...(prunes ? [say.prune(revision - keep)] : []), say.commit]
  }
  if (puts.size > step) {
    const timeoutMs = longWriteMs + puts.size * checkMs
    for await (const queries of parts()) await connection.run(queries, { timeoutMs })
    return { revision, stamp }
  }
  // A small write crosses the wire once.
  const all: Query[] = []
  for await (const queries of parts()) all.push(...queries)
  await connection.run(all)
  return { revision, stamp }
}

/**
 * How long one step of a write of many entities may take, in ms, and how much longer for each entity: the server checks all
 * references in the last one.
 */
const longWriteMs = 120_000
const checkMs = 1

/** A list in steps, each read when the one before is done with. */
async function* stepsOf<Row>({ size, first }: Listed<Row>, read: (from: number) => Promise<readonly Row[]>) {
  if (size > 0) yield first
  for (let at = step; at < size; at += step) yield await read(at)
}
