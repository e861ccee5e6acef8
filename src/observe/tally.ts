/**
 * How requests went, counted where they are served: a few additions a request, no allocation. What is counted is what Kong's
 * prometheus plugin tells of, so that whoever asks (`gibbon top`, metrics) reads the same numbers.
 */

/**
 * Upper bounds of the latencies counted together, in ms: those of Kong's prometheus plugin, and 0 for less than a whole ms. A last
 * place is for all that is slower.
 */
export const boundsMs: readonly number[] = [
  0, 1, 2, 5, 7, 10, 15, 20, 25, 30, 50, 75, 80, 100, 200, 250, 400, 500, 700, 750, 1000, 2000, 3000, 5000, 6000,
  10_000, 30_000, 60_000,
]

const tableMs = 1000
const placeOf = (ms: number): number => {
  const at = boundsMs.findIndex((bound) => ms <= bound)
  return at < 0 ? boundsMs.length : at
}
/** The places of the latencies that nearly all requests have. */
const places = Uint8Array.from({ length: tableMs + 1 }, (_, ms) => placeOf(ms))

/** Counts as they are sent from a worker to who asks: by status, and by latency with the sum of all ms behind. */
export interface Figures {
  readonly statuses: readonly (readonly [status: number, count: number])[]
  readonly latencies: readonly number[]
  readonly sumMs: number
}

/** Where the sum of all ms stands among the cells, and the count of the first status that there was. */
const sumCell = boundsMs.length + 1
const firstCell = sumCell + 1

export class Tally {
  readonly #cells = new Float64Array(firstCell + 1)
  /** The statuses that there were: most often one alone. */
  #first = -1
  #others: Map<number, number> | undefined

  /** Counts an answer; `ms` is whole. */
  note(status: number, ms: number): void {
    const cells = this.#cells
    // A clock that is set back makes a time negative.
    const place = ms >= 0 && ms <= tableMs ? (places[ms] as number) : ms < 0 ? 0 : placeOf(ms)
    cells[place]!++
    cells[sumCell]! += ms
    if (status === this.#first) cells[firstCell]!++
    else this.#noteOther(status)
  }

  #noteOther(status: number): void {
    if (this.#first < 0) {
      this.#first = status
      this.#cells[firstCell] = 1
      return
    }
    const others = (this.#others ??= new Map<number, number>())
    others.set(status, (others.get(status) ?? 0) + 1)
  }

  figures(): Figures {
    const first: Figures['statuses'] = this.#first < 0 ? [] : [[this.#first, this.#cells[firstCell] ?? 0]]
    return {
      statuses: [...first, ...(this.#others ?? [])],
      latencies: [...this.#cells.subarray(0, sumCell)],
      sumMs: this.#cells[sumCell] ?? 0,
    }
  }
}

export const noFigures: Figures = { statuses: [], latencies: Array.from(boundsMs, () => 0).concat(0), sumMs: 0 }

/** Figures of several workers together; or with `sign` -1 what has come since the other. */
export function together(one: Figures, other: Figures, sign: 1 | -1 = 1): Figures {
  const statuses = new Map(one.statuses)
  for (const [status, count] of other.statuses) statuses.set(status, (statuses.get(status) ?? 0) + sign * count)
  return {
    statuses: [...statuses].filter(([, count]) => count !== 0),
    latencies: one.latencies.map((count, at) => count + sign * (other.latencies[at] ?? 0)),
    sumMs: one.sumMs + sign * other.sumMs,
  }
}

/** How many requests they are of. */
export const countOf = ({ latencies }: Figures): number => latencies.reduce((sum, count) => sum + count, 0)

/**
 * A latency, in ms, that a part `share` (0 to 1) of the requests did not exceed, as an upper bound; 0 for less than 1 ms, Infinity
 * beyond the last bound, undefined where there were none.
 */
export function quantile({ latencies }: Pick<Figures, 'latencies'>, share: number): number | undefined {
  const total = latencies.reduce((sum, count) => sum + count, 0)
  if (total === 0) return undefined
  let seen = 0
  const at = latencies.findIndex((count) => (seen += count) >= share * total && seen > 0)
  return boundsMs[at] ?? Infinity
}
