import { plainScalar } from './yaml-scalars.ts'

/** Wrapped, because null is a value. */
export interface PlainYaml {
  readonly value: unknown
}

/**
 * Reads the plain part of YAML that configurations mostly keep to (block maps and lists, words, simple quotes, literal
 * blocks), about ten times as fast as the full reader. Undefined where a text holds anything else, a mistake included:
 * the full reader, which gives the same value for whatever is read here, then decides.
 */
export function readPlainYaml(text: string, depth: number): PlainYaml | undefined {
  if (unusual.test(text)) return undefined
  const lines = linesOf(text, text.startsWith('---\n') ? 4 : 0, text.length)
  if (lines.done || lines.indent !== 0) return undefined
  const value = block(lines, depth)
  return value === strange || !lines.done ? undefined : { value }
}

/** A section at the top: a list that is read item by item, the reader returning whether that was all of it; or its value. */
export type PlainSection =
  | { readonly name: string; readonly items: () => Iterator<unknown, boolean> }
  | { readonly name: string; readonly value: unknown }

/** The same for a text whose top is a map, with the lists of these names left to be read item by item. */
export function yamlSections(
  text: string,
  depth: number,
  names: { has(name: string): boolean },
): ReadonlyMap<string, PlainSection> | undefined {
  if (unusual.test(text)) return undefined
  const begins = beginsAtTop(text)
  const sections = new Map<string, PlainSection>()
  for (const [at, begin] of begins.entries()) {
    const section = sectionOf(text, begin, begins[at + 1] ?? text.length, depth, names)
    if (!section || sections.has(section.name)) return undefined
    sections.set(section.name, section)
  }
  return sections.size > 0 ? sections : undefined
}

/** Where the first line begins that says anything, and those below that stand at the left and are neither comments nor items. */
function beginsAtTop(text: string): number[] {
  const first = linesOf(text, text.startsWith('---\n') ? 4 : 0, text.length).at
  const begins: number[] = []
  for (let at = first; at < text.length; at = endOfLine(text, at) + 1) {
    const code = text.charCodeAt(at)
    const isInside = code === blank || code === lineFeed || code === numberSign || code === dash
    if (at === first || !isInside) begins.push(at)
  }
  return begins
}

const [lineFeed, blank, numberSign, dash] = [0x0a, 0x20, 0x23, 0x2d]

function sectionOf(
  text: string,
  begin: number,
  end: number,
  depth: number,
  names: { has(name: string): boolean },
): PlainSection | undefined {
  const lines = linesOf(text, begin, end)
  const [, name, rest = ''] = entry.exec(lines.content) ?? []
  if (name === undefined || name === '__proto__' || lines.indent !== 0) return undefined
  if (rest === '' && names.has(name)) {
    advance(lines)
    if (isItem(lines)) return { name, items: () => itemsOf(text, begin, end, depth - 1) }
  }
  const read = linesOf(text, begin, end)
  const value = map(read, depth)
  return value === strange || !read.done ? undefined : { name, value: (value as Record<string, unknown>)[name] }
}

function* itemsOf(text: string, begin: number, end: number, depth: number): Iterator<unknown, boolean> {
  const lines = linesOf(text, begin, end)
  advance(lines)
  const { indent } = lines
  while (lines.indent === indent && isItem(lines)) {
    const value = depth > 0 ? item(lines, depth) : strange
    if (value === strange) return false
    yield value
  }
  return lines.done
}

/** Tabs, carriage returns and whatever else readers of YAML disagree about. */
const unusual = /[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]/

/** Stands for what only the full reader understands. */
const strange = Symbol('strange')

/** The line that is read now, and where. What stands behind `- ` on its line becomes a line of its own, further in. */
interface Lines {
  readonly text: string
  /** Where they end. */
  readonly end: number
  /** Where the present one begins. */
  at: number
  indent: number
  content: string
  done: boolean
}

function linesOf(text: string, begin: number, end: number): Lines {
  const lines: Lines = { text, end, at: begin, indent: 0, content: '', done: false }
  load(lines)
  return lines
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end < 0 ? text.length : end
}

/** The line that begins at a place; empty behind the last one. */
const lineAt = ({ text, end }: Lines, at: number): string => text.slice(at, Math.min(end, endOfLine(text, at)))

const nextAt = ({ text }: Lines, at: number): number => endOfLine(text, at) + 1

/** Makes the next line that is neither empty nor a comment the present one, beginning with the one at `at`. */
function load(lines: Lines): void {
  for (; lines.at < lines.end; lines.at = nextAt(lines, lines.at)) {
    const line = lineAt(lines, lines.at)
    const indent = indentOf(line)
    if (indent === line.length || line[indent] === '#') continue
    lines.indent = indent
    lines.content = line.slice(indent).trimEnd()
    return
  }
  lines.indent = -1
  lines.content = ''
  lines.done = true
}

function indentOf(line: string): number {
  let indent = 0
  while (line.charCodeAt(indent) === 0x20) indent++
  return indent
}

function advance(lines: Lines): void {
  lines.at = nextAt(lines, lines.at)
  load(lines)
}

const isItem = ({ content }: Lines): boolean => content === '-' || content.startsWith('- ')

/** The collection that begins at the present line. */
function block(lines: Lines, depth: number): unknown {
  if (depth === 0) return strange
  return isItem(lines) ? list(lines, depth) : map(lines, depth)
}

function list(lines: Lines, depth: number): unknown {
  const { indent } = lines
  const items: unknown[] = []
  while (lines.indent === indent && isItem(lines)) {
    const value = item(lines, depth)
    if (value === strange) return strange
    items.push(value)
  }
  return lines.indent > indent ? strange : items
}

function item(lines: Lines, depth: number): unknown {
  const { indent } = lines
  const rest = lines.content.slice(1).trimStart()
  if (rest === '') {
    advance(lines)
    return lines.indent > indent ? block(lines, depth - 1) : null
  }
  if (!entry.test(rest)) return scalar(lines, rest)
  lines.indent = indent + lines.content.length - rest.length
  lines.content = rest
  return depth === 1 ? strange : map(lines, depth - 1)
}

const entry = /^([A-Za-z_][\w./-]*):(?: +(.*))?$/

function map(lines: Lines, depth: number): unknown {
  const { indent } = lines
  const fields: Record<string, unknown> = {}
  while (lines.indent === indent && !isItem(lines)) {
    const [, key, rest = ''] = entry.exec(lines.content) ?? []
    if (key === undefined || key === '__proto__' || Object.hasOwn(fields, key)) return strange
    const value = rest === '' ? below(lines, depth) : scalar(lines, rest)
    if (value === strange) return strange
    fields[key] = value
  }
  return lines.indent > indent ? strange : fields
}

/** What stands on the lines below `key:`; a list may stand as far left as its key. */
function below(lines: Lines, depth: number): unknown {
  const { indent } = lines
  advance(lines)
  const isListBeside = lines.indent === indent && isItem(lines)
  return lines.indent > indent || isListBeside ? block(lines, depth - 1) : null
}

/** A value on the present line, which is then behind us; lines that would go on with it stand further in, and are noticed there. */
function scalar(lines: Lines, text: string): unknown {
  if (text === '|' || text === '|-') return literal(lines, text === '|')
  const value = inline(text)
  advance(lines)
  return value
}

function inline(text: string): unknown {
  const [, double, single] = quotes.exec(text) ?? []
  if (double !== undefined || single !== undefined) return double ?? single
  if (text === '[]') return []
  if (text === '{}') return {}
  if (text.startsWith('[')) return flowList.test(text) ? text.slice(1, -1).split(',').map(flowItem) : strange
  return plain.test(text) && !text.includes(': ') && !text.includes(' #') && !text.endsWith(':')
    ? finite(plainScalar(text))
    : strange
}

const quotes = /^(?:"([^"\\]*)"|'([^']*)')$/
const plain = /^(?:[A-Za-z0-9_/~.+]|-[^ ])[ -~]*$/
/** Words and simple quotes; nothing in it is a bracket or a comma of its own. */
const flowList = /^\[ *(?:[A-Za-z0-9/][\w./-]*|"[\w./ *-]*") *(?:, *(?:[A-Za-z0-9/][\w./-]*|"[\w./ *-]*") *)*\]$/

function flowItem(text: string): unknown {
  const word = text.trim()
  return word.startsWith('"') ? word.slice(1, -1) : plainScalar(word)
}

/** What is too large for a number is for the full reader to refuse. */
const finite = (value: unknown): unknown => (typeof value === 'number' && !Number.isFinite(value) ? strange : value)

/** The lines below that stand further in than the line that begins the block; the first of them says how far. */
function literal(lines: Lines, endsInBreak: boolean): unknown {
  const outer = indentOf(lineAt(lines, lines.at))
  const below = nextAt(lines, lines.at)
  const first = below < lines.end ? lineAt(lines, below) : ''
  const indent = indentOf(first)
  // Where the block begins behind `- `, its lines need only stand further in than that.
  if (indent <= Math.max(outer, lines.indent) || indent === first.length) return strange
  const texts: string[] = []
  for (lines.at = below; lines.at < lines.end; lines.at = nextAt(lines, lines.at)) {
    const line = lineAt(lines, lines.at)
    if (line.length > 0 && indentOf(line) < indent) break
    texts.push(line.slice(indent))
  }
  while (texts.at(-1) === '') texts.pop()
  load(lines)
  return texts.join('\n') + (endsInBreak ? '\n' : '')
}
