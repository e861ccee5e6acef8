/**
 * A configuration's text is read section by section, and a section item by item, each time that it is gone through: data of a
 * million entities is never held at once. What cannot be read so, a mistake in the text included, is read as a whole.
 */
import { isDeeperThan, type TextFormat, type TextLimits } from './declarative-text.ts'
import { yamlSections } from './yaml-plain.ts'

/** A list that is read each time it is gone through. */
export class Items implements Iterable<unknown> {
  readonly #read: () => Iterator<unknown>

  constructor(read: () => Iterator<unknown>) {
    this.#read = read
  }

  [Symbol.iterator](): Iterator<unknown> {
    return this.#read()
  }
}

/** What going through a section throws where it cannot be read piece by piece; what was read before says nothing then. */
export class InOnePiece extends Error {
  override readonly name = 'InOnePiece'
}

/** The values at the top of a text, with `Items` for the lists of these names; undefined where it is to be read as a whole. */
export function inPieces(
  text: string,
  format: TextFormat,
  limits: TextLimits,
  names: { has(name: string): boolean },
): Record<string, unknown> | undefined {
  if (text.length > limits.length) return undefined
  const whole = text.startsWith('\uFEFF') ? text.slice(1) : text
  const isJson = format === 'json' || (format === 'auto' && /^\s*[[{]/.test(whole))
  try {
    return isJson ? jsonSections(whole, limits.depth, names) : yamlInPieces(whole, limits.depth, names)
  } catch (error) {
    if (error instanceof InOnePiece || error instanceof SyntaxError) return undefined
    throw error
  }
}

function yamlInPieces(
  text: string,
  depth: number,
  names: { has(name: string): boolean },
): Record<string, unknown> | undefined {
  const sections = yamlSections(text, depth, names)
  if (!sections) return undefined
  const file: Record<string, unknown> = {}
  for (const [name, section] of sections) {
    file[name] = 'items' in section ? new Items(() => whole(section.items())) : section.value
  }
  return file
}

/** The items up to the end, where a reader says whether they were all that there is. */
function* whole(items: Iterator<unknown, boolean>): Iterator<unknown> {
  for (let next = items.next(); ; next = items.next()) {
    if (!next.done) yield next.value
    else if (next.value) return
    else throw new InOnePiece()
  }
}

function jsonSections(
  text: string,
  depth: number,
  names: { has(name: string): boolean },
): Record<string, unknown> | undefined {
  const file: Record<string, unknown> = {}
  let at = space(text, 0)
  if (text[at] !== '{') return undefined
  at = space(text, at + 1)
  while (text[at] !== '}') {
    const keyEnd = endOfValue(text, at)
    const name: unknown = JSON.parse(text.slice(at, keyEnd))
    at = space(text, keyEnd)
    if (typeof name !== 'string' || name === '__proto__' || text[at] !== ':') return undefined
    const begin = space(text, at + 1)
    const end = endOfValue(text, begin)
    const isSection = text[begin] === '[' && names.has(name)
    const value: unknown = isSection
      ? new Items(() => jsonItems(text, begin, depth - 1))
      : parsed(text, begin, end, depth - 1)
    file[name] = value
    at = space(text, end)
    if (text[at] === ',') {
      at = space(text, at + 1)
      if (text[at] === '}') return undefined
    } else if (text[at] !== '}') return undefined
  }
  return space(text, at + 1) === text.length ? file : undefined
}

/** The items of the list that begins at a place. */
function* jsonItems(text: string, begin: number, depth: number): Iterator<unknown> {
  let at = space(text, begin + 1)
  if (text[at] === ']') return
  for (;;) {
    const end = endOfValue(text, at)
    yield parsed(text, at, end, depth - 1)
    at = space(text, end)
    if (text[at] === ']') return
    if (text[at] !== ',') throw new InOnePiece()
    at = space(text, at + 1)
  }
}

function parsed(text: string, begin: number, end: number, depth: number): unknown {
  let value: unknown
  try {
    value = JSON.parse(text.slice(begin, end))
  } catch {
    throw new InOnePiece()
  }
  if (typeof value === 'object' && value !== null && isDeeperThan(value, depth)) throw new InOnePiece()
  return value
}

const [tab, lineFeed, carriageReturn, blank, quote, comma] = [0x09, 0x0a, 0x0d, 0x20, 0x22, 0x2c]
const [openList, backslash, closeList, openMap, closeMap] = [0x5b, 0x5c, 0x5d, 0x7b, 0x7d]

/** The next place that is no white space (RFC 8259, section 2). */
function space(text: string, from: number): number {
  let at = from
  for (;;) {
    const code = text.charCodeAt(at)
    if (code !== blank && code !== lineFeed && code !== carriageReturn && code !== tab) return at
    at++
  }
}

/** Behind the value that begins at a place, by its brackets and quotes alone: whether it is one, `JSON.parse` says. */
function endOfValue(text: string, from: number): number {
  let level = 0
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = endOfString(text, at)
      if (level === 0) return at + 1
    } else if (code === openMap || code === openList) level++
    else if (code === closeMap || code === closeList) {
      if (level === 0) return at
      if (--level === 0) return at + 1
    } else if (
      level === 0 &&
      (code === comma || code === blank || code === lineFeed || code === carriageReturn || code === tab)
    )
      return at
  }
  throw new InOnePiece()
}

/** The quote that ends a string: not one that stands behind an odd number of backslashes. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let before = at
    while (text.charCodeAt(before - 1) === backslash) before--
    if ((at - before) % 2 === 0) return at
  }
  throw new InOnePiece()
}
