import type { KindIndex } from './kinds.ts'
import type { ContentEntities, Operation } from './store.ts'

/**
 * Gives what throws a TypeError where operations are about a kind that the store does not know. A content's entities are looked at
 * when they are gone through, and then throw it: whoever writes a content has to take it from what this gives.
 */
export function knowing(kinds: readonly KindIndex[]): (operations: readonly Operation[]) => readonly Operation[] {
  const known = new Set(kinds.map(({ kind }) => kind))
  const check = (kind: string): void => {
    if (!known.has(kind)) throw new TypeError(`the store knows no kind ${kind}`)
  }
  const checked = function* (entities: ContentEntities): ContentEntities {
    for (const loaded of entities) {
      check(loaded.kind)
      yield loaded
    }
  }
  return (operations) =>
    operations.map((operation) => {
      if (operation.do === 'replace-all') return { ...operation, entities: checked(operation.entities) }
      if ('kind' in operation) check(operation.kind)
      return operation
    })
}
