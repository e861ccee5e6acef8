/**
 * Writes a value as a Lua table: Kong's messages hold error trees and keys in this form, and clients match on them.
 * `{ plugins: [{ name: 'x' }] }` is `{plugins={{name="x"}}}`, or spread over lines when an indent is given.
 */
export function luaText(value: unknown, indent = ''): string {
  return write(value, '', indent)
}

function write(value: unknown, outer: string, indent: string): string {
  if (typeof value === 'string') return quote(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'nil'
  const entries = Array.isArray(value) ? itemsOf(value) : fieldsOf(value)
  const inner = outer + indent
  const equals = indent === '' ? '=' : ' = '
  const lines = entries.map(([key, entry]) => inner + (key === '' ? '' : key + equals) + write(entry, inner, indent))
  if (lines.length === 0) return indent === '' ? '{}' : `{\n${outer}}`
  return indent === '' ? `{${lines.join(',')}}` : `{\n${lines.join(',\n')}\n${outer}}`
}

/** An array's items: those before the first hole stand alone, those after it with their index, which Lua counts from 1. */
function itemsOf(items: readonly unknown[]): [key: string, item: unknown][] {
  const hole = items.findIndex((item) => item === null || item === undefined)
  const dense = hole === -1 ? items.length : hole
  const entries: [string, unknown][] = []
  items.forEach((item, index) => {
    if (item === null || item === undefined) return
    entries.push([index < dense ? '' : `[${index + 1}]`, item])
  })
  return entries
}

function fieldsOf(record: object): [key: string, value: unknown][] {
  return Object.entries(record)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => [keyText(name), value])
}

const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/
const keywords = new Set(
  'and break do else elseif end false for function if in local nil not or repeat return then true until while'.split(
    ' ',
  ),
)

function keyText(name: string): string {
  if (identifier.test(name) && !keywords.has(name)) return name
  const quoted = quote(name)
  return quoted.startsWith('[') ? `[ ${quoted} ]` : `[${quoted}]`
}

/** A text with a line break, or with what looks like a long bracket, stands in long brackets that it does not itself contain. */
function quote(text: string): string {
  const brackets = [...`${text}]`.matchAll(/([[\]])(=*)\1/g)].map((match) => match[2]?.length ?? 0)
  if ((text.includes('\n') || brackets.length > 0) && !text.includes('\r')) {
    const signs = '='.repeat(brackets.length === 0 ? 0 : brackets.reduce((a, b) => Math.max(a, b)) + 1)
    return `[${signs}[${text.startsWith('\n') ? '\n' : ''}${text}]${signs}]`
  }
  return `"${text
    .replace(/["\\\n]/g, '\\$&')
    .replace(/\r/g, '\\r')
    .replace(/[\0-\x09\x0b-\x1f\x7f]/g, decimalEscape)}"`
}

const decimalEscape = (character: string): string => `\\${String(character.charCodeAt(0)).padStart(3, '0')}`
