/** Reading the shared store: what was changed since a revision, or all of it, as of one moment. */
import type { Connection, Query, Row } from './connection.ts'
import type { CopyThread } from './copy-thread.ts'
import type { Fed, FedChange } from './messages.ts'
import { step, type Statements } from './statements.ts'

/** The shared store, how to speak to it, and the local copy. */
export interface Sides {
  readonly connection: Connection
  readonly say: Statements
  readonly copy: CopyThread
}

/** What a node knows of the log that it follows: its last change's revision, and the stamp that it bore. */
export interface Followed {
  readonly revision: number
  readonly stamp: string
}

/** The shared store's head, as a query gave it. */
export interface Head {
  readonly version: number
  readonly revision: number
  /** How far the server's clock is ahead of this machine's, in ms. */
  readonly clockAheadMs: number
}

export function headOf(rows: readonly Row[] | undefined): Head {
  const row = rows?.[0]
  if (!row) throw new Error('the table gibbon_head is empty')
  return {
    version: Number(row['version']),
    revision: Number(row['revision']),
    clockAheadMs: Number(row['now']) - Date.now(),
  }
}

/** The changes after what is followed; `lost` where the log does not continue it, `more` where they are too many for one step. */
export type News =
  | { readonly is: 'changes'; readonly changes: readonly FedChange[]; readonly followed: Followed }
  | { readonly is: 'lost' | 'more' }

/** Reads the answer to the query `feed`, whose first row is the change that is known already. */
export function newsOf(rows: readonly Row[], followed: Followed, { clockAheadMs }: Head): News {
  const [anchor, ...rest] = rows
  if (!anchor || !isAnchor(anchor, followed)) return { is: 'lost' }
  if (rows.length > step) return { is: 'more' }
  return { is: 'changes', changes: rest.map((row) => changeOf(row, clockAheadMs)), followed: endOf(rows) ?? followed }
}

const isAnchor = (row: Row, { revision, stamp }: Followed): boolean =>
  row['revision'] === revision && row['stamp'] === stamp

const endOf = (rows: readonly Row[]): Followed | undefined => {
  const last = rows.at(-1)
  return last && { revision: Number(last['revision']), stamp: String(last['stamp']) }
}

const fedOf = (row: Row, clockAheadMs: number): Fed => ({
  kind: String(row['kind']),
  id: String(row['id']),
  body: typeof row['body'] === 'string' ? row['body'] : null,
  expiresAt: typeof row['expires_at'] === 'number' ? Math.round(row['expires_at'] - clockAheadMs) : null,
})

const changeOf = (row: Row, clockAheadMs: number): FedChange => ({
  ...fedOf(row, clockAheadMs),
  revision: Number(row['revision']),
  operation: row['operation'] as FedChange['operation'],
})

/**
 * Brings every change after what is followed into the copy, in steps of one transaction on both sides, however many they are.
 * Returns where the log ends, or undefined, with the copy as it was, where it does not continue what is followed.
 */
export async function followInSteps(sides: Sides, followed: Followed): Promise<Followed | undefined> {
  const { say, copy } = sides
  return reading(sides, say.feedInSteps(followed.revision), 'feed', async (head, steps) => {
    let end: Followed | undefined
    for await (const rows of steps) {
      const changes = end ? rows : rows.slice(1)
      if (!end && !(rows[0] && isAnchor(rows[0], followed))) return undefined
      end = endOf(rows)
      await copy.ask({ do: 'follow', changes: changes.map((row) => changeOf(row, head.clockAheadMs)) })
    }
    if (end) await copy.ask({ do: 'commit', stamp: end.stamp })
    return end
  })
}

/** Makes the copy anew from all there is; readers have the old one until it is whole. Returns the revision that it is of. */
export async function copyAfresh(sides: Sides): Promise<Followed> {
  const { connection, say, copy } = sides
  return reading(sides, say.everythingInSteps, 'everything', async (head, steps) => {
    const [rows] = await connection.run([say.stamp])
    const stamp = String(rows?.[0]?.['stamp'])
    await copy.ask({ do: 'forget' })
    for await (const rows of steps)
      await copy.ask({ do: 'copy', entities: rows.map((row) => fedOf(row, head.clockAheadMs)) })
    await copy.ask({ do: 'finish', revision: head.revision })
    await copy.ask({ do: 'commit', stamp })
    return { revision: head.revision, stamp }
  })
}

/** Reads through a cursor, all as of one moment. Where that fails the copy is as it was. */
async function reading<T>(
  { connection, say, copy }: Sides,
  declare: Query,
  cursor: 'feed' | 'everything',
  work: (head: Head, steps: AsyncIterable<readonly Row[]>) => Promise<T>,
): Promise<T> {
  const [, head] = await connection.run([say.beginReading, say.head, declare])
  const steps = async function* () {
    for (;;) {
      const [rows = []] = await connection.run([say.fetch(cursor)])
      if (rows.length > 0) yield rows
      if (rows.length < step) return
    }
  }
  try {
    return await work(headOf(head), steps())
  } catch (error) {
    await copy.ask({ do: 'rollback' })
    throw error
  } finally {
    await connection.run([say.rollback]).catch(() => undefined)
  }
}
