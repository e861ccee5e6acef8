/**
 * Where the time of one request goes: a tree of named parts, each with the ms that it took and the parts within it. Made only for
 * requests that are debugged. Source of the form: Kong's docs, "Debug requests", as answered by Kong 3.10.
 */

interface Part {
  /** In ms; undefined for one that is only a holder of others. */
  total_time?: number
  child?: Record<string, Part>
  [property: string]: unknown
}

interface OpenPart {
  readonly part: Part
  readonly startedAt: number
}

export class Timing {
  readonly #root: Part = {}
  readonly #now: () => number
  #open: OpenPart[] = []

  /** `now`: the present time in ms, with fractions. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Runs a function as the part that lies under these names; a promise that it gives belongs to the part until it is settled. */
  during<T>(names: readonly string[], run: () => T): T {
    const depth = this.#open.length
    for (const name of names) this.#enter(name)
    let outcome: T | undefined
    try {
      outcome = run()
      return outcome instanceof Promise ? (outcome.finally(() => this.#leaveTo(depth)) as T) : outcome
    } finally {
      if (!(outcome instanceof Promise)) this.#leaveTo(depth)
    }
  }

  /** Notes a property of the part that is open, or of the whole where none is. */
  note(property: string, value: unknown): void {
    const part = this.#open.at(-1)?.part ?? this.#root
    part[property] = value
  }

  /** Puts a part in its place that was measured elsewhere. */
  put(
    name: string,
    part: { readonly total_time: number; readonly child?: Record<string, { total_time: number }> },
  ): void {
    childrenOf(this.#root)[name] = part
  }

  /** The ms of the part that lies under these names; undefined where there is none. */
  timeOf(names: readonly string[]): number | undefined {
    let part: Part | undefined = this.#root
    for (const name of names) part = part?.child?.[name]
    return part?.total_time
  }

  /** The names of the parts under these names. */
  partsOf(names: readonly string[]): string[] {
    let part: Part | undefined = this.#root
    for (const name of names) part = part?.child?.[name]
    return Object.keys(part?.child ?? {})
  }

  /** The tree as JSON. What is still open is ended, and marked `dangling`. */
  json(): string {
    const isDangling = this.#open.length > 0
    for (const { part } of this.#open) part['dangling'] = true
    this.#leaveTo(0)
    if (isDangling) this.#root['dangling'] = true
    const own = Object.entries(this.#root.child ?? {}).filter(([name]) => name !== 'upstream')
    const total = own.reduce((sum, [, { total_time = 0 }]) => sum + rounded(total_time), 0)
    const whole = this.#root.child
      ? { ...this.#root, total_time_without_upstream: Number(total.toFixed(2)) }
      : this.#root
    return JSON.stringify(whole, (name, value: unknown) =>
      name === 'total_time' && typeof value === 'number' ? rounded(value) : value,
    )
  }

  #enter(name: string): void {
    const parts = childrenOf(this.#open.at(-1)?.part ?? this.#root)
    const part = (parts[name] ??= {})
    this.#open.push({ part, startedAt: this.#now() })
  }

  #leaveTo(depth: number): void {
    while (this.#open.length > depth) {
      const { part, startedAt } = this.#open.pop() as OpenPart
      part.total_time = (part.total_time ?? 0) + this.#now() - startedAt
    }
  }
}

// Host names and plugins' names are keys: without a prototype none of them means anything.
const childrenOf = (part: Part): Record<string, Part> => (part.child ??= Object.create(null) as Record<string, Part>)

/** To 2 decimals, downwards. */
const rounded = (ms: number): number => Math.floor(ms * 100) / 100
