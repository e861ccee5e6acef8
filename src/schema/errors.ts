import { luaText } from './lua-text.ts'
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
    else
      for (const [name, text] of entriesOf(error))
        lines.push(`${field}.${name}: ${isTable(text) ? luaTable(text) : text}`)
  }
  return lines
}

/** Entries in the order of a message: positions counted from 1 without the gaps, names sorted. */
function entriesOf(table: Table | unknown[]): (readonly [string, unknown])[] {
  if (Array.isArray(table)) {
    return table
      .map((value, index) => [String(index + 1), value] as const)
      .filter(([, value]) => value !== null && value !== undefined)
  }
  return Object.keys(table)
    .sort()
    .map((name) => [name, table[name]] as const)
}

/** A table as Lua writes it; on several lines as within violations, or on one line as in `{id="..."}`. */
export const luaTable = (table: Table | unknown[], layout: 'lines' | 'line' = 'lines'): string =>
  luaText(table, layout === 'lines' ? '  ' : '')

/** `'a', 'b'`; a list within becomes `('a', 'b')`. */
export const quotedList = (words: readonly (string | readonly string[])[]): string =>
  words.map((word) => (typeof word === 'string' ? `'${word}'` : `(${quotedList(word)})`)).join(', ')
