import type { KindIndex } from './kinds.ts'
import type { Operation } from './store.ts'

/** Gives what throws a TypeError where operations are about a kind that the store does not know. */
export function knowing(kinds: readonly KindIndex[]): (operations: readonly Operation[]) => void {
  const known = new Set(kinds.map(({ kind }) => kind))
  return (operations) => {
    for (const operation of operations) {
      const unknown = kindsOf(operation).find((kind) => !known.has(kind))
      if (unknown !== undefined) throw new TypeError(`the store knows no kind ${unknown}`)
    }
  }
}

/** A content's entities are looked at when they are gone through. */
function kindsOf(operation: Operation): readonly string[] {
  return 'kind' in operation ? [operation.kind] : []
}
