/**
 * The part of the configuration that every worker holds whole: routes, services, plugins and what they lead to, at one revision.
 * Consumers and credentials, which may be millions, are not in it; they are read on demand.
 */

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
  'upstreams',
  'targets',
  'certificates',
  'ca_certificates',
  'vaults',
] as const
type SnapshotKind = (typeof kinds)[number]

/** Each kind's entities by id. A map, and each entity in it, is the same object as before as long as nothing of it has changed. */
export interface Snapshot extends Readonly<Record<SnapshotKind, ReadonlyMap<string, Stored>>> {
  readonly revision: number
}

const isSnapshotKind = (kind: string): kind is SnapshotKind => (kinds as readonly string[]).includes(kind)

/** Reads everything afresh. */
export function takeSnapshot(source: SnapshotSource): Snapshot {
  const maps = kinds.map((kind) => [kind, new Map([...source.all(kind)].map((entity) => [entity.id, entity]))] as const)
  return { revision: source.revision, ...(Object.fromEntries(maps) as Record<SnapshotKind, Map<string, Stored>>) }
}

/** The snapshot after `changes`; `previous` itself where they touch nothing that it holds. */
export function renewSnapshot(previous: Snapshot, source: SnapshotSource, changes: readonly Change[]): Snapshot {
  const changed = new Map<SnapshotKind, Map<string, Stored>>()
  for (const { kind, id } of changes) {
    if (!isSnapshotKind(kind)) continue
    const map = changed.get(kind) ?? new Map(previous[kind])
    changed.set(kind, map)
    const entity = source.get(kind, id)
    if (entity) map.set(id, entity)
    else map.delete(id)
  }
  return changed.size === 0 ? previous : { ...previous, ...Object.fromEntries(changed), revision: source.revision }
}
