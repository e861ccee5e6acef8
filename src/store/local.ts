import type { Entity, EntityReader, Loaded } from '../pdk/entities.ts'
import type { KindIndex } from './kinds.ts'
import { localLists } from './local-lists.ts'
import { keyText } from './sqlite/rows.ts'
import type { Change, Reader } from './store.ts'

export interface LocalOptions {
  readonly kinds: readonly KindIndex[]
  /** About how much memory the entities may take, in bytes (default 64 MB). */
  readonly bytes?: number
  /** About how much memory the remembered absence may take beside them, in bytes (default 4 MB). */
  readonly absentBytes?: number
  /** About how much memory lists of entities may take beside them, in bytes (default an eighth of `bytes`). */
  readonly listBytes?: number
  /** ms since 1970. */
  readonly now?: () => number
}

export interface LocalEntities extends EntityReader {
  /**
   * Forgets exactly what these changes touch, or everything. To be called right after the reader was renewed, with the changes
   * from its revision before to the one after (`reader.changesSince`), before anything is read again.
   */
  adopt(changes: readonly Change[] | 'all'): void
  stats(): { readonly entities: number; readonly bytes: number; readonly absent: number; readonly reads: number }
}

/** More changes than this of one kind at once drop all that is remembered as absent of it, in place of a read for each. */
const fewChanges = 200

/** How many recently used entities one eviction passes over before it takes the next one anyway. */
const patience = 32

/** Longer texts are not remembered as absent: they could fill the memory, and no generated key has such a length. */
const longestAbsent = 512

/** About what an entry costs beside its entity: itself, its places in the tables and in the ring. */
const entryBytes = 400

interface Entry extends Loaded {
  live: boolean
  readonly kind: KindTables
  readonly bytes: number
  readonly expiresAt: number
  /** Set by each hit; taken away, once, by an eviction that passes. */
  used: boolean
  /** Its place in the ring. */
  at: number
}

/** What is held of one kind: by id (under the name `id`) and by each unique field. */
interface KindTables {
  readonly kind: string
  /** Whether its entities have a time to live. */
  readonly mortal: boolean
  readonly tables: ReadonlyMap<string, Table>
}

interface Table {
  readonly field: string
  readonly present: Map<string, Entry>
  /** Values known to be absent: those of late, and those before them, which are dropped next. */
  absent: Set<string>
  absentBefore: Set<string>
}

/**
 * A worker's memory of the store: entities by id and by unique field, read through `reader` when they are first asked for.
 *
 * Entities stay within their budget by second chance: an eviction takes the next one in a ring that was not used since the last
 * round. What is absent is remembered apart and in less room, so that a stranger's random keys push out no entity.
 */
export function localEntities(reader: Reader, options: LocalOptions): LocalEntities {
  const { bytes: budget = 64 * 1024 * 1024, absentBytes = 4 * 1024 * 1024, now = Date.now } = options
  const kinds = new Map(options.kinds.map((index) => [index.kind, kindTables(index)]))
  const lists = localLists(reader, { kinds: options.kinds, bytes: options.listBytes ?? budget / 8, freeze })
  const tables = [...kinds.values()].flatMap((kind) => [...kind.tables.values()])
  const ring: Entry[] = []
  let hand = 0
  let bytes = 0
  let absentYoung = 0
  let reads = 0

  const find = (kindName: string, field: string, value: string): Loaded | undefined => {
    const kind = kinds.get(kindName)
    const table = kind?.tables.get(field)
    if (!kind || !table) throw new TypeError(`${kindName}.${field} is neither an id nor a unique field`)
    const entry = table.present.get(value)
    if (entry && (entry.expiresAt === Infinity || entry.expiresAt > now())) {
      entry.used = true
      return entry
    }
    if (entry) drop(entry)
    if (table.absent.has(value) || table.absentBefore.has(value)) return undefined
    return read(kind, table, value)
  }
  const read = (kind: KindTables, table: Table, value: string): Loaded | undefined => {
    reads++
    const entity = table.field === 'id' ? reader.get(kind.kind, value) : reader.by(kind.kind, table.field, value)
    return entity ? remember(kind, entity) : rememberAbsent(table, value)
  }
  const remember = (kind: KindTables, entity: Entity): Loaded => {
    const size = freeze(entity) + entryBytes
    // As if pushed out at once: who asked may use it, and remembers nothing that follows from it.
    if (size > budget / 8) return { entity, live: false }
    for (let room = budget - bytes; room < size; room = evict()) continue
    const entry: Entry = {
      entity,
      live: true,
      kind,
      bytes: size,
      expiresAt: expiryOf(kind, entity),
      used: false,
      at: ring.length,
    }
    for (const [table, value] of places(entry)) table.present.set(value, entry)
    ring.push(entry)
    bytes += size
    return entry
  }
  const expiryOf = ({ mortal }: KindTables, { ttl }: Entity) =>
    mortal && typeof ttl === 'number' ? now() + ttl * 1000 : Infinity

  const rememberAbsent = (table: Table, value: string): undefined => {
    const text = ownCopy(value)
    if (text === undefined) return
    table.absent.add(text)
    absentYoung += text.length * 2 + 64
    if (absentYoung < absentBytes / 2) return
    absentYoung = 0
    for (const each of tables) forgetAbsent(each, each.absent)
  }
  /** Pushes one entry out and returns the room that there is now, in bytes. */
  const evict = () => {
    for (let passed = 0; passed < patience; passed++) {
      hand = hand < ring.length ? hand : 0
      const next = ring[hand]
      if (!next?.used) break
      next.used = false
      hand++
    }
    const next = ring[hand] ?? ring[0]
    if (next) drop(next)
    return budget - bytes
  }
  const drop = (entry: Entry) => {
    entry.live = false
    for (const [table, value] of places(entry)) table.present.delete(value)
    bytes -= entry.bytes
    const last = ring.pop()
    if (!last || last === entry) return
    ring[entry.at] = last
    last.at = entry.at
  }
  const dropAll = () => {
    for (const entry of ring) entry.live = false
    for (const table of tables) {
      table.present.clear()
      forgetAbsent(table)
    }
    ring.length = 0
    bytes = 0
    absentYoung = 0
  }
  const adoptOfKind = (kind: KindTables, changes: readonly Change[]) => {
    const byId = kind.tables.get('id')
    for (const { id } of changes) {
      const entry = byId?.present.get(id)
      if (entry) drop(entry)
    }
    const remembering = [...kind.tables.values()].filter(
      ({ absent, absentBefore }) => absent.size + absentBefore.size > 0,
    )
    if (remembering.length === 0) return
    if (changes.length > fewChanges) return remembering.forEach((table) => forgetAbsent(table))
    for (const { id } of changes) noLongerAbsent(remembering, reader.get(kind.kind, id))
  }
  return {
    get: (kind, id) => find(kind, 'id', id),
    by: find,
    referring: (kind, field, id) => lists.referring(kind, field, id),
    adopt(changes) {
      lists.adopt(changes)
      if (changes === 'all') return dropAll()
      for (const [kindName, ofKind] of Map.groupBy(changes, ({ kind }) => kind)) {
        const kind = kinds.get(kindName)
        if (kind) adoptOfKind(kind, ofKind)
      }
    },
    stats: () => ({
      entities: ring.length,
      bytes,
      absent: tables.reduce((sum, { absent, absentBefore }) => sum + absent.size + absentBefore.size, 0),
      reads,
    }),
  }
}

function kindTables({ kind, unique, ttl }: KindIndex): KindTables {
  const table = (field: string): Table => ({ field, present: new Map(), absent: new Set(), absentBefore: new Set() })
  return { kind, mortal: ttl, tables: new Map(['id', ...unique].map((field) => [field, table(field)])) }
}

/** The tables that an entry stands in, with the value that it stands under in each. */
function places({ kind, entity }: Entry): [Table, string][] {
  return [...kind.tables.values()].flatMap((table): [Table, string][] => {
    const value = keyText(entity[table.field])
    return value === undefined ? [] : [[table, value]]
  })
}

function forgetAbsent(table: Table, keep: Set<string> = new Set()): void {
  table.absentBefore = keep
  table.absent = new Set()
}

function noLongerAbsent(tables: readonly Table[], entity: Entity | undefined): void {
  if (!entity) return
  for (const { field, absent, absentBefore } of tables) {
    const value = keyText(entity[field])
    if (value === undefined) continue
    absent.delete(value)
    absentBefore.delete(value)
  }
}

/**
 * A copy that shares no memory with the text, which may be a piece of a request's head and would keep all of it alive;
 * undefined for texts that are not worth remembering.
 */
function ownCopy(text: string): string | undefined {
  return text.length <= longestAbsent && text.isWellFormed() ? Buffer.from(text).toString() : undefined
}

/** Freezes a JSON value all the way down and returns about how many bytes it takes. */
function freeze(value: unknown): number {
  if (typeof value === 'string') return 24 + value.length
  if (typeof value !== 'object' || value === null) return 8
  let bytes = 64
  for (const part of Object.values(value)) bytes += 8 + freeze(part)
  Object.freeze(value)
  return bytes
}
