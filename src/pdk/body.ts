/**
 * Bodies of requests that hold named fields: forms, JSON objects, and multipart forms.
 * Source: Kong's docs, `kong.request.get_body`; the URL standard's form encoding; RFC 8259; RFC 7578.
 */

/** A body's fields by name. A form's field without `=` is `true`; one that comes several times has several values. */
export interface BodyFields {
  readonly get: (name: string) => unknown
  /** Every field by its name; of a JSON array, its members by their numbers. */
  readonly all: () => Readonly<Record<string, unknown>>
  /** The body without a field, in the form that it had; the other fields stay as they were sent. */
  readonly without: (name: string) => Buffer
}

/** Forms with more fields are read up to here, as in Kong. */
const maxFields = 100

type Read = (bytes: Buffer, contentType: string) => BodyFields | undefined

const readers: readonly (readonly [type: string, read: Read])[] = [
  ['application/x-www-form-urlencoded', readForm],
  ['application/json', readJson],
  ['multipart/form-data', readMultipart],
]

/** Reads a body by its Content-Type; undefined where that is none of the three, or the body is not what it says. */
export function readBody(bytes: Buffer, contentType: string | undefined): BodyFields | undefined {
  const type = contentType?.split(';', 1)[0]?.trimStart().toLowerCase() ?? ''
  const reader = readers.find(([name]) => type.startsWith(name))
  return reader && contentType !== undefined ? reader[1](bytes, contentType) : undefined
}

/** Arguments of a query or a form, each percent-decoded as far as it can be; `true` for one without `=`. */
export function parseArguments(text: string, limit: number): Map<string, (string | true)[]> {
  const args = new Map<string, (string | true)[]>()
  for (const part of text === '' ? [] : text.split('&', limit)) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = decodeArgument(equals < 0 ? part : part.slice(0, equals))
    const value = equals < 0 ? true : decodeArgument(part.slice(equals + 1))
    const values = args.get(name)
    if (values) values.push(value)
    else args.set(name, [value])
  }
  return args
}

/** The text of a query or a form without the arguments of a name; the others stay as they are, in order. */
function withoutArgument(text: string, name: string): string {
  return otherArguments(text, name).join('&')
}

/**
 * A query without the arguments of a name, written anew as Kong does it: each argument has a `=`, and bytes are escaped but for
 * letters, digits and `*-._`. Source: the URL standard's form serializing, with `%20` for a space.
 */
export function queryWithout(query: string, name: string): string {
  const parts = otherArguments(query, name).filter((part) => part !== '')
  return parts
    .map((part) => {
      const [argument = '', ...value] = part.split('=')
      return `${escaped(argument)}=${escaped(value.join('='))}`
    })
    .join('&')
}

const otherArguments = (text: string, name: string): string[] =>
  text.split('&').filter((part) => decodeArgument(part.split('=', 1)[0] ?? '') !== name)

/** Bytes (one a character) with escapes, as the text that they are in UTF-8. */
function decodeArgument(text: string): string {
  return /[%+\u0080-\u00ff]/.test(text) ? Buffer.from(decodedBytes(text), 'latin1').toString('utf8') : text
}

const decodedBytes = (text: string): string =>
  text
    .replaceAll('+', ' ')
    .replaceAll(/%([0-9a-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))

const escaped = (text: string): string =>
  decodedBytes(text).replaceAll(
    /[^\w*.-]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )

/** One value as it is, several as a list, as Kong has them. */
const oneOrMany = (values: readonly unknown[] | undefined): unknown => (values?.length === 1 ? values[0] : values)

/** Headers, arguments or fields as an object, each with `oneOrMany` of its values. */
export const allOf = (values: ReadonlyMap<string, readonly unknown[]>): Record<string, unknown> =>
  Object.fromEntries(values.entries().map(([name, some]) => [name, oneOrMany(some)]))

function readForm(bytes: Buffer): BodyFields {
  const text = bytes.toString('latin1')
  const args = parseArguments(text, maxFields)
  return {
    get: (name) => oneOrMany(args.get(name)),
    all: () => allOf(args),
    without: (name) => Buffer.from(withoutArgument(text, name), 'latin1'),
  }
}

function readJson(bytes: Buffer): BodyFields | undefined {
  const text = bytes.toString('utf8')
  const value = parseJson(text, undefined)
  if (typeof value !== 'object' || value === null) return undefined
  return {
    all: () => ({ ...value }),
    get: (name) => (Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined),
    without: (name) => Buffer.from(JSON.stringify(withoutMember(text, name))),
  }
}

/** A reviver that gets the text of each number. Source: ECMAScript, JSON.parse source text access. */
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown

function parseJson(text: string, reviver: Reviver | undefined): unknown {
  try {
    return JSON.parse(text, reviver as never)
  } catch {
    return undefined
  }
}

const rawJson = JSON as unknown as { rawJSON(source: string): unknown }

/** Numbers keep the text that they were sent with: 1e400 or 20 digits are none of our business. */
function withoutMember(text: string, name: string): unknown {
  const value = parseJson(text, (_, member, { source }) =>
    typeof member === 'number' && source !== undefined ? rawJson.rawJSON(source) : member,
  ) as Record<string, unknown>
  delete value[name]
  return value
}

interface Part {
  readonly name: string | undefined
  readonly value: string
  /** Where the part, with the delimiter before it, stands in the body. */
  readonly from: number
  readonly to: number
}

function readMultipart(bytes: Buffer, contentType: string): BodyFields | undefined {
  const boundary = boundaryOf(contentType)
  if (boundary === undefined) return undefined
  const text = bytes.toString('latin1')
  const parts = partsOf(text, `--${boundary}`)
  if (!parts) return undefined
  const named = (name: string) => parts.filter((part) => part.name === name)
  const get = (name: string) => {
    const values = named(name).map(({ value }) => Buffer.from(value, 'latin1').toString('utf8'))
    return values.length === 0 ? undefined : oneOrMany(values)
  }
  const all = () => Object.fromEntries(parts.flatMap(({ name }) => (name === undefined ? [] : [[name, get(name)]])))
  const without = (name: string) => {
    let rest = text
    for (const { from, to } of named(name).toReversed()) rest = rest.slice(0, from) + rest.slice(to)
    return Buffer.from(rest, 'latin1')
  }
  return { get, all, without }
}

/** RFC 2046 5.1.1: 1 to 70 characters. */
function boundaryOf(contentType: string): string | undefined {
  const match = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType)
  return match?.[1] ?? match?.[2]
}

function partsOf(text: string, delimiter: string): Part[] | undefined {
  const parts: Part[] = []
  let from = text.startsWith(delimiter) ? 0 : text.indexOf(`\r\n${delimiter}`) + 2
  if (from === 1) return undefined
  while (!text.startsWith('--', from + delimiter.length)) {
    const next = text.indexOf(`\r\n${delimiter}`, from + delimiter.length)
    if (next < 0 || parts.length === maxFields) return undefined
    parts.push(partOf(text.slice(from + delimiter.length + 2, next), from, next + 2))
    from = next + 2
  }
  return parts
}

function partOf(piece: string, from: number, to: number): Part {
  const end = piece.indexOf('\r\n\r\n')
  const head = end < 0 ? '' : piece.slice(0, end)
  const disposition = head.split('\r\n').find((line) => /^content-disposition:\s*form-data\s*;/i.test(line))
  const match = /;\s*name=(?:"([^"]*)"|([^\s;"]+))/i.exec(disposition ?? '')
  const name = match?.[1] ?? match?.[2]
  return {
    name: name === undefined ? undefined : Buffer.from(name, 'latin1').toString('utf8'),
    value: piece.slice(end + 4),
    from,
    to,
  }
}
