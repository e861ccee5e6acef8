import type { ErrorTree } from '../schema/errors.ts'
import { asObject, define, isTable, own } from '../schema/value.ts'
import type { DeclarativeKind } from './declarative-kinds.ts'
import { identify, type Ordinals } from './declarative-ids.ts'
import { Items } from './declarative-pieces.ts'

/** A reference as it is written: by name, by id, or as an object that holds either. */
export interface WrittenReference {
  readonly field: string
  readonly kind: string
  readonly written: unknown
  /** The name or id that is meant. */
  readonly key: string
}

/** An entity as it stands in the file, with all that is found out about it on the way. */
export interface EntityNode {
  readonly kind: DeclarativeKind
  readonly parent: EntityNode | undefined
  /** The field by which it refers to its parent. */
  readonly parentField: string | undefined
  /** Its place among the entities of its kind in its section. */
  readonly index: number
  /** As it is written. */
  readonly written: unknown
  /** What is written, without nested sections, references and what is only said to readers. */
  readonly body: Record<string, unknown>
  readonly references: readonly WrittenReference[]
  readonly id: string
  /** Whether the id is the one that Kong makes, or was given: others are ours, and Kong's answers do not show them. */
  readonly idIsKongs: boolean
  /** What is wrong with its fields. */
  errors: ErrorTree | undefined
  /** What is wrong with it as a whole, such as that it stands there twice; beside `field`, if one is to blame. */
  conflicts: readonly Conflict[]
}

export interface Conflict {
  readonly field: string | undefined
  readonly message: string
  /** What Kong tells it by: the entity's place in its section, or, of references and of what must be unique, its name. */
  readonly where: 'index' | 'reference' | 'unique'
}

const noConflicts: readonly Conflict[] = []

export function noteConflict(node: EntityNode, conflict: Conflict): void {
  node.conflicts = [...node.conflicts, conflict]
}

/** What is wrong with a file. */
export interface Mistaken {
  /** The entities that have something wrong with them, in Kong's order. */
  readonly wrong: readonly EntityNode[]
  /** Entries of sections that are no entities at all. */
  readonly malformed: readonly Malformed[]
  /** What is wrong outside of entities. */
  readonly errors: ErrorTree
}

export interface Malformed {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** Keys at the top that are not sections: what a file may say there, and the text when it says something else. */
const frame = new Map<string, (value: unknown) => string | undefined>([
  ['_format_version', (value) => formatError(value)],
  ['_transform', (value) => (typeof value === 'boolean' ? undefined : 'expected a boolean')],
  ['_comment', (value) => (typeof value === 'string' ? undefined : 'expected a string')],
  ['_ignore', (value) => (Array.isArray(value) ? undefined : 'expected an array')],
])

const formats = ['1.1', '2.1', '3.0']

function formatError(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'expected a string'
  return formats.includes(value) ? undefined : `expected one of: ${formats.join(', ')}`
}

/** What is wrong with a file outside of entities. `passedOver` are top-level keys that do not concern a gateway. */
export function errorsOfFrame(
  file: Readonly<Record<string, unknown>>,
  kinds: ReadonlyMap<string, DeclarativeKind>,
  passedOver: ReadonlySet<string>,
): ErrorTree {
  const errors: ErrorTree = {}
  if (file['_format_version'] === undefined || file['_format_version'] === null) {
    errors['_format_version'] = 'required field missing'
  }
  for (const [name, value] of Object.entries(file)) {
    const error = value === null || passedOver.has(name) ? undefined : errorAtTop(name, value, kinds)
    if (error !== undefined) define(errors, name, error)
  }
  return errors
}

/**
 * Every entity of a file, flat or nested, with its id, in Kong's order: kind after kind, and what is nested before that in which
 * it is nested. They are made as they are asked for, and the same ones each time. `malformed` is told of what is no entity.
 */
export function* nodesOf(
  file: Readonly<Record<string, unknown>>,
  kinds: ReadonlyMap<string, DeclarativeKind>,
  malformed: (place: Malformed) => void = () => undefined,
): Iterable<EntityNode> {
  const ordinals: Ordinals = new Map()
  for (const kind of kinds.values()) {
    let index = 0
    for (const item of asItems(file[kind.name]) ?? []) {
      const nodes: EntityNode[] = []
      itemOf(kind, item, index++, undefined, { kinds, ordinals, nodes, malformed })
      yield* nodes
    }
  }
}

function errorAtTop(name: string, value: unknown, kinds: ReadonlyMap<string, DeclarativeKind>): string | undefined {
  const known = frame.get(name)
  if (known) return known(value)
  if (!kinds.has(name)) return 'unknown field'
  return asItems(value) ? undefined : 'expected an array'
}

/** An empty object is an empty list, because Lua cannot tell them apart. */
function asItems(value: unknown): Iterable<unknown> | undefined {
  if (Array.isArray(value) || value instanceof Items) return value
  return isTable(value) && Object.keys(value).length === 0 ? [] : undefined
}

interface Walk {
  readonly kinds: ReadonlyMap<string, DeclarativeKind>
  readonly ordinals: Ordinals
  readonly nodes: EntityNode[]
  readonly malformed: (place: Malformed) => void
}

function itemOf(kind: DeclarativeKind, item: unknown, index: number, parent: EntityNode | undefined, walk: Walk): void {
  if (isTable(item)) entity(kind, item, index, parent, walk)
  else walk.malformed({ path: pathWithin(parent, kind.name, index), message: 'expected a record' })
}

function entity(
  kind: DeclarativeKind,
  written: Record<string, unknown> | unknown[],
  index: number,
  parent: EntityNode | undefined,
  walk: Walk,
): void {
  const parts = partsOf(kind, asObject(written), walk.kinds)
  const parentField = parent?.kind.children.get(kind.name)
  const { id, idIsKongs } = identify({ kind, parent, parentField, ...parts }, walk.ordinals)
  const node: EntityNode = {
    kind,
    parent,
    parentField,
    index,
    written,
    body: parts.body,
    references: parts.references,
    id,
    idIsKongs,
    errors: Object.keys(parts.errors).length > 0 ? parts.errors : undefined,
    conflicts: noConflicts,
  }
  for (const [child, value] of parts.children) {
    let place = 0
    for (const item of asItems(value) ?? []) itemOf(child, item, place++, node, walk)
  }
  walk.nodes.push(node)
}

interface Parts {
  readonly body: Record<string, unknown>
  readonly references: WrittenReference[]
  readonly children: [DeclarativeKind, unknown][]
  readonly errors: ErrorTree
}

function partsOf(
  kind: DeclarativeKind,
  item: Record<string, unknown>,
  kinds: ReadonlyMap<string, DeclarativeKind>,
): Parts {
  const parts: Parts = { body: {}, references: [], children: [], errors: {} }
  for (const [name, value] of Object.entries(item)) {
    const error = take(kind, name, value, kinds, parts)
    if (error !== undefined) define(parts.errors, name, error)
  }
  return parts
}

/** Puts one key of an entity where it belongs; returns what is wrong with it. */
function take(
  kind: DeclarativeKind,
  name: string,
  value: unknown,
  kinds: ReadonlyMap<string, DeclarativeKind>,
  parts: Parts,
): string | undefined {
  const child = kind.children.has(name) ? kinds.get(name) : undefined
  if (child) {
    if (value !== null) parts.children.push([child, value])
    return value === null || asItems(value) ? undefined : 'expected an array'
  }
  const reference = kind.references.get(name)
  if (reference) {
    if (value === null) return undefined
    const key = keyOf(value, kinds.get(reference.kind)?.nameField)
    if (key === undefined) return 'expected a string'
    parts.references.push({ field: name, kind: reference.kind, written: value, key })
    return undefined
  }
  const remark = name === '_comment' || name === '_ignore' ? frame.get(name) : undefined
  if (remark) return value === null ? undefined : remark(value)
  // There is one workspace here; what Kong exports names it in every entity.
  if (name === 'ws_id' && (value === null || typeof value === 'string')) return undefined
  define(parts.body, name, value)
  return undefined
}

/** Kong takes a name, an id or `{ id }`; decK writes `{ name }` too. */
function keyOf(written: unknown, nameField: string | undefined): string | undefined {
  if (typeof written === 'string') return written
  if (!isTable(written) || Array.isArray(written)) return undefined
  const key = written['id'] ?? (nameField === undefined ? undefined : written[nameField])
  return typeof key === 'string' ? key : undefined
}

function pathWithin(parent: EntityNode | undefined, section: string, index: number): (string | number)[] {
  return [...(parent ? pathOf(parent) : []), section, index]
}

/** Where an entity stands in its file: `['services', 0, 'routes', 1]`. */
export const pathOf = (node: EntityNode): (string | number)[] => pathWithin(node.parent, node.kind.name, node.index)

/** The value of the field by which others refer to an entity. */
export function nameOf({ kind, written }: Pick<EntityNode, 'kind' | 'written'>): string | undefined {
  const name = kind.nameField === undefined ? undefined : own(written, kind.nameField)
  return typeof name === 'string' ? name : undefined
}
