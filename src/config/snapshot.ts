/**
 * The part of the configuration that every worker holds whole: routes, services, plugins and what they lead to, at one revision.
 * Consumers and credentials, which may be millions, are not in it; they are read on demand.
 */
import { emptyMap, type MapEdit, type PersistentMap } from './persistent-map.ts'

interface Stored {
  readonly id: string
  readonly [field: string]: unknown
}

/** What a snapshot is taken from: a store's reader, at the revision that it shows. */
export interface SnapshotSource {
  readonly revision: number
  get(kind: string, id: string): Stored | undefined
  all(kind: string): Iterable<Stored>
}

interface Change {
  readonly kind: string
  readonly id: string
}

const kinds = [
  'routes',
  'services',
  'plugins',
  'filter_chains',
  'upstreams',
  'targets',
  'certificates',
  'ca_certificates',
  'snis',
  'vaults',
] as const
type SnapshotKind = (typeof kinds)[number]

/** Entities of one kind, by id. */
export type Entities = PersistentMap<Stored>

/** Each kind's entities by id, and by what leads to them. A change of one entity leaves all but its surroundings the same objects. */
export interface Snapshot extends Readonly<Record<SnapshotKind, Entities>> {
  readonly revision: number
  readonly by: Readonly<Record<IndexName, PersistentMap<Entities>>>
}

type IndexName = keyof typeof indexes

/** Which entities of a kind have a certain key: what has to be looked at when something that they refer to has changed. */
interface Index {
  readonly of: SnapshotKind
  readonly keys: (entity: Stored) => readonly (string | undefined)[]
}

const idIn = (value: unknown): string | undefined => (value as { readonly id: string } | null | undefined)?.id
const textIn = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const textsIn = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : [])

const indexes = {
  routesOfService: { of: 'routes', keys: ({ service }) => [idIn(service)] },
  servicesOfHost: { of: 'services', keys: ({ host }) => [textIn(host)] },
  /** By the ids of client and CA certificates. */
  servicesOfCertificate: {
    of: 'services',
    keys: ({ client_certificate, ca_certificates }) => [idIn(client_certificate), ...textsIn(ca_certificates)],
  },
  snisOfName: { of: 'snis', keys: ({ name }) => [textIn(name)?.toLowerCase()] },
  upstreamsOfCertificate: { of: 'upstreams', keys: ({ client_certificate }) => [idIn(client_certificate)] },
  upstreamsOfName: { of: 'upstreams', keys: ({ name }) => [textIn(name)] },
  targetsOfUpstream: { of: 'targets', keys: ({ upstream }) => [idIn(upstream)] },
} as const satisfies Readonly<Record<string, Index>>

const indexesOf = Object.fromEntries(
  kinds.map((kind) => [kind, (Object.entries(indexes) as [IndexName, Index][]).filter(([, { of }]) => of === kind)]),
) as unknown as Readonly<Record<SnapshotKind, readonly [IndexName, Index][]>>

const isSnapshotKind = (kind: string): kind is SnapshotKind => (kinds as readonly string[]).includes(kind)

/** Reads everything afresh. */
export function takeSnapshot(source: SnapshotSource): Snapshot {
  const edit = new Edit(empty)
  for (const kind of kinds) for (const entity of source.all(kind)) edit.put(kind, entity.id, entity)
  return edit.done(source.revision)
}

/** The snapshot after `changes`; `previous` itself where they touch nothing that it holds. */
export function renewSnapshot(previous: Snapshot, source: SnapshotSource, changes: readonly Change[]): Snapshot {
  const edit = new Edit(previous)
  const seen = new Set<string>()
  for (const { kind, id } of changes) {
    if (!isSnapshotKind(kind) || seen.has(`${kind}/${id}`)) continue
    seen.add(`${kind}/${id}`)
    edit.put(kind, id, source.get(kind, id))
  }
  return seen.size === 0 ? previous : edit.done(source.revision)
}

const empty: Snapshot = {
  revision: 0,
  ...(Object.fromEntries(kinds.map((kind) => [kind, emptyMap()])) as Record<SnapshotKind, Entities>),
  by: Object.fromEntries(Object.keys(indexes).map((name) => [name, emptyMap()])) as Snapshot['by'],
}

/** A new snapshot under way. */
class Edit {
  readonly #before: Snapshot
  readonly #kinds = new Map<SnapshotKind, MapEdit<Stored>>()
  readonly #indexes = new Map<IndexName, MapEdit<Entities>>()
  /** The sets of entities under one key that are being changed, by index and key. */
  readonly #sets = new Map<IndexName, Map<string, MapEdit<Stored>>>()

  constructor(before: Snapshot) {
    this.#before = before
  }

  /** Puts an entity in the place of the one with its id; takes that one out where there is none. */
  put(kind: SnapshotKind, id: string, entity: Stored | undefined): void {
    const entities = made(this.#kinds, kind, () => this.#before[kind].edit())
    const old = entities.get(id)
    if (entity) entities.set(id, entity)
    else entities.delete(id)
    for (const [name, { keys }] of indexesOf[kind]) {
      if (old) for (const key of keys(old)) if (key !== undefined) this.#set(name, key).delete(id)
      if (entity) for (const key of keys(entity)) if (key !== undefined) this.#set(name, key).set(id, entity)
    }
  }

  #set(name: IndexName, key: string): MapEdit<Stored> {
    const sets = made(this.#sets, name, () => new Map<string, MapEdit<Stored>>())
    return made(sets, key, () => (this.#before.by[name].get(key) ?? emptyMap<Stored>()).edit())
  }

  done(revision: number): Snapshot {
    for (const [name, sets] of this.#sets) {
      const index = made(this.#indexes, name, () => this.#before.by[name].edit())
      for (const [key, edit] of sets) {
        const set = edit.done()
        if (set.size > 0) index.set(key, set)
        else index.delete(key)
      }
    }
    return {
      ...this.#before,
      revision,
      ...finished(this.#kinds),
      by: { ...this.#before.by, ...finished(this.#indexes) },
    }
  }
}

/** The value of a key, made where there is none. */
function made<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key)
  if (found !== undefined) return found
  const value = make()
  map.set(key, value)
  return value
}

function finished<K extends string, V>(edits: ReadonlyMap<K, MapEdit<V>>): Partial<Record<K, PersistentMap<V>>> {
  return Object.fromEntries([...edits].map(([key, edit]) => [key, edit.done()])) as Partial<Record<K, PersistentMap<V>>>
}
