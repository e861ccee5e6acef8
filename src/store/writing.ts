import type { KindIndex } from './kinds.ts'
import { knowing } from './known.ts'
import type { Operation, Store, Written } from './store.ts'

type Write = (operations: readonly Operation[], since: number) => Promise<Written>

export interface Writing {
  readonly write: Store['write']
  /** Resolves when the writes under way have come to their end. */
  readonly settled: () => Promise<unknown>
  /** Takes no further write, lets those under way come to their end, then runs `end`; however often it is called, once. */
  readonly close: (end: () => Promise<void>) => Promise<void>
}

/** What every store does around its writes. */
export function writing(kinds: readonly KindIndex[], write: Write): Writing {
  const underWay = new Set<Promise<Written>>()
  let closing: Promise<void> | undefined
  const known = knowing(kinds)
  const checked: Write = async (operations, since) => {
    const own = known(operations)
    return closing ? unavailable('the store is closed') : write(own, since)
  }
  const settled = () => Promise.allSettled(underWay)
  const closed = async (end: () => Promise<void>) => {
    await settled()
    await end()
  }
  return {
    write(operations, since = performance.now()) {
      const written = checked(operations, since)
      const done = () => void underWay.delete(written)
      underWay.add(written)
      written.then(done, done)
      return written
    },
    settled,
    close: (end) => (closing ??= closed(end)),
  }
}

/** Nothing was written, since the store cannot be written to. */
export const unavailable = (message: string): Written => ({ ok: false, at: 0, error: { code: 'unavailable', message } })
