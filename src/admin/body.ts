import { cannotParseJson, htmlPage, message, tooManyArguments, type Answer } from './answers.ts'
import { type FormFault, type FormRecord, parseForm } from './form.ts'
import { parseMultipart } from './multipart.ts'
import type { Body } from './types.ts'

/** Deeper JSON would be hard on every function that walks it; no configuration is. */
const MAX_JSON_DEPTH = 128

export const NO_BODY: Body = { kind: 'none', value: emptyRecord() }

export type Parsed = { readonly body: Body } | { readonly refusal: Answer }

type Parser = (text: string, contentType: string) => Parsed

const parsers: readonly (readonly [mediaType: string, parser: Parser])[] = [
  ['application/json', parseJson],
  ['application/x-www-form-urlencoded', (text) => formBody(parseForm(text), text)],
  ['multipart/form-data', (text, contentType) => formBody(parseMultipart(text, contentType), text)],
]

/**
 * Which parser reads a body of this content type; a 415 page where none does. `extra` are media types that the endpoint
 * reads as text, as it then does a form that is none. Kong looks at how the header begins, and at its case.
 */
export function parserFor(contentType: string | undefined, extra: readonly string[] = []): Parser | Answer {
  if (contentType === undefined) return htmlPage(415)
  if (extra.some((mediaType) => contentType.startsWith(mediaType))) return asText
  const parser = parsers.find(([mediaType]) => contentType.startsWith(mediaType))?.[1]
  if (!parser) return htmlPage(415)
  if (extra.length === 0 || parser === parseJson) return parser
  return (text, type) => {
    const parsed = parser(text, type)
    return 'refusal' in parsed ? asText(text) : parsed
  }
}

const asText = (text: string): Parsed => ({ body: { kind: 'text', value: emptyRecord(), text } })

/** A body's bytes as text (bytes that are no UTF-8 are replaced, as JSON and forms allow none). */
export const decodeBody = (bytes: Buffer): string => bytes.toString('utf8')

function parseJson(text: string): Parsed {
  if (depthOf(text) > MAX_JSON_DEPTH) return { refusal: cannotParseJson }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return { refusal: cannotParseJson }
    return { body: { kind: 'json', value: asRecord(value), text } }
  } catch {
    return { refusal: cannotParseJson }
  }
}

/** How deep brackets nest in a JSON text; only an upper bound matters, so the text need not be valid. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (inString) {
      if (code === 0x5c) at++
      else if (code === 0x22) inString = false
      continue
    }
    if (code === 0x22) inString = true
    else if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth)
    else if (code === 0x5d || code === 0x7d) depth--
  }
  return deepest
}

/** Objects without a prototype, all the way down: a key such as `__proto__` is then one like any other. */
function withoutPrototypes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPrototypes)
  if (typeof value !== 'object' || value === null) return value
  const record = emptyRecord()
  for (const [key, inner] of Object.entries(value)) record[key] = withoutPrototypes(inner)
  return record
}

/** The body as a record; an array's elements stand under their positions, which Lua counts from 1. */
function asRecord(value: object): Record<string, unknown> {
  if (!Array.isArray(value)) return withoutPrototypes(value) as Record<string, unknown>
  const record = emptyRecord()
  for (const [index, element] of value.entries()) record[String(index + 1)] = withoutPrototypes(element)
  return record
}

const faults: Readonly<Record<FormFault, Answer>> = {
  malformed: message(400, 'Cannot parse form body'),
  'too many': tooManyArguments,
}

const formBody = (value: FormRecord | FormFault, text: string): Parsed =>
  typeof value === 'string' ? { refusal: faults[value] } : { body: { kind: 'form', value, text } }

function emptyRecord(): Record<string, unknown> {
  return Object.create(null) as Record<string, unknown>
}
