/** What configs in `mode: observe` would have refused, counted by this worker since its start. */

export interface Observed {
  /** The plugin's id. */
  readonly plugin: string
  /** The rule that was broken, such as `audience`. */
  readonly reason: string
  /** The consumer's name, or its id. */
  readonly consumer: string
  readonly count: number
}

/** So many different ones are counted apart; the rest are counted together, per reason, lest consumers fill the memory. */
const mostApart = 1000
const others = '(others)'

const counts = new Map<
  string,
  { readonly plugin: string; readonly reason: string; readonly consumer: string; count: number }
>()

/** Counts a request that would have been refused. */
export function countObserved(plugin: string, reason: string, consumer: string): void {
  const name = counts.size < mostApart || counts.has(keyOf(plugin, reason, consumer)) ? consumer : others
  const key = keyOf(plugin, reason, name)
  const known = counts.get(key)
  if (known) known.count++
  else counts.set(key, { plugin, reason, consumer: name, count: 1 })
}

const keyOf = (plugin: string, reason: string, consumer: string): string => JSON.stringify([plugin, reason, consumer])

export const observedCounts = (): Observed[] => [...counts.values()].map((counted) => ({ ...counted }))
