/**
 * Counts that all workers of a node share, each for a time: a table in shared memory, of a fixed size. A name has one of eight cells
 * of one group, found by its hash. Where all are taken, a count whose time is over is forgotten first, then the smallest one. So
 * strangers cannot make the table grow, nor easily push out who is counted often.
 *
 * Counting is exact over all workers. Only where a group has no room for all that is counted in it at the same time may a count
 * begin anew.
 */
import { hash, randomBytes } from 'node:crypto'

/** How many counts a node has room for; as many bytes as Kong's `kong_rate_limiting_counters` has. */
const cells = 1 << 20
const cellsInGroup = 8
const groups = cells / cellsInGroup
const seedBytes = 16
/** A cell is a tag and a count, of 32 bits each. */
const cellBytes = 8
const endBytes = 4

/** No name's tag: of a cell that nothing is counted in. */
const empty = 0
/** A count stays here, so that it cannot begin anew. */
const mostCounted = 0xffff_ff00

/** What a process tells the one that takes its place: the chance in its hashes, then a cell, its tag, count and end for each count. */
const savedWords = 4
/** Of more it tells those that have counted most. */
const mostSaved = 250_000

/**
 * Memory for a node's counts, those of a process before it if that `saved` them. Names are hashed with chance in it, so that nobody
 * can choose names that meet.
 */
export function countMemory(saved: Uint8Array = randomBytes(seedBytes)): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(seedBytes + cells * (cellBytes + endBytes))
  new Uint8Array(memory).set(saved.subarray(0, seedBytes))
  const words = new Int32Array(memory, seedBytes)
  // A copy, which begins where words may.
  const from = new Int32Array(new Uint8Array(saved.subarray(seedBytes)).buffer)
  for (let at = 0; at < from.length; at += savedWords) {
    const [cell = 0, tag = 0, count = 0, end = 0] = from.subarray(at, at + savedWords)
    words.set([count, tag], 2 * cell)
    words[2 * cells + cell] = end
  }
  return memory
}

/** Where a name is counted; good as long as `CountTable.holds` says so. */
export interface Place {
  readonly cell: number
  readonly tag: number
}

export class CountTable {
  readonly #seed: Uint8Array
  /** Cells as they are taken: tag and count in one step. */
  readonly #cells: BigInt64Array
  /** The same memory as it is counted in: each cell's count, then its tag, as processors that put low bytes first have it. */
  readonly #words: Int32Array
  /** When each is forgotten, in seconds since 1970. */
  readonly #ends: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.#seed = new Uint8Array(memory, 0, seedBytes)
    this.#cells = new BigInt64Array(memory, seedBytes, cells)
    this.#words = new Int32Array(memory, seedBytes, 2 * cells)
    this.#ends = new Int32Array(memory, seedBytes + cells * cellBytes, cells)
  }

  /** The place of a name, taken for it where it has none, until `end`; `now` and `end` are in seconds since 1970. */
  placeOf(name: string, end: number, now: number): Place {
    const digest = hash('sha256', Buffer.concat([this.#seed, Buffer.from(name)]), 'buffer')
    const first = (digest.readUInt32LE(0) % groups) * cellsInGroup
    const tag = digest.readInt32LE(4) || 1
    for (;;) {
      const found = this.#cellOf(first, tag)
      if (found >= 0) return { cell: found, tag }
      const cell = this.#leastOf(first, now)
      const before = Atomics.load(this.#cells, cell)
      // What another worker has done since then is looked at anew.
      if (cell !== this.#leastOf(first, now) || this.#cellOf(first, tag) >= 0) continue
      if (Atomics.compareExchange(this.#cells, cell, before, BigInt(tag) << 32n) !== before) continue
      Atomics.store(this.#ends, cell, end)
      return { cell, tag }
    }
  }

  /** The counts whose time is not over, but for those at some places, for `countMemory` of another process. */
  save(now: number, leftOut: readonly Place[]): Buffer {
    const without = new Set(leftOut.map(({ cell }) => cell))
    const isLive = (cell: number) =>
      this.#words[2 * cell + 1] !== empty && this.#ends[cell]! > now && !without.has(cell)
    let live = Array.from({ length: cells }, (_, cell) => cell).filter(isLive)
    if (live.length > mostSaved) {
      live = live.toSorted((one, other) => this.at({ cell: other }) - this.at({ cell: one })).slice(0, mostSaved)
    }
    const saved = new Int32Array(live.length * savedWords)
    for (const [at, cell] of live.entries())
      saved.set([cell, this.#words[2 * cell + 1]!, this.#words[2 * cell]!, this.#ends[cell]!], at * savedWords)
    return Buffer.concat([this.#seed, Buffer.from(saved.buffer)])
  }

  #cellOf(first: number, tag: number): number {
    for (let cell = first; cell < first + cellsInGroup; cell++)
      if (Atomics.load(this.#words, 2 * cell + 1) === tag) return cell
    return -1
  }

  /** The cell that is missed least: one that is empty, one whose time is over, the one that has counted least. */
  #leastOf(first: number, now: number): number {
    let least = first
    let worth = Infinity
    for (let cell = first; cell < first + cellsInGroup; cell++) {
      const isEmpty = Atomics.load(this.#words, 2 * cell + 1) === empty
      const own = isEmpty ? -2 : Atomics.load(this.#ends, cell) <= now ? -1 : this.at({ cell })
      if (own < worth) [least, worth] = [cell, own]
    }
    return least
  }

  /** Whether a name is still counted there. */
  holds({ cell, tag }: Place): boolean {
    return Atomics.load(this.#words, 2 * cell + 1) === tag
  }

  /** What was counted there. */
  at({ cell }: Pick<Place, 'cell'>): number {
    return Atomics.load(this.#words, 2 * cell) >>> 0
  }

  /** Counts so many more, or fewer, and gives what was counted before. */
  add({ cell }: Place, by: number): number {
    if (by > 0 && Atomics.load(this.#words, 2 * cell) >>> 0 > mostCounted - by) return mostCounted
    return Atomics.add(this.#words, 2 * cell, by) >>> 0
  }
}

let table: CountTable | undefined

/** Sets the memory in which the workers of this node count. */
export function configureCounts(memory: SharedArrayBuffer): void {
  table = new CountTable(memory)
}

/** The counts of this worker's node. */
export const nodeCounts = (): CountTable => (table ??= new CountTable(countMemory()))
