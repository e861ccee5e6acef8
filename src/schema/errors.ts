import { type Table, isTable } from './value.ts'

/** What is wrong with one field: a text, or for arrays and records what is wrong within. */
export type FieldError = string | ErrorTree | (FieldError | null)[]

/** Kong's error tree: a text per field, nested like the input; texts about the whole stand under `@entity`. */
export type ErrorTree = { [field: string]: FieldError }

/**
 * The one line that an error tree's `message` is in Kong's words: `schema violation (host: required field missing)`.
 * Texts about the whole come first, then the fields in the order of their names.
 */
export function errorMessage(errors: ErrorTree): string {
  const lines = violations(errors)
  const noun = lines.length === 1 ? 'schema violation' : `${lines.length} schema violations`
  return `${noun} (${lines.join('; ')})`
}

function violations(errors: ErrorTree): string[] {
  const whole = errors['@entity']
  const lines = Array.isArray(whole) ? whole.map(String) : []
  for (const field of Object.keys(errors).sort()) {
    if (field === '@entity') continue
    const error = errors[field]
    if (!isTable(error)) lines.push(`${field}: ${error}`)
    else for (const [name, text] of entriesOf(error)) lines.push(`${field}.${name}: ${isTable(text) ? luaTable(text) : text}`)
  }
  return lines
}

/** Entries in the order of a message: positions counted from 1 without the gaps, names sorted. */
function entriesOf(table: Table | unknown[]): (readonly [string, unknown])[] {
  if (Array.isArray(table)) {
    return table.map((value, index) => [String(index + 1), value] as const).filter(([, value]) => value !== null && value !== undefined)
  }
  return Object.keys(table).sort().map((name) => [name, table[name]] as const)
}

const identifier = /^[A-Za-z_]\w*$/
const keywords = new Set(
  'and break do else elseif end false for function if in local nil not or repeat return then true until while'.split(' '),
)

/** A table as Lua writes it; on several lines as within violations, or on one line as in `{id="..."}`. */
export function luaTable(table: Table | unknown[], layout: 'lines' | 'line' = 'lines'): string {
  return layout === 'line' ? onOneLine(table) : onLines(table, '')
}

function onLines(value: unknown, indent: string): string {
  if (!isTable(value)) return scalar(value)
  const inner = `${indent}  `
  const members = membersOf(value).map(([key, member]) => `${inner}${key === '' ? '' : `${key} = `}${onLines(member, inner)}`)
  return members.length === 0 ? `{\n${indent}}` : `{\n${members.join(',\n')}\n${indent}}`
}

function onOneLine(value: unknown): string {
  if (!isTable(value)) return scalar(value)
  return `{${membersOf(value).map(([key, member]) => `${key === '' ? '' : `${key}=`}${onOneLine(member)}`).join(',')}}`
}

/** Members with their keys as written; those of an array up to its first gap have none. */
function membersOf(table: Table | unknown[]): (readonly [string, unknown])[] {
  const gap = Array.isArray(table) ? table.findIndex((value) => value === null || value === undefined) : 0
  const listed = Array.isArray(table) ? (gap < 0 ? table.length : gap) : 0
  return entriesOf(table).map(([key, value], index) => {
    if (Array.isArray(table)) return [index < listed ? '' : `[${key}]`, value] as const
    return [identifier.test(key) && !keywords.has(key) ? key : `[${quoted(key)}]`, value] as const
  })
}

const scalar = (value: unknown): string => (typeof value === 'string' ? quoted(value) : String(value))

const quoted = (text: string): string =>
  `"${text.replaceAll(/[\\"\n\r\u0000]/g, (character) => escapes[character] ?? character)}"`

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\\n', '\r': '\\r', '\u0000': '\\0' }

/** `'a', 'b'`; a list within becomes `('a', 'b')`. */
export const quotedList = (words: readonly (string | readonly string[])[]): string =>
  words.map((word) => (typeof word === 'string' ? `'${word}'` : `(${quotedList(word)})`)).join(', ')
