/**
 * A second reading of RFC 9112, whole texts by regular expressions, made to disagree with the gateway's parser where either is
 * wrong. It shares nothing with it but the limits.
 */

export interface OracleRequest {
  readonly method: string
  readonly target: string
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

export interface Reading {
  readonly requests: readonly OracleRequest[]
  /** What is behind the requests: nothing more, the beginning of another, or something that must be refused. */
  readonly end: 'complete' | 'incomplete' | 'refused'
}

export const limits = { headBytes: 32_768, lineBytes: 8192, headers: 100 }
const maxExtensionBytes = 4096
const maxTrailerBytes = 8192

const requestLine = /^([A-Z_-]+) +([^\x00-\x20\x7f]+) +HTTP\/([0-9])\.([0-9])$/
const fieldLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/

/** Reads all requests of a text, one character a byte. */
export function readAll(text: string): Reading {
  const requests: OracleRequest[] = []
  for (;;) {
    text = text.replace(/^[\r\n]+/, '')
    if (text === '') return { requests, end: 'complete' }
    const read = readOne(text)
    if (typeof read === 'string') return { requests, end: read }
    requests.push(read.request)
    text = text.slice(read.length)
  }
}

type Problem = 'incomplete' | 'refused'

function readOne(text: string): { request: OracleRequest; length: number } | Problem {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return 'incomplete'
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const [, method, target, major, minor] = requestLine.exec(first) ?? []
  if (method === undefined || target === undefined || major !== '1') return 'refused'
  if (target.length > limits.lineBytes || end + 4 > limits.headBytes || lines.length > limits.headers) return 'refused'
  const fields: [string, string][] = []
  for (const line of lines) {
    const [, name, value] = fieldLine.exec(line) ?? []
    if (name === undefined || value === undefined) return 'refused'
    fields.push([name, value.replace(/[ \t]+$/, '')])
  }
  const length = bodyLength(fields, minor === '0')
  if (length === undefined) return 'refused'
  const body = length === 'chunked' ? readChunks(text.slice(end + 4)) : sized(text.slice(end + 4), length)
  if (typeof body === 'string') return body
  return { request: { method, target, fields, body: body.text }, length: end + 4 + body.length }
}

const valuesOf = (fields: readonly (readonly [string, string])[], name: string) =>
  fields.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value)

/** Bytes of the body; undefined where the head must be refused. */
function bodyLength(fields: readonly (readonly [string, string])[], isOld: boolean): number | 'chunked' | undefined {
  const [hosts, lengths, codings, credentials] = ['host', 'content-length', 'transfer-encoding', 'authorization'].map(
    (name) => valuesOf(fields, name),
  ) as [string[], string[], string[], string[]]
  if (hosts.length > 1 || credentials.length > 1 || lengths.length > 1 || codings.length > 1) return undefined
  if (hosts.length === 0 && !isOld) return undefined
  if (hosts.some((host) => host === '' || /[\x00-\x20/\\#?,]/.test(host))) return undefined
  if (lengths.length + codings.length > 1) return undefined
  if (codings.length === 1) return !isOld && codings[0]?.toLowerCase() === 'chunked' ? 'chunked' : undefined
  if (lengths.length === 0) return 0
  return /^\d{1,15}$/.test(lengths[0] ?? '') ? Number(lengths[0]) : undefined
}

const sized = (text: string, length: number): { text: string; length: number } | Problem =>
  text.length < length ? 'incomplete' : { text: text.slice(0, length), length }

function readChunks(text: string): { text: string; length: number } | Problem {
  let body = ''
  let extensions = 0
  for (let at = 0; ;) {
    const line = /^([0-9a-fA-F]{1,13})(?:;([\t\x20-\x7e\x80-\xff]*))?\r\n/.exec(text.slice(at))
    if (!line)
      return couldBecome(text.slice(at), /^[0-9a-fA-F]{0,13}$|^[0-9a-fA-F]{1,13}(;[\t\x20-\x7e\x80-\xff]*)?\r?$/)
    extensions += line[2]?.length ?? 0
    if (extensions > maxExtensionBytes) return 'refused'
    at += line[0].length
    const size = Number.parseInt(line[1] ?? '', 16)
    if (size === 0) return readTrailers(text, at, body)
    if (text.length < at + size) return 'incomplete'
    body += text.slice(at, at + size)
    const end = text.slice(at + size, at + size + 2)
    if (end !== '\r\n') return couldBecome(end, /^\r?$/)
    at += size + 2
  }
}

function readTrailers(text: string, at: number, body: string): { text: string; length: number } | Problem {
  for (let bytes = 0; ;) {
    if (text.startsWith('\r\n', at)) return { text: body, length: at + 2 }
    const end = text.indexOf('\n', at)
    const line = text.slice(at, end < 0 ? undefined : end + 1)
    if (bytes + line.length > maxTrailerBytes) return 'refused'
    if (line.startsWith('\r') && line.length > 1) return 'refused'
    if (end < 0) return 'incomplete'
    if (!line.endsWith('\r\n') || !fieldLine.test(line.slice(0, -2))) return 'refused'
    bytes += line.length
    at = end + 1
  }
}

const couldBecome = (text: string, pattern: RegExp): Problem => (pattern.test(text) ? 'incomplete' : 'refused')
