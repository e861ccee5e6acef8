/**
 * What a refusal's body looks like where it is not to be Kong's: problem details (RFC 9457), or a text of one's own. Made once
 * of the settings or of a plugin's config; an answer is then brought into that shape as it is sent.
 */
import { STATUS_CODES } from 'node:http'
import type { Answer } from './kong.ts'

/** What can be told of a refusal. */
export interface Refused {
  readonly status: number
  readonly message: string
  readonly requestId: string
  /** The body as it would be without a shape. */
  readonly body: string
}

/** Gives a refusal's body. */
export interface ErrorShape {
  readonly type: string
  readonly write: (refused: Refused) => string
}

/** How a shape is written in settings and configs. */
export interface ShapeOptions {
  readonly format: 'json' | 'problem' | 'template'
  readonly template?: string | undefined
  readonly contentType?: string | undefined
}

const jsonType = 'application/json; charset=utf-8'

/** Makes a shape; its options are to be checked with `shapeError` before. */
export function errorShape({ format, template = '', contentType = jsonType }: ShapeOptions): ErrorShape {
  if (format === 'json') return { type: jsonType, write: ({ body }) => body }
  if (format === 'problem') return { type: 'application/problem+json', write: problem }
  const pieces = template.split(placeholder)
  const escape = escapeFor(contentType)
  return {
    type: contentType,
    write: (refused) =>
      pieces.map((piece, at) => (at % 2 === 0 ? piece : escape(values[piece as Name](refused)))).join(''),
  }
}

/** What is wrong with a shape's options; undefined where nothing is. */
export function shapeError({ format, template, contentType = jsonType }: ShapeOptions): string | undefined {
  if (format !== 'template')
    return template === undefined ? undefined : 'a template is used only where the format is template'
  if (template === undefined) return 'the format template needs a template'
  const unknown = template.split(placeholder).find((piece, at) => at % 2 === 1 && !Object.hasOwn(values, piece))
  if (unknown !== undefined)
    return `the template names {{${unknown}}}; there are ${Object.keys(values)
      .map((name) => `{{${name}}}`)
      .join(', ')}`
  if (!/^[\w.+-]+\/[\w.+-]+(?:; ?[\w.+-]+=[\w.+-]+)*$/.test(contentType)) return 'the content type is none'
  if (!isJson(contentType)) return undefined
  const example = { status: 401, message: 'a "text"', requestId: '0', body: '' }
  return parsed(errorShape({ format, template, contentType }).write(example)) === undefined
    ? 'the template gives no JSON, which its content type says'
    : undefined
}

/**
 * The answer in a shape. As it is stay answers that refuse nothing, and what is of another making than `{"message": …}`, such as
 * OAuth 2.0's own errors, which its clients read.
 */
export function inShape(answer: Answer, shape: ErrorShape, requestId: string): Answer {
  const message = answer.status < 400 ? undefined : (answer.message ?? messageIn(answer.body))
  if (message === undefined) return answer
  const headers = answer.headers.filter(([name]) => name.toLowerCase() !== 'content-type')
  const body = typeof answer.body === 'string' ? answer.body : JSON.stringify({ message })
  return {
    status: answer.status,
    headers: [['Content-Type', shape.type], ...headers],
    body: shape.write({ status: answer.status, message, requestId, body }),
  }
}

const placeholder = /\{\{ *([a-z_]+) *\}\}/

type Name = keyof typeof values
const titleOf = (status: number): string => STATUS_CODES[status] ?? 'Error'

const values = {
  status: ({ status }: Refused) => String(status),
  title: ({ status }: Refused) => titleOf(status),
  message: ({ message }: Refused) => message,
  request_id: ({ requestId }: Refused) => requestId,
}

/** RFC 9457 4.2.1: `about:blank` says that the problem is what the status says, and that the title is the status's own. */
const problem = ({ status, message, requestId }: Refused): string =>
  JSON.stringify({ type: 'about:blank', title: titleOf(status), status, detail: message, request_id: requestId })

const isJson = (type: string): boolean => /^[\w.+-]+\/(?:[\w.+-]+\+)?json\b/.test(type)

function escapeFor(type: string): (text: string) => string {
  if (isJson(type)) return (text) => JSON.stringify(text).slice(1, -1)
  if (!/html|xml/.test(type)) return (text) => text
  return (text) => text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** The text of a JSON body: its `message`, or all its members where all are texts. */
function messageIn(body: Answer['body']): string | undefined {
  const value = typeof body === 'string' ? parsed(body) : undefined
  if (typeof value !== 'object' || value === null || 'error' in value) return undefined
  if ('message' in value) return typeof value.message === 'string' ? value.message : undefined
  const entries = Object.entries(value)
  if (entries.length === 0 || !entries.every(([, text]) => typeof text === 'string')) return undefined
  return entries.map(([name, text]) => `${name}: ${String(text)}`).join('; ')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
