import type { Schema } from '../schema/field.ts'
import { fieldsOf } from '../schema/fill.ts'
import type { Reader } from '../store/store.ts'
import { type DeclarativeKind, declarativeKinds } from './declarative-kinds.ts'
import { kinds as everyKind } from './kinds.ts'
import { writeYaml } from './yaml-write.ts'

/** The format that is written. */
const frame = { _format_version: '3.0', _transform: false }

export interface ExportOptions {
  readonly kinds?: ReadonlyMap<string, Schema>
}

/**
 * All entities of a store as a declarative configuration in YAML, as Kong exports it: flat sections, referenced kinds first,
 * references as ids, and every field, so that reading it back gives the same entities. Secrets stand in it in clear text.
 */
export function exportDeclarative(reader: Pick<Reader, 'all'>, options: ExportOptions = {}): string {
  const parts = [writeYaml(frame)]
  for (const [name, entities] of sectionsOf(reader, options)) {
    parts.push(`${name}:\n`)
    for (const entity of entities) parts.push(writeYaml([entity]))
  }
  return parts.join('')
}

/** The same as data, for JSON. */
export function exportData(reader: Pick<Reader, 'all'>, options: ExportOptions = {}): Record<string, unknown> {
  return { ...frame, ...Object.fromEntries(sectionsOf(reader, options)) }
}

function* sectionsOf(
  reader: Pick<Reader, 'all'>,
  options: ExportOptions,
): Generator<[string, Record<string, unknown>[]]> {
  for (const kind of declarativeKinds(options.kinds ?? everyKind).values()) {
    const entities = [...reader.all(kind.name)].map((entity) => flat(kind, entity))
    if (entities.length > 0) yield [kind.name, entities]
  }
}

/** Fields in the order of their declaration; what the schema does not name, such as a `ttl`, comes last. */
function flat(kind: DeclarativeKind, entity: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const declared = [...fieldsOf(kind.schema).keys()].filter((field) => Object.hasOwn(entity, field))
  const others = Object.keys(entity).filter((field) => !declared.includes(field))
  return Object.fromEntries(
    [...declared, ...others].map((field) => [field, kind.references.has(field) ? idOf(entity[field]) : entity[field]]),
  )
}

const idOf = (reference: unknown): unknown => (reference as { readonly id?: unknown } | null)?.id ?? null
