import type { ForeignIndex, KindIndex } from '../kinds.ts'
import type { Stored } from '../store.ts'

/** What an entity puts into the tables beside its body. */
export interface Rows {
  readonly keys: readonly KeyRow[]
  readonly links: readonly LinkRow[]
  readonly tags: readonly string[]
}

export interface KeyRow {
  /** The unique field, or the names of those that are unique together, joined by `+`. */
  readonly field: string
  readonly value: string
  /** The fields with their values, as an error reports them. */
  readonly fields: Readonly<Record<string, unknown>>
}

export interface LinkRow extends ForeignIndex {
  readonly id: string
}

/** Reads an entity's rows from it, keys in the order in which their violations are reported. */
export function rowsOf(index: KindIndex, entity: Stored): Rows {
  return {
    // Kong creates the index on the fields that are unique together first, and PostgreSQL checks indexes in that order.
    keys: [...index.together.map((fields) => togetherKey(fields, entity)), ...singleKeys(index, entity)],
    links: index.foreign.flatMap((foreign) => linkRow(foreign, entity)),
    tags: Array.isArray(entity['tags']) ? [...new Set(entity['tags'].map(String))] : [],
  }
}

/** The text that stands for a unique field's value: strings as they are, references by their id; undefined for no value. */
export function keyText(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined
  return typeof value === 'string' ? value : (idOf(value) ?? JSON.stringify(value))
}

function singleKeys(index: KindIndex, entity: Stored): KeyRow[] {
  return index.unique.flatMap((field) => {
    const value = keyText(entity[field])
    return value === undefined ? [] : { field, value, fields: { [field]: entity[field] } }
  })
}

function togetherKey(names: readonly string[], entity: Stored): KeyRow {
  return {
    field: names.join('+'),
    value: JSON.stringify(names.map((name) => keyText(entity[name]) ?? null)),
    fields: Object.fromEntries(names.map((name) => [name, entity[name] ?? null])),
  }
}

function linkRow(foreign: ForeignIndex, entity: Stored): LinkRow[] {
  const id = idOf(entity[foreign.field])
  return id === undefined ? [] : [{ ...foreign, id }]
}

function idOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('id' in value)) return undefined
  return typeof value.id === 'string' ? value.id : undefined
}
