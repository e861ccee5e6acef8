/** Counts a config's requests on this node, in memory that its workers share. */
import { nodeCounts, type CountTable, type Place } from '../../pdk/counts.ts'
import type { Period } from './schema.ts'
import type { Counted } from './sharing.ts'
import { windowAt, type Window } from './windows.ts'

export interface Limit {
  readonly period: Period
  /** How many requests there may be in a window. */
  readonly most: number
}

/** The ids of the route and the service that a config is limited to. */
export interface Scope {
  readonly route: string
  readonly service: string
}

/** What Kong says in place of an id where there is none. */
const anywhere = '00000000-0000-0000-0000-000000000000'

/** What is counted of a request, with the names that it has in Redis, those of Kong: nodes of both count together. */
export function countedIn(
  {
    route = anywhere,
    service = anywhere,
  }: { readonly route?: string | undefined; readonly service?: string | undefined },
  identifier: string,
  period: Period,
  window: Window,
): Counted {
  const name = `ratelimit:${route}:${service}:${identifier}:${window.start * 1000}:${period}`
  return { name, identifier, route, service, period, window }
}

/** What a worker remembers of an identifier, so that it need not look for its places again. */
interface Known {
  readonly places: Place[]
  readonly windows: Window[]
}

/** Longer identifiers are looked for each time. */
const longest = 128
/** How many identifiers a worker remembers, of all configs together; it then begins anew. */
const mostKnown = 16_384
const filled = new Set<Map<string, Known>>()
let knownCount = 0

function remember(known: Map<string, Known>, identifier: string, one: Known): void {
  if (knownCount >= mostKnown) {
    for (const map of filled) map.clear()
    filled.clear()
    knownCount = 0
  }
  // A text of its own: what a request gives is a slice, which would keep its whole head.
  known.set(Buffer.from(identifier, 'latin1').toString('latin1'), one)
  filled.add(known)
  knownCount++
}

const never: Window = { start: 0, end: 0 }
const nowhere: Place = { cell: 0, tag: 0 }

/** What was counted in each limit's window before a request, and these windows. */
export interface Usage {
  readonly used: readonly number[]
  readonly windows: readonly Window[]
}

interface LimiterOptions {
  readonly limits: readonly Limit[]
  readonly scope: Partial<Scope>
  readonly table?: CountTable
  /** Told of each count when this worker first has to do with it. */
  readonly onCount?: (counted: Counted, place: Place) => void
}

export class Limiter {
  readonly #options: LimiterOptions
  readonly #table: CountTable
  readonly #known = new Map<string, Known>()
  /** What is said of the request at hand. */
  readonly #used: number[]

  constructor(options: LimiterOptions) {
    this.#options = options
    this.#table = options.table ?? nodeCounts()
    this.#used = options.limits.map(() => 0)
  }

  /**
   * Counts a request in every window, or in none where one of them is full. What it gives is good until the next request.
   * `now` is in whole seconds since 1970.
   */
  count(identifier: string, now: number): Usage {
    const { limits } = this.#options
    const used = this.#used
    const { places, windows } = this.#find(identifier, now)
    let isFull = false
    for (let at = 0; at < limits.length; at++) {
      used[at] = this.#table.at(places[at]!)
      isFull ||= used[at]! >= limits[at]!.most
    }
    for (let at = 0; at < limits.length && !isFull; at++) {
      used[at] = this.#table.add(places[at]!, 1)
      if (used[at]! < limits[at]!.most) continue
      // Another worker took the last place since.
      isFull = true
      for (let counted = 0; counted <= at; counted++) this.#table.add(places[counted]!, -1)
    }
    return { used, windows }
  }

  #find(identifier: string, now: number): Known {
    let known = this.#known.get(identifier)
    if (known === undefined) {
      const { limits } = this.#options
      known = { places: limits.map(() => nowhere), windows: limits.map(() => never) }
      if (identifier.length <= longest) remember(this.#known, identifier, known)
    }
    for (let at = 0; at < known.places.length; at++) {
      const { start, end } = known.windows[at]!
      if (now < start || now >= end || !this.#table.holds(known.places[at]!)) this.#place(known, at, identifier, now)
    }
    return known
  }

  #place(known: Known, at: number, identifier: string, now: number): void {
    const { limits, scope, onCount } = this.#options
    const { period } = limits[at]!
    const window = windowAt(period, now)
    const counted = countedIn(scope, identifier, period, window)
    const place = this.#table.placeOf(counted.name, window.end, now)
    known.places[at] = place
    known.windows[at] = window
    onCount?.(counted, place)
  }
}
