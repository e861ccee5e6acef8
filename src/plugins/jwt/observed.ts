/** Where what configs in `mode: observe` ask for differs from what is in force, counted by this worker since its start. */

/** A kind of such request. */
export interface Difference {
  /** The plugin's id. */
  readonly plugin: string
  /** What the whole config would do with the request: `refuse` one that went on, or `admit` one that was refused. */
  readonly verdict: 'refuse' | 'admit'
  /** Why it would be, or was, refused, such as `audience`. */
  readonly reason: string
  /** The consumer's name, or its id; empty where there is none. */
  readonly consumer: string
}

export interface Observed extends Difference {
  readonly count: number
}

/** So many different ones are counted apart; the rest are counted together, per reason, lest consumers fill the memory. */
const mostApart = 1000
const others = '(others)'

const counts = new Map<string, Difference & { count: number }>()

/** Counts a request. */
export function countObserved(difference: Difference): void {
  const isApart = counts.size < mostApart || counts.has(keyOf(difference))
  const counted = isApart ? difference : { ...difference, consumer: others }
  const key = keyOf(counted)
  const known = counts.get(key)
  if (known) known.count++
  else counts.set(key, { ...counted, count: 1 })
}

const keyOf = ({ plugin, verdict, reason, consumer }: Difference): string =>
  JSON.stringify([plugin, verdict, reason, consumer])

export const observedCounts = (): Observed[] => [...counts.values()].map((counted) => ({ ...counted }))
