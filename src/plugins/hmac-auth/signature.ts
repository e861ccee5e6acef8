/**
 * Signatures of requests: how a header tells one, and what it covers.
 * Source: Kong's docs, "HMAC Auth"; draft-cavage-http-signatures-00.
 */
import type { Request } from '../../pdk/kong.ts'

/** What an `Authorization` header of the scheme `hmac` says. */
export interface Signature {
  readonly username: string
  readonly algorithm: string
  /** Names of the headers that are covered, in order. */
  readonly headers: readonly string[]
  /** Base64. */
  readonly signature: string
}

/**
 * Reads `hmac username="...", algorithm="...", headers="...", signature="..."`. As in Kong the four stand in this order, text
 * around them is ignored, and each value reaches as far as it can; read from the end, so that a hostile header costs one pass.
 */
export function parseSignature(header: string): Signature | undefined {
  const end = header.lastIndexOf('"')
  const signature = lastParameter(header, 'signature', end - 1)
  const headers = signature && lastParameter(header, 'headers', signature.separator - 1)
  const algorithm = headers && lastParameter(header, 'algorithm', headers.separator - 1)
  const start = algorithm && /[Hh]mac\s*username="/.exec(header)
  const username = start ? start.index + start[0].length : 0
  if (!signature || !headers || !algorithm || !start || username >= algorithm.separator) return undefined
  return {
    username: header.slice(username, algorithm.separator),
    algorithm: header.slice(algorithm.value, headers.separator),
    headers: header.slice(headers.value, signature.separator).split(' '),
    signature: header.slice(signature.value, end),
  }
}

interface Parameter {
  /** Where `", name="` begins. */
  readonly separator: number
  readonly value: number
}

/** The last `", name="` whose value has a character at or before `last`. */
function lastParameter(header: string, name: string, last: number): Parameter | undefined {
  const text = `${name}="`
  for (let at = last - text.length; at >= 0; at--) {
    at = header.lastIndexOf(text, at)
    if (at < 0) return undefined
    let before = at - 1
    while (/\s/.test(header[before] ?? '')) before--
    if (header[before] === ',' && header[before - 1] === '"') return { separator: before - 1, value: at + text.length }
  }
  return undefined
}

/** The text that is signed: a line for each header. */
export function signedText(request: Request, headers: readonly string[]): string {
  return headers.map((name) => lineOf(request, name)).join('\n')
}

/** `@request-target` and `request-line` stand for the request itself, unless a header has that name. */
function lineOf(request: Request, name: string): string {
  const value = name === '' ? undefined : request.get_header(name)
  if (value !== undefined) return `${name}: ${value}`
  const target = request.get_path_with_query()
  if (name === '@request-target') return `${name}: ${request.get_method().toLowerCase()} ${target}`
  if (name === 'request-line') return `${request.get_method()} ${target} HTTP/${request.get_http_version().toFixed(1)}`
  return `${name}:`
}
