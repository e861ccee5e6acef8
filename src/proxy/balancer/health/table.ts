/**
 * The health of targets in memory that all threads of the gateway share: whether each is down, and how far its counters are on
 * the way to turning it. Every thread finds a target's place by its name alone, counts in it and reads it without asking another.
 */
import { hash } from 'node:crypto'

/** What can be told of a target. Each kind of failure is counted for itself; a success makes all failures forgotten. */
export type HealthEvent = 'success' | 'tcp failure' | 'timeout' | 'http failure'

// One number holds the four counters, a byte each: a limit is 255 at most.
const shifts: Readonly<Record<HealthEvent, number>> = {
  success: 0,
  'tcp failure': 8,
  timeout: 16,
  'http failure': 24,
}
const successMask = 0xff

const headBytes = 16
/** A key of 64 bits, the counters, and whether it is down. */
const entryBytes = 16
const turns = 0
const used = 1

/** Memory for a table with room for so many targets. */
export const healthMemory = (capacity: number): SharedArrayBuffer =>
  new SharedArrayBuffer(headBytes + capacity * entryBytes)

export class HealthTable {
  readonly memory: SharedArrayBuffer
  readonly capacity: number
  readonly #head: Int32Array
  readonly #keys: BigInt64Array
  readonly #counters: Int32Array
  readonly #down: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory
    this.capacity = (memory.byteLength - headBytes) / entryBytes
    const counters = headBytes + this.capacity * 8
    this.#head = new Int32Array(memory, 0, 2)
    this.#keys = new BigInt64Array(memory, headBytes, this.capacity)
    this.#counters = new Int32Array(memory, counters, this.capacity)
    this.#down = new Int32Array(memory, counters + this.capacity * 4, this.capacity)
  }

  /** Changes whenever a target turns. */
  get turns(): number {
    return this.#head[turns] as number
  }

  /** How many places are taken. They are not given back: see `HealthMonitor`. */
  get size(): number {
    return this.#head[used] as number
  }

  /** The place of a target, taken for it where it has none yet; -1 when all are taken: then it counts as healthy. */
  placeOf(name: string): number {
    const key = hash('sha1', name, 'buffer').readBigInt64LE() || 1n
    const start = Number(BigInt.asUintN(32, key)) % this.capacity
    for (let step = 0; step < this.capacity; step++) {
      const place = (start + step) % this.capacity
      const found = Atomics.compareExchange(this.#keys, place, 0n, key)
      if (found === key) return place
      if (found !== 0n) continue
      Atomics.add(this.#head, used, 1)
      return place
    }
    return -1
  }

  isDown(place: number): boolean {
    return place >= 0 && this.#down[place] === 1
  }

  /** Counts an event; `limit` of them turn the target. Zero switches the kind of event off. */
  count(place: number, event: HealthEvent, limit: number): void {
    if (limit === 0 || place < 0 || this.#saysNothing(place, event)) return
    const shift = shifts[event]
    for (;;) {
      const before = Atomics.load(this.#counters, place)
      const kept = event === 'success' ? before & successMask : before & ~successMask
      const reached = ((kept >>> shift) & 0xff) + 1 >= limit
      const next = reached ? 0 : (kept + (1 << shift)) | 0
      if (Atomics.compareExchange(this.#counters, place, before, next) !== before) continue
      if (reached) this.#turn(place, event !== 'success')
      return
    }
  }

  /** A success of one that is all well, or a failure of one that is down anyway: the common case, and no need to count. */
  #saysNothing(place: number, event: HealthEvent): boolean {
    return this.#counters[place] === 0 && (this.#down[place] === 1) === (event !== 'success')
  }

  /** Sets a target's health by hand, its counters back to nothing. */
  set(place: number, healthy: boolean): void {
    if (place < 0) return
    Atomics.store(this.#counters, place, 0)
    this.#turn(place, !healthy)
  }

  /** Takes a target's state over from another table. */
  copy(name: string, from: HealthTable): void {
    const place = this.placeOf(name)
    const source = from.placeOf(name)
    if (place < 0 || source < 0) return
    Atomics.store(this.#counters, place, Atomics.load(from.#counters, source))
    Atomics.store(this.#down, place, Atomics.load(from.#down, source))
  }

  #turn(place: number, down: boolean): void {
    const word = down ? 1 : 0
    if (Atomics.exchange(this.#down, place, word) !== word) Atomics.add(this.#head, turns, 1)
  }
}
