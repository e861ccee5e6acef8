import { createHash } from 'node:crypto'
import { type CheckContext, realContext } from '../schema/check.ts'
import type { Schema } from '../schema/field.ts'
import { asObject, define, isTable } from '../schema/value.ts'
import type { Operation, Reader, Store, Written } from '../store/store.ts'
import { checkNodes, type Loaded, type Previous } from './declarative-check.ts'
import {
  complaintOf,
  type Complaint,
  flattenedComplaintOf,
  hasMistakes,
  type Mistake,
  mistakesOf,
  textComplaint,
} from './declarative-errors.ts'
import { canonical } from './declarative-ids.ts'
import { declarativeKinds } from './declarative-kinds.ts'
import { modernPath } from './declarative-legacy.ts'
import { nodesOf } from './declarative-nodes.ts'
import { giveBackMemory } from './give-back.ts'
import { isDeeperThan, readText, type TextFormat, type TextLimits, textLimits } from './declarative-text.ts'
import { kinds as everyKind } from './kinds.ts'
import { type Position, positionsOf } from './yaml.ts'

export type { Loaded, Previous } from './declarative-check.ts'

export interface DeclarativeOptions {
  /** What a text is; `auto` (the default) tries JSON, then YAML. */
  readonly format?: TextFormat
  /** Whether mistakes are told per entity, as `flatten_errors` asks. */
  readonly flatten?: boolean
  /** decK's `_info`: passed over in a file (the default), or an unknown field as in Kong's Admin API. */
  readonly info?: 'ignored' | 'refused'
  /** What is in force now; with it, loading the same configuration again changes nothing at all. */
  readonly previous?: Previous
  /** The clock, in seconds, and chance. */
  readonly context?: CheckContext
  readonly kinds?: ReadonlyMap<string, Schema>
  /** Whether secrets are brought into the form that is kept, as the file asks for (the default), or `later`, by who writes them. */
  readonly transform?: 'now' | 'later'
  readonly limits?: TextLimits
}

/** A configuration that may be loaded. */
export interface Declaration {
  readonly ok: true
  /** Every entity with all its fields, referenced kinds first. */
  readonly entities: readonly Loaded[]
  /** 32 hex digits: of the text, or of the data where there was none; zeros for a configuration without entities. */
  readonly hash: string
  /** Whether the file asks for secrets to be transformed, such as passwords to be hashed. */
  readonly transform: boolean
  /** Fields that were made up, as `kind/id/field`; they stay as they are when the configuration is loaded again. */
  readonly generated: readonly string[]
}

/** A mistake with its place in the text. */
export type PlacedMistake = Mistake & Position

/** A configuration with mistakes: Kong's answer to it, and all of them with their places. */
export interface Refusal extends Complaint {
  readonly ok: false
  readonly code: 14
  readonly name: 'invalid declarative configuration'
  /** Every mistake in the order of the text; reads the text once more, so ask only where somebody will look. */
  places(): PlacedMistake[]
}

/** The hash of a configuration without entities. */
export const emptyHash = '0'.repeat(32)

/** The hash of a configuration's text, as `check_hash` compares it. */
export const configHash = (text: string): string => createHash('md5').update(text).digest('hex')

/** How a file is to be read, by its name. */
export function configFormat(file: string): TextFormat {
  if (/\.ya?ml$/i.test(file)) return 'yaml'
  return /\.json$/i.test(file) ? 'json' : 'auto'
}

/**
 * Reads a declarative configuration, given as text or as data, and checks all of it: the answer holds either every entity
 * or every mistake. Never throws for what the input holds, and never changes the input.
 */
export function parseDeclarative(input: string | object, options: DeclarativeOptions = {}): Declaration | Refusal {
  const limits = options.limits ?? textLimits
  if (typeof input !== 'string') {
    if (isDeeperThan(input, limits.depth))
      return unreadable([{ path: [], message: `nested more than ${limits.depth} levels deep`, line: 1, column: 1 }])
    return parseData(input, undefined, options)
  }
  const read = readText(input, options.format ?? 'auto', limits)
  if (!read.ok) return unreadable(read.mistakes.map((mistake) => ({ ...mistake, path: [] })))
  return parseData(read.value, input, options)
}

/**
 * Makes a configuration the whole content of a store, in one durable write; `meta` remembers its hash and what was made up, and
 * that it was loaded `by` a certain version, for `isLoaded`.
 */
export function loadDeclarative(store: Pick<Store, 'write'>, declaration: Declaration, by?: string): Promise<Written> {
  // Entities that die are gone after a while, and are to come back with the file.
  const isLasting = by !== undefined && declaration.entities.every(({ entity }) => typeof entity['ttl'] !== 'number')
  const operations: Operation[] = [
    { do: 'replace-all', entities: declaration.entities },
    { do: 'meta', name: hashName, value: declaration.hash },
    { do: 'meta', name: generatedName, value: JSON.stringify(declaration.generated) },
    { do: 'meta', name: loadedName, value: isLasting ? loadedBy(by, declaration.hash) : null },
  ]
  giveBackMemory(declaration.entities.length)
  return store.write(operations)
}

/**
 * Whether a store holds what this very text says, as this version reads it: then there is nothing to load, which spares a restart
 * with a million consumers most of a minute.
 */
export const isLoaded = (reader: Pick<Reader, 'meta'>, text: string, by: string): boolean =>
  reader.meta(loadedName) === loadedBy(by, configHash(text))

const loadedBy = (by: string, hash: string): string => `${hash} by ${by}`

/**
 * Writes a configuration's entities beside what a store already holds, replacing those with the same ids, in one durable write.
 * `previous` must be what the configuration was parsed with. Into an empty store a million go as a whole, in the order of the
 * tables.
 */
export function mergeDeclarative(
  store: Pick<Store, 'write' | 'reader'>,
  declaration: Declaration,
  previous: Previous,
): Promise<Written> {
  const generated = [...new Set([...previous.generated, ...declaration.generated])]
  const isEmpty = [...everyKind.keys()].every((kind) => store.reader.count(kind) === 0)
  const written: readonly Operation[] = isEmpty
    ? [{ do: 'replace-all', entities: declaration.entities }]
    : declaration.entities.map((loaded) => ({ do: 'upsert', ...loaded }))
  giveBackMemory(declaration.entities.length)
  return store.write([...written, { do: 'meta', name: generatedName, value: JSON.stringify(generated) }])
}

/** The hash of the configuration that a store was last loaded with. */
export const loadedHash = (reader: Pick<Reader, 'meta'>): string => reader.meta(hashName) ?? emptyHash

/** What a store holds, for `previous`. */
export function previousOf(reader: Pick<Reader, 'count' | 'get' | 'meta'>): Previous {
  const names: unknown = JSON.parse(reader.meta(generatedName) ?? '[]')
  const generated = new Set(Array.isArray(names) ? names.map(String) : [])
  // A first load asks a million times for what cannot be there.
  const held = new Map<string, boolean>()
  const holds = (kind: string): boolean => {
    const known = held.get(kind) ?? reader.count(kind) > 0
    held.set(kind, known)
    return known
  }
  return { get: (kind, id) => (holds(kind) ? reader.get(kind, id) : undefined), generated }
}

const hashName = 'declarative_hash'
const generatedName = 'declarative_generated'
const loadedName = 'declarative_loaded'

const syntaxWords = 'failed parsing declarative configuration: '

function unreadable(places: readonly PlacedMistake[]): Refusal {
  const [first] = places
  const place = first && first.message !== 'expected an object' ? `${first.line}:${first.column}: ` : ''
  return refusal(textComplaint(`${syntaxWords}${place}${first?.message ?? ''}`), () => [...places])
}

function refusal(complaint: Complaint, places: () => PlacedMistake[]): Refusal {
  return { ok: false, code: 14, name: 'invalid declarative configuration', ...complaint, places }
}

function parseData(data: object, text: string | undefined, options: DeclarativeOptions): Declaration | Refusal {
  const file = modern(asObject(data as Record<string, unknown>))
  const kinds = declarativeKinds(options.kinds ?? everyKind)
  const transform = file['_transform'] !== false
  const nodes = nodesOf(file, kinds, options.info === 'refused' ? kongPassesOver : passesOver)
  const { entities, generated } = checkNodes(nodes.all, {
    kinds,
    context: options.context ?? realContext,
    previous: options.previous,
    transform: transform && options.transform !== 'later',
  })
  if (hasMistakes(nodes)) {
    const complaint = options.flatten ? flattenedComplaintOf(nodes) : complaintOf(nodes)
    return refusal(complaint, () => placed(mistakesOf(nodes), text))
  }
  const hash = entities.length === 0 ? emptyHash : configHash(text ?? canonical(data))
  return { ok: true, entities, hash, transform, generated }
}

/** Kong's own exports list the one workspace that there is. */
const kongPassesOver: ReadonlySet<string> = new Set(['workspaces'])
/** decK writes `_info` into its files for itself. */
const passesOver: ReadonlySet<string> = new Set(['workspaces', '_info'])

function placed(mistakes: readonly Mistake[], text: string | undefined): PlacedMistake[] {
  if (text === undefined) return mistakes.map((mistake) => ({ ...mistake, line: 1, column: 1 }))
  const positions = positionsOf(
    text,
    mistakes.map(({ path }) => path),
  )
  return mistakes
    .map((mistake, index) => ({ ...mistake, ...(positions[index] ?? { line: 1, column: 1 }) }))
    .sort((a, b) => a.line - b.line || a.column - b.column)
}

/** A file of an older format in today's: routes at the top and in services have their paths rewritten. */
function modern(file: Record<string, unknown>): Readonly<Record<string, unknown>> {
  const version = file['_format_version']
  if (version !== '1.1' && version !== '2.1') return file
  return withEach(withEach(file, 'routes', modernRoute), 'services', (service) =>
    withEach(service, 'routes', modernRoute),
  )
}

function withEach(
  table: Record<string, unknown>,
  name: string,
  change: (item: Record<string, unknown>) => Record<string, unknown>,
): Record<string, unknown> {
  const items = table[name]
  if (!Array.isArray(items)) return table
  const changed = { ...table }
  define(
    changed,
    name,
    items.map((item: unknown) => (isTable(item) && !Array.isArray(item) ? change(item) : item)),
  )
  return changed
}

function modernRoute(route: Record<string, unknown>): Record<string, unknown> {
  const paths = route['paths']
  if (!Array.isArray(paths)) return route
  return { ...route, paths: paths.map((path: unknown) => (typeof path === 'string' ? modernPath(path) : path)) }
}
