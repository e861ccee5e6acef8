/** Header lines on their way through: which are kept, and what is changed in them. */
import { guarded, known, nameByte } from './fields.ts'
import { markSize, nameIs, type Head } from './head.ts'

/** Changes that plugins make to a head, applied when it is written. */
export interface HeaderChanges {
  /** Names, in lower case, whose lines as received are dropped. */
  readonly dropped: string[]
  /** Lines that are added, in order. */
  readonly added: AddedLine[]
}

export interface AddedLine {
  readonly lower: string
  readonly name: string
  readonly value: string
  /** Whether it stands before what was received. */
  readonly isFirst: boolean
}

/**
 * The lines of a head that are forwarded, as one text: all but those whose known field has a bit of `mask` in `table`, and those
 * named (in lower case) in `names`. Lines are copied as ranges, in order and as they were received.
 */
export function keptLines(head: Head, table: Uint8Array, mask: number, names: readonly string[] | undefined): string {
  const { marks, text } = head
  let lines = ''
  let from = -1
  for (let at = 0; at < marks.length; at += markSize) {
    const id = marks[at + 4] as number
    const dropped =
      ((table[id] as number) & mask) !== 0 || (names !== undefined && names.some((name) => nameIs(head, at, name)))
    if (!dropped) {
      if (from < 0) from = marks[at] as number
    } else if (from >= 0) {
      lines += text.slice(from, marks[at])
      from = -1
    }
  }
  return from < 0 ? lines : lines + text.slice(from, text.length - 2)
}

const guardedNames = new Set(known.filter((_, id) => guarded[id] === 1).map((field) => field.name))

/**
 * The header lines that a `Connection` header takes out besides the usual. What frames the message, says who the client is, or is
 * set by the gateway stays: naming it in `Connection` would let a client steer what the upstream sees (CVE-2026-6338).
 */
export function nominatedNames(head: Head): readonly string[] | undefined {
  if (head.nominated === undefined) return undefined
  return head.nominated.filter((name) => !guardedNames.has(name) && !name.startsWith('x-forwarded-'))
}

/** Every value of a header, in the order of its lines. */
export function allValues(head: Head, lowerName: string): string[] {
  const values: string[] = []
  for (let at = 0; at < head.marks.length; at += markSize) {
    if (nameIs(head, at, lowerName)) values.push(head.text.slice(head.marks[at + 2], head.marks[at + 3]))
  }
  return values
}

/** The names in a head, in lower case, that are this one but for `_` in the place of `-`, or the other way round. */
export function namesLike(head: Head, name: string): string[] {
  const { marks, text } = head
  const wanted = withDashes(name)
  const names: string[] = []
  for (let at = 0; at < marks.length; at += markSize) {
    if ((marks[at + 1] as number) - (marks[at] as number) !== name.length) continue
    const found = text.slice(marks[at], marks[at + 1]).toLowerCase()
    if (withDashes(found) === wanted) names.push(found)
  }
  return names
}

const withDashes = (name: string): string => name.toLowerCase().replaceAll('_', '-')

/** All headers by lower-case name, those named in `without` left out. */
export function headerMap(
  head: Head,
  table: Uint8Array,
  mask: number,
  without: readonly string[],
): Map<string, string[]> {
  const map = new Map<string, string[]>()
  for (let at = 0; at < head.marks.length; at += markSize) {
    if ((table[head.marks[at + 4] as number] as number) & mask) continue
    const name = head.text.slice(head.marks[at], head.marks[at + 1]).toLowerCase()
    if (without.includes(name)) continue
    const value = head.text.slice(head.marks[at + 2], head.marks[at + 3])
    const values = map.get(name)
    if (values) values.push(value)
    else map.set(name, [value])
  }
  return map
}

/** A header's value or name as it may go on the wire: one line, one byte a character (UTF-8 where it has more). */
export function wireText(text: string): string {
  return isPlain(text)
    ? text
    : Buffer.from(text.replaceAll(/[\u0000-\u0008\u000a-\u001f\u007f]/g, ''), 'utf8').toString('latin1')
}

function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if ((code < 0x20 && code !== 9) || code >= 0x7f) return false
  }
  return true
}

/** Whether a text can be a field name (RFC 9110 5.1). */
export function isFieldName(text: string): boolean {
  if (text === '') return false
  for (let at = 0; at < text.length; at++) {
    if (!nameByte[text.charCodeAt(at)]) return false
  }
  return true
}

/**
 * Whether a line says where the message or its connection ends: that the connection alone may say, since a second word on it splits
 * messages (RFC 9112 6). Nominating `Upgrade`, as a 426 does, says neither.
 */
export function isFraming(lowerName: string, value: string): boolean {
  if (lowerName === 'connection') return value !== 'Upgrade'
  return lowerName === 'content-length' || lowerName === 'transfer-encoding'
}
