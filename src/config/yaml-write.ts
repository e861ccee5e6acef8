import { plainScalar } from './yaml-scalars.ts'

/**
 * Writes plain data as YAML in block style, so that Kong, decK and our own reader all read the same data back:
 * a text that any of them could take for something else stands in quotes. `indent` is in spaces.
 */
export function writeYaml(value: unknown, indent = 0): string {
  if (Array.isArray(value) && value.length > 0)
    return value.map((item) => `${pad(indent)}- ${itemText(item, indent + 2)}`).join('')
  const fields = isRecord(value) ? fieldsOf(value) : []
  if (fields.length > 0)
    return fields.map(([key, field]) => `${pad(indent)}${scalarText(key)}:${fieldText(field, indent)}`).join('')
  return `${pad(indent)}${scalarText(value)}\n`
}

const pad = (indent: number): string => ' '.repeat(indent)

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const fieldsOf = (record: Record<string, unknown>): [string, unknown][] =>
  Object.entries(record).filter(([, value]) => value !== undefined)

const isEmpty = (value: unknown): boolean =>
  Array.isArray(value) ? value.length === 0 : isRecord(value) && fieldsOf(value).length === 0

const isCollection = (value: unknown): boolean => typeof value === 'object' && value !== null && !isEmpty(value)

/** What stands behind `- `: a collection begins on the same line. */
function itemText(item: unknown, indent: number): string {
  return isCollection(item) ? writeYaml(item, indent).slice(indent) : lineText(item, indent)
}

/** What stands behind `key:`; lists are not indented, as is usual in Kong's files. */
function fieldText(value: unknown, indent: number): string {
  if (!isCollection(value)) return ` ${lineText(value, indent + 2)}`
  return `\n${writeYaml(value, Array.isArray(value) ? indent : indent + 2)}`
}

function lineText(value: unknown, indent: number): string {
  return typeof value === 'string' && isBlock(value) ? blockText(value, indent) : `${scalarText(value)}\n`
}

/** Such as a key in PEM: several lines that a block shows as they are. */
const isBlock = (text: string): boolean => /^[!-~][ -~]*(?:\n+[ -~]+)+\n?$/.test(text) && !/ (?:\n|$)/.test(text)

function blockText(text: string, indent: number): string {
  const lines = text.replace(/\n$/, '').split('\n')
  return `|${text.endsWith('\n') ? '' : '-'}\n${lines.map((line) => (line === '' ? '\n' : `${pad(indent)}${line}\n`)).join('')}`
}

function scalarText(value: unknown): string {
  if (typeof value === 'string') return isPlain(value) ? value : quoted(value)
  if (Array.isArray(value)) return '[]'
  return isRecord(value) ? '{}' : String(value)
}

/** `y` and `n` are booleans to some readers; an id looks like no number to any. */
const isPlain = (text: string): boolean =>
  uuid.test(text) ||
  (/^[A-Za-z_/][\w./@+=-]*(?: [\w./@+=-]+)*$/.test(text) &&
    plainScalar(text) === text &&
    !/^[yn]$|^e[-+]?\d+$/i.test(text))

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** JSON's escapes are YAML's; what JSON leaves and YAML's readers may not take is escaped, too. */
const quoted = (text: string): string =>
  JSON.stringify(text).replace(
    /[\x7f-\x9f\u00ad\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
