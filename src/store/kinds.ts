import type { Field, Schema } from '../schema/field.ts'
import { uniqueTogether } from '../schema/fill.ts'

/** What the store needs to know of a kind, as plain data that can be sent to another thread. */
export interface KindIndex {
  readonly kind: string
  /** Fields whose value no two entities share; null is never the same as null. */
  readonly unique: readonly string[]
  /** Fields that no two entities share together; here null is a value like any other. */
  readonly together: readonly (readonly string[])[]
  readonly foreign: readonly ForeignIndex[]
  /** Whether entities die `ttl` seconds after they were written. */
  readonly ttl: boolean
  /** Declarative configurations do not speak of the kind, and leave it as it is. */
  readonly undeclared?: true
}

/** A field that holds `{ id }` of an entity of another kind, and what happens to its bearer when that one is deleted. */
export interface ForeignIndex {
  readonly field: string
  readonly kind: string
  readonly onDelete: 'cascade' | 'null' | 'restrict'
}

/** What the store keeps indexes and constraints for, read from the schemas of all kinds; the order of kinds and fields is kept. */
export function indexesOf(kinds: ReadonlyMap<string, Schema>): KindIndex[] {
  return [...kinds].map(([kind, schema]) => {
    const fields = schema.fields.flatMap((field) => Object.entries(field))
    const together = uniqueTogether(schema)
    return {
      kind,
      unique: fields.filter(([, field]) => field.unique).map(([name]) => name),
      together: together ? [[...together]] : [],
      foreign: fields.filter(([, field]) => field.type === 'foreign').map(([name, field]) => foreignIndex(name, field)),
      // Kong's kinds are given it beside their fields, ours may have a field of that name.
      ttl: schema.ttl === true || fields.some(([name]) => name === 'ttl'),
      ...(schema.db_export === false && { undeclared: true }),
    }
  })
}

function foreignIndex(field: string, { reference, on_delete }: Field): ForeignIndex {
  if (reference === undefined) throw new TypeError(`the foreign field ${field} names no kind`)
  return { field, kind: reference, onDelete: on_delete ?? 'restrict' }
}
