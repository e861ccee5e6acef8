/**
 * HTTP/2's fields as heads and lines of HTTP/1.1, which the road knows, and back. Whatever could mean something else there than
 * here is refused: so nothing is smuggled from one into the other.
 * Source: RFC 9113 8.
 */
import { nameByte } from '../http1/fields.ts'
import { STATUS_CODES } from 'node:http'
import {
  type HeadLimits,
  parseRequestHead,
  parseResponseHead,
  type Refusal,
  type RequestHead,
  type ResponseHead,
} from '../http1/head.ts'
import { mayTrail } from '../http1/trailers.ts'
import { encodeField } from './hpack.ts'

/** RFC 9113 8.2.2: they speak of one connection, as HTTP/2 itself does. */
const connectionNames = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])

const framingNames = new Set(['content-length', 'content_length', 'transfer_encoding', 'host', 'te', 'trailer'])

const pseudoNames = new Set([':method', ':scheme', ':authority', ':path'])

interface Parts {
  readonly pseudo: Map<string, string>
  /** The other fields as lines, `Host` and `Cookie` left out. */
  lines: string
  host: string | undefined
  cookie: string | undefined
}

/** The head of a request; a refusal where it is one that is answered with an error, undefined where it is not even a request. */
export function readRequestHead(list: readonly string[], limits: HeadLimits): RequestHead | Refusal | undefined {
  const parts = readParts(list)
  const line = parts && requestLine(parts.pseudo)
  if (parts === undefined || line === undefined) return undefined
  const authority = parts.pseudo.get(':authority')
  if (authority !== undefined && parts.host !== undefined && authority !== parts.host) return undefined
  const host = authority ?? parts.host
  // RFC 9113 8.3.1: no user information.
  if (host?.includes('@')) return undefined
  const text =
    `${line} HTTP/1.1\r\n${host === undefined ? '' : `host: ${host}\r\n`}${parts.lines}` +
    `${parts.cookie === undefined ? '' : `cookie: ${parts.cookie}\r\n`}\r\n`
  const bytes = Buffer.from(text, 'latin1')
  // The one parser says what it means, as for a client of HTTP/1.1.
  return parseRequestHead(bytes, 0, bytes.length, limits)
}

function readParts(list: readonly string[]): Parts | undefined {
  const parts: Parts = { pseudo: new Map(), lines: '', host: undefined, cookie: undefined }
  let regular = false
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] as string
    const value = list[at + 1] as string
    if (!isClean(value)) return undefined
    if (name.charCodeAt(0) === 0x3a) {
      if (regular || !pseudoNames.has(name) || parts.pseudo.has(name)) return undefined
      parts.pseudo.set(name, value)
      continue
    }
    regular = true
    if (!isLowerName(name) || connectionNames.has(name) || (name === 'te' && value !== 'trailers')) return undefined
    if (name === 'host') {
      if (parts.host !== undefined) return undefined
      parts.host = value
      // RFC 9113 8.2.3: one line again, as others know it.
    } else if (name === 'cookie') parts.cookie = parts.cookie === undefined ? value : `${parts.cookie}; ${value}`
    else parts.lines += `${name}: ${value}\r\n`
  }
  return parts
}

function requestLine(pseudo: ReadonlyMap<string, string>): string | undefined {
  const method = pseudo.get(':method')
  const path = pseudo.get(':path')
  const scheme = pseudo.get(':scheme')
  if (method === undefined || !isToken(method)) return undefined
  if (method === 'CONNECT') {
    const authority = pseudo.get(':authority')
    return path === undefined && scheme === undefined && authority && isTarget(authority)
      ? `CONNECT ${authority}`
      : undefined
  }
  if (scheme === undefined || !/^[a-z][a-z0-9+.-]*$/i.test(scheme)) return undefined
  if (path === undefined || !isTarget(path) || !(path.startsWith('/') || path === '*')) return undefined
  return `${method} ${path}`
}

function isToken(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (!nameByte[text.charCodeAt(at)]) return false
  return text !== ''
}

function isLowerName(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at)
    if (nameByte[code] !== code) return false
  }
  return name !== ''
}

function isTarget(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code <= 0x20 || code === 0x7f) return false
  }
  return text !== ''
}

/** RFC 9113 8.2.1: no end of a line in it, no blank around it. */
function isClean(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code === 0 || code === 10 || code === 13) return false
  }
  return !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(value.length - 1))
}

const isBlank = (code: number): boolean => code === 0x20 || code === 9

/** The head of a response; undefined where it is none. */
export function readResponseHead(list: readonly string[], maxHeaders: number): ResponseHead | undefined {
  const [name, status = ''] = list
  if (name !== ':status' || !/^[1-9]\d\d$/.test(status)) return undefined
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  for (let at = 2; at < list.length; at += 2) {
    const name = list[at] as string
    const value = list[at + 1] as string
    if (!isLowerName(name) || !isClean(value) || connectionNames.has(name)) return undefined
    text += `${name}: ${value}\r\n`
  }
  const bytes = Buffer.from(`${text}\r\n`, 'latin1')
  return parseResponseHead(bytes, 0, bytes.length, maxHeaders)
}

/**
 * Trailers as lines, those that may be passed on; undefined where they are not valid. Those of a gRPC call are its own affair, and
 * nobody merges them with a head: all pass but what frames messages.
 */
export function readTrailers(list: readonly string[], isGrpc = false): string | undefined {
  let lines = ''
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] as string
    const value = list[at + 1] as string
    if (!isLowerName(name) || !isClean(value) || connectionNames.has(name)) return undefined
    const passes = isGrpc ? !framingNames.has(name) : mayTrail(name)
    if (passes && isVisible(value)) lines += `${name}: ${value}\r\n`
  }
  return lines
}

/** Whether a value has no control characters: as little as in a head (RFC 9110 5.5). */
function isVisible(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if ((code < 0x20 && code !== 9) || code === 0x7f) return false
  }
  return true
}

/** Lines, each ending in CRLF, as part of a header block; those that speak of a connection are left out. */
export function encodeLines(lines: string): string {
  let block = ''
  for (let at = 0; at < lines.length;) {
    const end = lines.indexOf('\r\n', at)
    const colon = lines.indexOf(':', at)
    const name = lines.slice(at, colon).toLowerCase()
    if (!connectionNames.has(name)) block += encodeField(name, trimmed(lines, colon + 1, end))
    at = end + 2
  }
  return block
}

/** The head of a request, as it would go to a peer that speaks HTTP/1.1, as a header block. */
export function encodeRequest(head: string, scheme: string): string {
  const end = head.indexOf('\r\n')
  const [method = '', path = ''] = head.slice(0, end).split(' ')
  const lines = head.slice(end + 2, -2)
  const host = /^host:[ \t]*([^\r]*)\r\n/im.exec(lines)
  return (
    encodeField(':method', method) +
    encodeField(':scheme', scheme) +
    encodeField(':path', path) +
    (host ? encodeField(':authority', host[1] ?? '') : '') +
    encodeLines(host ? lines.slice(0, host.index) + lines.slice(host.index + host[0].length) : lines)
  )
}

/** RFC 9110 5.5: without the blanks around it, and these are two. */
function trimmed(text: string, start: number, end: number): string {
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}
