import { type Document, isAlias, isMap, isScalar, isSeq, type Node, parseDocument, type Range, type Scalar } from 'yaml'
import { readPlainYaml } from './yaml-plain.ts'
import { plainScalar, taggedScalar } from './yaml-scalars.ts'

/** A place in a text; both count from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** What is wrong with a text, and where. */
export interface TextMistake extends Position {
  readonly message: string
}

export type ParsedText =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly mistakes: readonly TextMistake[] }

export interface YamlLimits {
  /** How deep collections may stand in one another. */
  readonly depth: number
  /** How many nodes all aliases together may stand for, so that a few lines cannot unfold into gigabytes. */
  readonly aliasedNodes: number
}

/** No real configuration comes near these. */
export const yamlLimits: YamlLimits = { depth: 100, aliasedNodes: 1_000_000 }

/**
 * Reads one YAML document as Kong does (see `yaml-scalars.ts` for what plain words mean) into plain data.
 * Keys are always strings, a key given twice is a mistake, and so are cyclic aliases, a second document and unknown tags.
 * Aliased data is shared, not copied: treat the value as read-only.
 */
export function parseYaml(text: string, limits: YamlLimits = yamlLimits): ParsedText {
  const plain = readPlainYaml(text, limits.depth)
  return plain ? { ok: true, value: plain.value } : parseFullYaml(text, limits)
}

/** The same, by way of the full reader alone. */
export function parseFullYaml(text: string, limits: YamlLimits = yamlLimits): ParsedText {
  const document = compose(text)
  if ('message' in document) return { ok: false, mistakes: [{ ...document, line: 1, column: 1 }] }
  if (document.errors.length > 0) return { ok: false, mistakes: syntaxMistakes(document, text) }
  const reading: Reading = { limits, anchors: new Map(), nodes: 0, aliased: 0, mistakes: [] }
  const value = valueOf(document.contents, reading, 0)
  if (reading.mistakes.length === 0) return { ok: true, value }
  const mistakes = reading.mistakes.map(({ offset, message }) => ({ ...positionAt(text, offset), message }))
  return { ok: false, mistakes }
}

/**
 * Finds where the values at `paths` stand in a YAML or JSON text: an entry's key, a list's item, or, where a path leads
 * to nothing, the nearest thing around it.
 */
export function positionsOf(text: string, paths: readonly (readonly (string | number)[])[]): Position[] {
  const document = compose(text)
  if ('message' in document) return paths.map(() => ({ line: 1, column: 1 }))
  const anchors = anchorsOf(document.contents)
  const lines = lineStarts(text)
  return paths.map((path) => positionIn(lines, offsetOf(document.contents, path, anchors)))
}

/** The place of a character in a text. */
export function positionAt(text: string, offset: number): Position {
  return positionIn(lineStarts(text.slice(0, offset)), offset)
}

const mostMistakes = 100

/** The failsafe schema leaves every scalar as it is written; duplicate keys are found below, in time that does not grow quadratically. */
function compose(text: string): Document.Parsed | { readonly message: string } {
  try {
    return parseDocument(text, { schema: 'failsafe', uniqueKeys: false, prettyErrors: false, logLevel: 'error' })
  } catch (error) {
    if (error instanceof RangeError) return { message: 'nested too deeply' }
    throw error
  }
}

function syntaxMistakes(document: Document.Parsed, text: string): TextMistake[] {
  return document.errors.slice(0, mostMistakes).map((error) => {
    const open = openFlow.find(([begin]) => error.message.startsWith(begin))
    if (open) return { ...positionAt(text, startOfWordBefore(text, error.pos[0])), message: open[1] }
    const message = error.code === 'MULTIPLE_DOCS' ? 'expected a single document' : error.message
    return { ...positionAt(text, error.pos[0]), message }
  })
}

/** An unclosed list or map is told in LibYAML's words, which Kong's answers hold, and at the last word that was read. */
const openFlow = [
  ['Flow sequence', "did not find expected ',' or ']'"],
  ['Flow map', "did not find expected ',' or '}'"],
] as const

function startOfWordBefore(text: string, offset: number): number {
  const end = text.slice(0, offset).trimEnd().length
  let start = end
  while (start > 0 && !' \t\r\n,[]{}'.includes(text[start - 1] ?? '')) start--
  return start === end ? Math.max(0, end - 1) : start
}

interface Reading {
  readonly limits: YamlLimits
  readonly anchors: Map<string, { readonly value: unknown; readonly nodes: number }>
  nodes: number
  aliased: number
  readonly mistakes: { readonly offset: number; readonly message: string }[]
}

function valueOf(node: Node | null, reading: Reading, depth: number): unknown {
  if (node === null) return null
  if (depth > reading.limits.depth)
    return mistake(reading, node, `nested more than ${reading.limits.depth} levels deep`)
  if (isAlias(node)) return aliased(node.source, node, reading)
  const before = reading.nodes++
  const value = contentOf(node, reading, depth)
  const anchor = (node as { anchor?: string }).anchor
  if (anchor !== undefined) reading.anchors.set(anchor, { value, nodes: reading.nodes - before })
  return value
}

function contentOf(node: Node, reading: Reading, depth: number): unknown {
  if (isScalar(node)) return scalarOf(node, reading)
  if (isSeq(node)) return node.items.map((item) => valueOf(item as Node | null, reading, depth + 1))
  return mapOf(node, reading, depth)
}

/** An anchor is known from its end on, so an alias inside its own anchor is unknown, and no cycle can arise. */
function aliased(name: string, node: Node, reading: Reading): unknown {
  const anchored = reading.anchors.get(name)
  if (!anchored) return mistake(reading, node, `found undefined alias '${name}'`)
  reading.aliased += anchored.nodes
  reading.nodes += anchored.nodes
  if (reading.aliased > reading.limits.aliasedNodes) return mistake(reading, node, 'aliases unfold into too much data')
  return anchored.value
}

function scalarOf(node: Scalar, reading: Reading): unknown {
  const text = textOf(node)
  const read = node.tag ? taggedScalar(node.tag, text) : { value: node.type === 'PLAIN' ? plainScalar(text) : text }
  if ('message' in read) return mistake(reading, node, read.message)
  if (typeof read.value === 'number' && !Number.isFinite(read.value))
    return mistake(reading, node, `'${text}' is not a finite number`)
  return read.value
}

function mapOf(node: Node, reading: Reading, depth: number): unknown {
  const map: Record<string, unknown> = {}
  if (!isMap(node)) return map
  const own = new Set<string>()
  for (const pair of node.items) {
    const key = keyOf(pair.key as Node | null, reading)
    if (key === undefined) continue
    const value = valueOf(pair.value as Node | null, reading, depth + 1)
    if (key === '<<') {
      merge(map, value, node, reading)
      continue
    }
    if (own.has(key)) mistake(reading, pair.key as Node, `the key '${key}' is given twice`)
    own.add(key)
    setField(map, key, value)
  }
  return map
}

function keyOf(node: Node | null, reading: Reading): string | undefined {
  if (node === null) return ''
  if (isScalar(node)) return textOf(node)
  return mistake(reading, node, 'a key must be a text')
}

/** What a map has already is kept; what it says itself later wins over what was merged. */
function merge(map: Record<string, unknown>, value: unknown, node: Node, reading: Reading): void {
  for (const source of Array.isArray(value) ? value : [value]) {
    if (typeof source !== 'object' || source === null || Array.isArray(source)) {
      mistake(reading, node, "'<<' merges maps only")
      return
    }
    const fields = Object.entries(source)
    reading.aliased += fields.length
    if (reading.aliased > reading.limits.aliasedNodes) {
      mistake(reading, node, 'aliases unfold into too much data')
      return
    }
    for (const [key, field] of fields) if (!Object.hasOwn(map, key)) setField(map, key, field)
  }
}

/** Sets a field of data that strangers name: assigning to `__proto__` would change the object's nature instead. */
function setField(map: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') {
    map[key] = value
    return
  }
  Object.defineProperty(map, key, { value, writable: true, enumerable: true, configurable: true })
}

function mistake(reading: Reading, node: Node, message: string): undefined {
  if (reading.mistakes.length < mostMistakes) reading.mistakes.push({ offset: rangeOf(node)[0], message })
  return undefined
}

const rangeOf = (node: Node): Range => node.range ?? [0, 0, 0]

/** In the failsafe schema every scalar is a text. */
const textOf = ({ value }: Scalar): string => (typeof value === 'string' ? value : '')

function anchorsOf(root: Node | null): ReadonlyMap<string, Node> {
  const anchors = new Map<string, Node>()
  const waiting: unknown[] = [root]
  while (waiting.length > 0) {
    const node = waiting.pop()
    if (isAlias(node)) continue
    const anchor = (node as { anchor?: string } | null)?.anchor
    if (anchor !== undefined && !anchors.has(anchor)) anchors.set(anchor, node as Node)
    if (isSeq(node)) waiting.push(...node.items.toReversed())
    if (isMap(node)) for (const pair of node.items.toReversed()) waiting.push(pair.value)
  }
  return anchors
}

function offsetOf(root: Node | null, path: readonly (string | number)[], anchors: ReadonlyMap<string, Node>): number {
  let node: Node | null | undefined = root
  let offset = root ? rangeOf(root)[0] : 0
  for (const step of path) {
    if (isAlias(node)) node = anchors.get(node.source)
    if (isMap(node)) {
      const pair: { key: unknown; value: unknown } | undefined = node.items.find(
        ({ key }) => isScalar(key) && textOf(key) === String(step),
      )
      if (!pair) return offset
      offset = rangeOf(pair.key as Node)[0]
      node = pair.value as Node | null
      continue
    }
    const item: unknown = isSeq(node) && typeof step === 'number' ? node.items[step] : undefined
    if (!item) return offset
    node = item as Node
    offset = rangeOf(node)[0]
  }
  return offset
}

function lineStarts(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

function positionIn(starts: readonly number[], offset: number): Position {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((starts[middle] ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
}
