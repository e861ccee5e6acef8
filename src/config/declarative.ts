import { createHash } from 'node:crypto'
import { type CheckContext, realContext } from '../schema/check.ts'
import type { Schema } from '../schema/field.ts'
import { asObject, define, isTable } from '../schema/value.ts'
import type { Operation, Reader, Store, Written } from '../store/store.ts'
import { checkNodes, type Loaded, type Previous, type Survey, surveyOf } from './declarative-check.ts'
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
import { type DeclarativeKind, declarativeKinds } from './declarative-kinds.ts'
import { modernPath } from './declarative-legacy.ts'
import { type EntityNode, errorsOfFrame, type Malformed, nodesOf } from './declarative-nodes.ts'
import { InOnePiece, inPieces, Items } from './declarative-pieces.ts'
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

/**
 * A configuration that may be loaded: what it says beside its entities is known when those have been gone through. Whoever goes
 * through them, once, is thrown a `Refused` at the end where there are mistakes.
 */
export interface Declaration {
  readonly ok: true
  /** Every entity with all its fields. */
  readonly entities: Iterable<Loaded>
  /** 32 hex digits: of the text, or of the data where there was none; zeros for a configuration without entities. */
  readonly hash: string
  /** Whether the file asks for secrets to be transformed, such as passwords to be hashed. */
  readonly transform: boolean
  /** Fields that were made up, as `kind/id/field`; they stay as they are when the configuration is loaded again. */
  readonly generated: readonly string[]
}

/** One that has been gone through, and has no mistakes: its entities are at hand, referenced kinds first. */
export interface Checked extends Declaration {
  readonly entities: readonly Loaded[]
}

/** Thrown in the place of the entities that there would be. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.message)
    this.refusal = refusal
  }
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
export function parseDeclarative(input: string | object, options: DeclarativeOptions = {}): Checked | Refusal {
  const declaration = readDeclarative(input, options)
  if (!declaration.ok) return declaration
  const { transform } = declaration
  const byKind = new Map<string, Loaded[]>()
  for (const kind of declarativeKinds(options.kinds ?? everyKind).keys()) byKind.set(kind, [])
  try {
    for (const loaded of declaration.entities) byKind.get(loaded.kind)?.push(loaded)
  } catch (error) {
    if (error instanceof Refused) return error.refusal
    throw error
  }
  const entities = [...byKind.values()].flat()
  return { ok: true, entities, hash: declaration.hash, transform, generated: declaration.generated }
}

/**
 * The same, where the entities are not wanted at once: a text is gone through twice, piece by piece where that can be, so that
 * what is held is not the configuration but its names. A refusal is one of the text; mistakes in it are told at the end.
 */
export function readDeclarative(input: string | object, options: DeclarativeOptions = {}): Declaration | Refusal {
  const limits = options.limits ?? textLimits
  const kinds = declarativeKinds(options.kinds ?? everyKind)
  if (typeof input !== 'string') {
    if (isDeeperThan(input, limits.depth))
      return unreadable([{ path: [], message: `nested more than ${limits.depth} levels deep`, line: 1, column: 1 }])
    return declarationOf(surveyed(asObject(input as Record<string, unknown>), kinds), input, options)
  }
  const pieces = inPieces(input, options.format ?? 'auto', limits, kinds)
  const known = pieces && unlessInOnePiece(() => surveyed(pieces, kinds))
  if (known) return declarationOf(known, input, options)
  const read = readText(input, options.format ?? 'auto', limits)
  if (!read.ok) return unreadable(read.mistakes.map((mistake) => ({ ...mistake, path: [] })))
  return declarationOf(surveyed(asObject(read.value as Record<string, unknown>), kinds), input, options)
}

function unlessInOnePiece<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof InOnePiece) return undefined
    throw error
  }
}

/**
 * Makes a configuration the whole content of a store, in one durable write; `meta` remembers its hash and what was made up, and
 * that it was loaded `by` a certain version, for `isLoaded`. Resolves with the refusal of one that has mistakes, nothing written.
 */
export async function loadDeclarative(
  store: Pick<Store, 'write'>,
  declaration: Declaration,
  by?: string,
): Promise<Written | Refusal> {
  // Entities that die are gone after a while, and are to come back with the file.
  let isLasting = by !== undefined
  const entities = watched(declaration.entities, ({ entity }) => (isLasting &&= typeof entity['ttl'] !== 'number'))
  // What the entities come to is known when they have been gone through, which is before these are looked at.
  const operations: Operation[] = [
    { do: 'replace-all', entities },
    laterMeta(hashName, () => declaration.hash),
    laterMeta(generatedName, () => JSON.stringify(declaration.generated)),
    laterMeta(loadedName, () => (isLasting && by !== undefined ? loadedBy(by, declaration.hash) : null)),
  ]
  return unlessRefused(() => store.write(operations))
}

const laterMeta = (name: string, value: () => string | null): Operation => ({
  do: 'meta',
  name,
  get value() {
    return value()
  },
})

function* watched<T>(all: Iterable<T>, look: (each: T) => void): Iterable<T> {
  for (const each of all) {
    look(each)
    yield each
  }
}

async function unlessRefused<T>(work: () => Promise<T>): Promise<T | Refusal> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Refused) return error.refusal
    throw error
  }
}

/**
 * Whether a store holds what this very text says, as this version reads it: then there is nothing to load, which spares a restart
 * with a million consumers most of a minute.
 */
export const isLoaded = (reader: Pick<Reader, 'meta'>, text: string, by: string): boolean =>
  reader.meta(loadedName) === loadedBy(by, configHash(text))

const loadedBy = (by: string, hash: string): string => `${hash} by ${by}`

/** What was written, and how many entities; or why nothing was, and of which entity that is said. */
export type Merged = { readonly written: Written; readonly entities: number; readonly at: Loaded | undefined } | Refusal

/**
 * Writes a configuration's entities beside what a store already holds, replacing those with the same ids, in one durable write.
 * Into an empty store they go as a whole, in the order of the tables.
 */
export async function mergeDeclarative(
  store: Pick<Store, 'write' | 'reader'>,
  text: string,
  options: DeclarativeOptions,
): Promise<Merged> {
  const previous = previousOf(store.reader)
  const isEmpty = [...everyKind.keys()].every((kind) => store.reader.count(kind) === 0)
  const read = (isEmpty ? readDeclarative : parseDeclarative)(text, { ...options, previous })
  if (!read.ok) return read
  return unlessRefused(() => writeBeside(store, read, previous, isEmpty))
}

async function writeBeside(
  store: Pick<Store, 'write'>,
  declaration: Declaration,
  previous: Previous,
  isEmpty: boolean,
): Promise<Merged> {
  let entities = 0
  const counted = watched(declaration.entities, () => entities++)
  const generated = laterMeta(generatedName, () =>
    JSON.stringify([...new Set([...previous.generated, ...declaration.generated])]),
  )
  const upserts = (): Operation[] => [...counted].map((loaded) => ({ do: 'upsert', ...loaded }))
  const operations: Operation[] = isEmpty ? [{ do: 'replace-all', entities: counted }] : upserts()
  const written = await store.write([...operations, generated])
  const failed = written.ok ? undefined : operations[written.at]
  return { written, entities, at: failed?.do === 'upsert' ? failed : undefined }
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

/** A file, and what is known of all its entities together. */
interface Surveyed {
  readonly file: Readonly<Record<string, unknown>>
  readonly kinds: ReadonlyMap<string, DeclarativeKind>
  readonly survey: Survey
  readonly malformed: readonly Malformed[]
}

function surveyed(given: Record<string, unknown>, kinds: ReadonlyMap<string, DeclarativeKind>): Surveyed {
  const file = modern(given)
  const malformed: Malformed[] = []
  return {
    file,
    kinds,
    survey: surveyOf(
      nodesOf(file, kinds, (place) => malformed.push(place)),
      kinds,
    ),
    malformed,
  }
}

function declarationOf(
  { file, kinds, survey, malformed }: Surveyed,
  input: string | object,
  options: DeclarativeOptions,
): Declaration {
  const transform = file['_transform'] !== false
  const wrong: EntityNode[] = []
  const generated: string[] = []
  let hash: string | undefined
  const checking = {
    kinds,
    context: options.context ?? realContext,
    previous: options.previous,
    transform: transform && options.transform !== 'later',
  }
  const entities = function* () {
    yield* checkNodes(nodesOf(file, kinds), survey, checking, { wrong, generated })
    const errors = errorsOfFrame(file, kinds, options.info === 'refused' ? kongPassesOver : passesOver)
    const mistaken = { wrong, malformed, errors }
    if (!hasMistakes(mistaken)) return
    const complaint = options.flatten ? flattenedComplaintOf(mistaken) : complaintOf(mistaken)
    const text = typeof input === 'string' ? input : undefined
    throw new Refused(refusal(complaint, () => placed(mistakesOf(mistaken), text)))
  }
  return {
    ok: true,
    entities: entities(),
    transform,
    generated,
    get hash() {
      return (hash ??=
        survey.count === 0 ? emptyHash : configHash(typeof input === 'string' ? input : canonical(input)))
    },
  }
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
  const changeItem = (item: unknown): unknown => (isTable(item) && !Array.isArray(item) ? change(item) : item)
  const isRead = items instanceof Items
  if (!isRead && !Array.isArray(items)) return table
  const changed = { ...table }
  define(changed, name, isRead ? new Items(() => mapped(items, changeItem)) : items.map(changeItem))
  return changed
}

function* mapped(items: Iterable<unknown>, change: (item: unknown) => unknown): Iterator<unknown> {
  for (const item of items) yield change(item)
}

function modernRoute(route: Record<string, unknown>): Record<string, unknown> {
  const paths = route['paths']
  if (!Array.isArray(paths)) return route
  return { ...route, paths: paths.map((path: unknown) => (typeof path === 'string' ? modernPath(path) : path)) }
}
