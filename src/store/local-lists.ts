import type { Entity, LoadedList } from '../pdk/entities.ts'
import type { KindIndex } from './kinds.ts'
import type { Change, Reader } from './store.ts'

/** A worker's memory of lists: the entities of a kind that refer to one entity of another. */
export interface LocalLists {
  referring(kind: string, field: string, id: string): LoadedList
  /** Forgets exactly the lists that these changes touch, or all; to be called when the reader has been renewed. */
  adopt(changes: readonly Change[] | 'all'): void
}

interface List extends LoadedList {
  live: boolean
  readonly kind: string
  readonly bytes: number
}

interface Options {
  readonly kinds: readonly KindIndex[]
  /** About how much memory the lists may take, in bytes. */
  readonly bytes: number
  /** Freezes an entity and returns about how many bytes it takes. */
  readonly freeze: (entity: Entity) => number
}

/** About what a list costs beside its entities. */
const listBytes = 500

/** More changes than this of one kind at once drop all of its lists, in place of a read for each. */
const fewChanges = 200

/**
 * Lists stay within their budget by generations: what is new or used is young; when the young have used half of the budget they
 * become old, and what was old and not used since is dropped.
 */
export function localLists(reader: Reader, { kinds, bytes: budget, freeze }: Options): LocalLists {
  const foreignFields = new Map(kinds.map(({ kind, foreign }) => [kind, foreign.map(({ field }) => field)]))
  let young = new Map<string, List>()
  let old = new Map<string, List>()
  let youngBytes = 0
  /** The lists that an entity stands in. */
  const holders = new Map<string, Set<string>>()

  const referring = (kind: string, field: string, id: string): LoadedList => {
    const key = listKey(kind, field, id)
    const known = young.get(key)
    if (known) return known
    const before = old.get(key)
    if (before) {
      old.delete(key)
      return keep(key, before)
    }
    if (!foreignFields.get(kind)?.includes(field)) throw new TypeError(`${kind}.${field} is not a foreign field`)
    return remember(key, kind, read(kind, field, id))
  }
  const read = (kind: string, field: string, id: string): readonly Entity[] => {
    const entities: Entity[] = []
    let offset: string | undefined
    do {
      const page = reader.page(kind, { size: 1000, link: { field, id }, ...(offset !== undefined && { offset }) })
      entities.push(...page.entities)
      offset = page.offset
    } while (offset !== undefined)
    return entities
  }
  const remember = (key: string, kind: string, entities: readonly Entity[]): LoadedList => {
    const bytes = entities.reduce((sum, entity) => sum + freeze(entity) + key.length, listBytes)
    // As if dropped at once: who asked may use it, and remembers nothing that follows from it.
    if (bytes > budget / 8) return { entities, live: false }
    for (const { id } of entities) {
      const holder = memberKey(kind, id)
      holders.set(holder, (holders.get(holder) ?? new Set()).add(key))
    }
    return keep(key, { entities, live: true, kind, bytes })
  }
  const keep = (key: string, list: List): List => {
    if (youngBytes + list.bytes > budget / 2) turn()
    young.set(key, list)
    youngBytes += list.bytes
    return list
  }
  const turn = (): void => {
    const dropped = old
    old = young
    young = new Map()
    youngBytes = 0
    for (const [key, list] of dropped) end(key, list)
  }
  const drop = (key: string): void => {
    const list = young.get(key)
    if (list) youngBytes -= list.bytes
    const found = list ?? old.get(key)
    young.delete(key)
    old.delete(key)
    if (found) end(key, found)
  }
  const end = (key: string, list: List): void => {
    list.live = false
    for (const { id } of list.entities) {
      const holder = memberKey(list.kind, id)
      const keys = holders.get(holder)
      keys?.delete(key)
      if (keys?.size === 0) holders.delete(holder)
    }
  }
  const dropAll = (kind?: string): void => {
    for (const [key, list] of [...young, ...old]) if (kind === undefined || list.kind === kind) drop(key)
  }
  const adoptChange = ({ kind, id }: Change, fields: readonly string[]): void => {
    for (const key of holders.get(memberKey(kind, id)) ?? []) drop(key)
    const entity = reader.get(kind, id)
    for (const field of entity ? fields : []) {
      const reference = entity?.[field] as { readonly id?: unknown } | null | undefined
      if (typeof reference?.id === 'string') drop(listKey(kind, field, reference.id))
    }
  }
  return {
    referring,
    adopt(changes) {
      if (changes === 'all') return dropAll()
      if (young.size + old.size === 0) return
      for (const [kind, ofKind] of Map.groupBy(changes, (change) => change.kind)) {
        const fields = foreignFields.get(kind) ?? []
        if (fields.length === 0) continue
        if (ofKind.length > fewChanges) dropAll(kind)
        else for (const change of ofKind) adoptChange(change, fields)
      }
    },
  }
}

/** Neither kinds, fields nor ids contain a space. */
const listKey = (kind: string, field: string, id: string): string => `${kind} ${field} ${id}`
const memberKey = (kind: string, id: string): string => `${kind} ${id}`
