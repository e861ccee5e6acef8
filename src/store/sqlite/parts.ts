import type { ContentEntities, Kind } from '../store.ts'

/** How many entities are handled at once: some milliseconds of work. */
const partSize = 1000

/** A part of a content: entities' texts by kind, a line each. */
export type Part = ReadonlyMap<Kind, string>

/** A content in parts. Throws what its entities throw. */
export function* partsOf(entities: ContentEntities): Iterable<Part> {
  let part = new Map<Kind, string[]>()
  let size = 0
  for (const { kind, entity } of entities) {
    const bodies = part.get(kind) ?? []
    bodies.push(JSON.stringify(entity))
    part.set(kind, bodies)
    if (++size % partSize > 0) continue
    yield joined(part)
    part = new Map()
  }
  yield joined(part)
}

const joined = (part: ReadonlyMap<Kind, readonly string[]>): Part =>
  new Map([...part].map(([kind, bodies]) => [kind, bodies.join('\n')]))
