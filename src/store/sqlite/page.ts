import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { KindIndex } from '../kinds.ts'
import type { Kind, PageRequest } from '../store.ts'

/** Finds the smallest id that is not before `from`, by one search in an index. */
type Seek = (from: string) => string | undefined

/**
 * The ids of a page's entities and of all pages after it, in order, for a request with tags or a link.
 * Each id costs a few index searches however many entities bear a tag: the filters' ordered lists are leapt through together.
 */
export function filteredIds(db: DatabaseSync): (index: KindIndex, request: PageRequest) => Iterable<string> {
  const tagged = db.prepare('SELECT id FROM tags WHERE tag = ? AND kind = ? AND id >= ? ORDER BY id LIMIT 1')
  const linked = db.prepare(
    'SELECT id FROM links WHERE to_kind = ? AND to_id = ? AND kind = ? AND field = ? AND id >= ? ORDER BY id LIMIT 1',
  )
  return (index, { tags, link, offset }) => {
    const filters = (tags?.names ?? []).map((name) => seekWith(tagged, name, index.kind))
    const wanted = tags?.match === 'any' ? [any(filters)] : filters
    if (link) wanted.push(seekWith(linked, foreignKind(index, link.field), link.id, index.kind, link.field))
    return idsFrom(all(wanted), offset === undefined ? '' : after(offset))
  }
}

const seekWith = (statement: StatementSync, ...values: string[]): Seek => {
  if (!values.every((value) => value.isWellFormed())) return () => undefined
  return (from) => (statement.get(...values, from) as { id: string } | undefined)?.id
}

/** The smallest text that sorts after `id`. */
const after = (id: string) => `${id}\0`

function* idsFrom(seek: Seek, from: string): Iterable<string> {
  for (let id = seek(from); id !== undefined; id = seek(after(id))) yield id
}

const any =
  (seeks: readonly Seek[]): Seek =>
  (from) => {
    const found = seeks.map((seek) => seek(from)).filter((id) => id !== undefined)
    return found.length > 0 ? found.reduce((least, id) => (id < least ? id : least)) : undefined
  }

const all =
  (seeks: readonly Seek[]): Seek =>
  (from) => {
    let candidate = from
    for (let agreed = 0; agreed < seeks.length;) {
      for (const seek of seeks) {
        const id = seek(candidate)
        if (id === undefined) return undefined
        agreed = id === candidate ? agreed + 1 : 1
        candidate = id
        if (agreed === seeks.length) break
      }
    }
    return candidate
  }

function foreignKind(index: KindIndex, field: string): Kind {
  const foreign = index.foreign.find((candidate) => candidate.field === field)
  if (!foreign) throw new TypeError(`${index.kind}.${field} is not a foreign field`)
  return foreign.kind
}

interface TagRow {
  readonly tag: string
  readonly kind: Kind
  readonly id: string
}

/** Pages through tags with their bearers, ordered by the bearer's id; a page's `offset` names its last row. */
export function tagPages(db: DatabaseSync, kinds: readonly Kind[]) {
  const everyTag = db.prepare(
    'SELECT tag, kind, id FROM tags WHERE (id, kind, tag) > (?, ?, ?) ORDER BY id, kind, tag LIMIT ?',
  )
  const oneTag = db.prepare('SELECT tag, kind, id FROM tags WHERE tag = ? AND kind = ? AND id >= ? ORDER BY id LIMIT ?')

  const ofOneTag = (tag: string, last: TagRow, limit: number) =>
    kinds
      // The row that the page before ended with is found again, and left out.
      .flatMap((kind) => oneTag.all(tag, kind, last.id, limit + 1) as unknown as TagRow[])
      .filter((row) => byBearer(row, last) > 0)
      .sort(byBearer)
      .slice(0, limit)

  return ({ size, offset, tag }: { readonly size: number; readonly offset?: string; readonly tag?: string }) => {
    const last = rowOf(offset ?? '')
    const found =
      tag === undefined
        ? (everyTag.all(last.id, last.kind, last.tag, size + 1) as unknown as TagRow[])
        : ofOneTag(tag, last, size + 1)
    const rows = found.slice(0, size).map((row) => ({ ...row }))
    const end = rows.at(-1)
    return end && found.length > size ? { rows, offset: offsetOf(end) } : { rows }
  }
}

/** Neither ids nor kinds contain a space. */
const offsetOf = ({ id, kind, tag }: TagRow) => `${id} ${kind} ${tag}`

function rowOf(offset: string): TagRow {
  const [id = '', kind = '', ...tag] = offset.split(' ')
  return { id, kind, tag: tag.join(' ') }
}

function byBearer(a: TagRow, b: TagRow): number {
  return compare(a.id, b.id) || compare(a.kind, b.kind) || compare(a.tag, b.tag)
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
