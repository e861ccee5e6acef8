import { luaText } from './lua-text.ts'

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
  const lines = Array.isArray(whole) ? whole.filter((text) => typeof text === 'string') : []
  for (const field of Object.keys(errors).sort()) {
    const error = errors[field]
    if (field === '@entity' || error === undefined) continue
    if (typeof error === 'string') lines.push(`${field}: ${error}`)
    else lines.push(...entriesOf(error).map(([name, within]) => `${field}.${name}: ${textOf(within)}`))
  }
  return lines
}

/** Entries in the order of a message: positions counted from 1 without the gaps, names sorted. */
function entriesOf(table: ErrorTree | (FieldError | null)[]): (readonly [string, FieldError])[] {
  if (Array.isArray(table)) {
    return table.flatMap((error, index) => (error === null ? [] : [[String(index + 1), error] as const]))
  }
  return Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1))
}

const textOf = (error: FieldError): string => (typeof error === 'string' ? error : luaTable(error))

/** A table as Lua writes it; on several lines as within violations, or on one line as in `{id="..."}`. */
export const luaTable = (table: object, layout: 'lines' | 'line' = 'lines'): string =>
  luaText(table, layout === 'lines' ? '  ' : '')

/** `'a', 'b'`; a list within becomes `('a', 'b')`. */
export const quotedList = (words: readonly (string | readonly string[])[]): string =>
  words.map((word) => (typeof word === 'string' ? `'${word}'` : `(${quotedList(word)})`)).join(', ')
