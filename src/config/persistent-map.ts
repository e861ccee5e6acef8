/**
 * A map by text that never changes: an edit gives another one, which shares with the one before all but the few entries that
 * stand near the changed ones. So a change of one entry in ten thousand costs microseconds, and two maps of which one was made
 * from the other are compared in the same time.
 *
 * Entries are spread by a hash of their key over shards, each a plain `Map`; an edit copies the shards that it touches.
 */
export interface PersistentMap<V> {
  readonly size: number
  get(key: string): V | undefined
  has(key: string): boolean
  /** In no order that means anything. */
  keys(): Iterable<string>
  values(): Iterable<V>
  entries(): Iterable<readonly [string, V]>
  /** Begins a change; the map itself stays as it is. */
  edit(): MapEdit<V>
  /** The keys that have another value here than in `before`, or that only one of the two has. */
  changedSince(before: PersistentMap<V>): Iterable<string>
}

/** A change under way. What it has changed is seen by its own `get`. */
export interface MapEdit<V> {
  get(key: string): V | undefined
  set(key: string, value: V): void
  delete(key: string): void
  /** The changed map: the one before where nothing has changed. To be called once, at the end. */
  done(): PersistentMap<V>
}

export const emptyMap = <V>(): PersistentMap<V> => nothing

export function mapOf<V>(entries: Iterable<readonly [string, V]>): PersistentMap<V> {
  const edit = emptyMap<V>().edit()
  for (const [key, value] of entries) edit.set(key, value)
  return edit.done()
}

/** Entries for each shard, on average, from which on there are four times as many shards. */
const crowded = 16

class Shards<V> implements PersistentMap<V> {
  readonly size: number
  /** As many as a power of two. */
  readonly shards: readonly ReadonlyMap<string, V>[]

  constructor(shards: readonly ReadonlyMap<string, V>[], size: number) {
    this.shards = shards
    this.size = size
  }

  get(key: string): V | undefined {
    const { shards } = this
    return (shards[shards.length === 1 ? 0 : placeOf(key, shards.length)] as ReadonlyMap<string, V>).get(key)
  }

  has(key: string): boolean {
    return (this.shards[placeOf(key, this.shards.length)] as ReadonlyMap<string, V>).has(key)
  }

  *keys(): Iterable<string> {
    for (const shard of this.shards) yield* shard.keys()
  }

  *values(): Iterable<V> {
    for (const shard of this.shards) yield* shard.values()
  }

  *entries(): Iterable<readonly [string, V]> {
    for (const shard of this.shards) yield* shard
  }

  edit(): MapEdit<V> {
    return new Edit(this)
  }

  *changedSince(before: PersistentMap<V>): Iterable<string> {
    const others = (before as Shards<V>).shards
    if (others.length !== this.shards.length) {
      yield* difference(this, before)
      return
    }
    for (const [at, shard] of this.shards.entries()) {
      const other = others[at] as ReadonlyMap<string, V>
      if (shard !== other) yield* difference(shard, other)
    }
  }
}

type Looked<V> = Pick<PersistentMap<V>, 'get' | 'has'> & { entries(): Iterable<readonly [string, V]> }

function* difference<V>(now: Looked<V>, before: Looked<V>): Iterable<string> {
  for (const [key, value] of now.entries()) if (before.get(key) !== value || !before.has(key)) yield key
  for (const [key] of before.entries()) if (!now.has(key)) yield key
}

const none = new Map<string, never>()
const nothing: PersistentMap<never> = new Shards([none], 0)

class Edit<V> implements MapEdit<V> {
  readonly before: Shards<V>
  /** The shards so far; those in `own` are this edit's to change. */
  shards: ReadonlyMap<string, V>[] | undefined
  own = new Set<ReadonlyMap<string, V>>()
  size: number

  constructor(before: Shards<V>) {
    this.before = before
    this.size = before.size
  }

  get(key: string): V | undefined {
    const shards = this.shards ?? this.before.shards
    return (shards[placeOf(key, shards.length)] as ReadonlyMap<string, V>).get(key)
  }

  set(key: string, value: V): void {
    const shards = this.shards ?? this.before.shards
    const shard = shards[placeOf(key, shards.length)] as ReadonlyMap<string, V>
    const isNew = !shard.has(key)
    if (!isNew && shard.get(key) === value) return
    this.ownShard(key).set(key, value)
    if (isNew && ++this.size > shards.length * crowded) this.spread()
  }

  delete(key: string): void {
    const shards = this.shards ?? this.before.shards
    if (!(shards[placeOf(key, shards.length)] as ReadonlyMap<string, V>).has(key)) return
    this.ownShard(key).delete(key)
    this.size--
  }

  done(): PersistentMap<V> {
    if (!this.shards) return this.before
    return this.size === 0 ? emptyMap() : new Shards(this.shards, this.size)
  }

  ownShard(key: string): Map<string, V> {
    const shards = (this.shards ??= this.before.shards.slice())
    const place = placeOf(key, shards.length)
    const shard = shards[place] as ReadonlyMap<string, V>
    if (this.own.has(shard)) return shard as Map<string, V>
    const copy = new Map(shard)
    this.own.add(copy)
    shards[place] = copy
    return copy
  }

  spread(): void {
    const old = this.shards ?? this.before.shards
    const shards: Map<string, V>[] = Array.from({ length: old.length * 4 }, () => new Map())
    for (const shard of old) for (const [key, value] of shard) shards[placeOf(key, shards.length)]?.set(key, value)
    this.shards = shards
    this.own = new Set(shards)
  }
}

/** Where a key belongs among `count` shards, a power of two. */
function placeOf(key: string, count: number): number {
  if (count === 1) return 0
  let hash = 0
  for (let at = 0; at < key.length; at++) hash = (Math.imul(hash, 31) + key.charCodeAt(at)) | 0
  // The last step lets every character have a say in the lowest bits, which are the ones that count.
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b)
  return (hash ^ (hash >>> 15)) & (count - 1)
}
