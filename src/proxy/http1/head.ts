/**
 * Heads of HTTP/1.1 messages: strict, in one pass over the bytes. Whatever is ambiguous is refused rather than guessed.
 * Source: RFC 9112 (message syntax), RFC 9110 5.5 and 5.6 (field values, tokens).
 */
import { exactId, hashStep, idOf, lookUp, nameByte } from './fields.ts'

/** Numbers that a header line takes in `Head.marks`: where its name begins and ends, its value begins and ends, and its field's id. */
export const markSize = 5

/** The part that requests and responses share: the head's text, and where its header lines stand in it. */
export interface Head {
  /** The whole head as it was received, one character a byte, up to and including the empty line. */
  readonly text: string
  /** `markSize` numbers for each header line. */
  readonly marks: readonly number[]
  /** The minor version: 0, 1, or higher, which is read as 1 (RFC 9110 2.5). */
  readonly minor: number
  /** Bytes of body announced by Content-Length; -1 where there is none. */
  readonly contentLength: number
  readonly chunked: boolean
  /** What `Connection` says: `close`, `keep-alive`, or neither. */
  readonly persistence: 'close' | 'keep-alive' | undefined
  /** Names of header lines that belong to this hop only, in lower case, as far as `Connection` names them beyond the usual. */
  readonly nominated: readonly string[] | undefined
}

export interface RequestHead extends Head {
  readonly method: string
  /** The request target as received. */
  readonly target: string
  /** The Host header's value; the empty string where there is none (HTTP/1.0). */
  readonly host: string
  readonly expectsContinue: boolean
  readonly upgrade: boolean
  /** Whether there is an X-Kong-Request-Debug. */
  readonly asksForDebug: boolean
}

export interface ResponseHead extends Head {
  readonly status: number
  readonly reason: string
}

/** Why a request's head is refused: the status of the answer, and its text. */
export interface Refusal {
  readonly refused: true
  readonly status: 400 | 414 | 494 | 501 | 505
  /** What could be read of the head before it went wrong: it may tell the form of answer that the client takes. */
  readonly head: RequestHead
}

/** A head of which nothing is known. */
export const emptyHead: RequestHead = begun('\r\n')

const refusal = (status: Refusal['status'], head = emptyHead): Refusal => ({ refused: true, status, head })
const badRequest = refusal(400)
const uriTooLong = refusal(414)
/** nginx's own number for a head that is too large; it is answered with 400. */
const headTooLarge = refusal(494)
const versionNotSupported = refusal(505)

export interface HeadLimits {
  readonly headBytes: number
  readonly lineBytes: number
  readonly headers: number
}

const CR = 13
const LF = 10
const SP = 32
const HTAB = 9
const COLON = 58
const DOT = 46

const host = idOf('host')
const connection = idOf('connection')
const contentLength = idOf('content-length')
const transferEncoding = idOf('transfer-encoding')
const authorization = idOf('authorization')
const expect = idOf('expect')
const upgrade = idOf('upgrade')
const requestDebug = idOf('x-kong-request-debug')

/** Where a head that begins at `start` ends (behind its empty line), or -1 while it is not complete. `from`: how far it was already searched. */
export function findHeadEnd(bytes: Buffer, start: number, from: number, end: number): number {
  // The last byte of the four that are looked at tells how far the next four may be.
  let at = Math.max(start, from - 3) + 3
  while (at < end) {
    const byte = bytes[at]
    if (byte === CR) at++
    else if (byte !== LF) at += 4
    else if (bytes[at - 1] === CR && bytes[at - 2] === LF && bytes[at - 3] === CR) return at + 1
    else at += 2
  }
  return -1
}

const isMethodByte = (byte: number): boolean => (byte >= 0x41 && byte <= 0x5a) || byte === 0x2d || byte === 0x5f
const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']

/** A head while it is read: requests and responses have one form, so that what looks at either is compiled for one. */
interface Reading extends Mutable<RequestHead>, Mutable<ResponseHead> {
  readonly marks: number[]
  nominated: string[] | undefined
  unknownCoding: boolean
  hosts: number
  authorizations: number
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

function begun(text: string): Reading {
  return {
    text,
    marks: [],
    minor: 1,
    contentLength: -1,
    chunked: false,
    persistence: undefined,
    nominated: undefined,
    method: '',
    target: '',
    host: '',
    expectsContinue: false,
    upgrade: false,
    asksForDebug: false,
    status: 0,
    reason: '',
    unknownCoding: false,
    hosts: 0,
    authorizations: 0,
  }
}

/**
 * Parses a complete request head at `start..end`; gives a refusal where it is not exactly what RFC 9112 allows.
 * The bytes may be overwritten afterwards: the head keeps its own copy.
 */
export function parseRequestHead(bytes: Buffer, start: number, end: number, limits: HeadLimits): RequestHead | Refusal {
  const head = begun(bytes.toString('latin1', start, end))
  const next = readRequestLine(head, bytes, start, end, limits)
  if (typeof next !== 'number') return next
  if (end - start > limits.headBytes) return headTooLarge
  const problem = readFields(head, bytes, start, next, end, limits.headers, true)
  const status = requestStatus(head, problem)
  return status === 200 ? head : refusal(status, { ...emptyHead, text: head.text, marks: head.marks })
}

function requestStatus(head: Reading, problem: Problem): Refusal['status'] | 200 {
  if (problem === 'too many') return 494
  if (problem !== undefined) return 400
  if (head.unknownCoding) return 501
  if (head.minor > 0 && head.hosts === 0) return 400
  return head.minor === 0 && head.chunked ? 400 : 200
}

/**
 * A head that is not complete yet. Each byte of it is looked at once, however many pieces it comes in; all of it has to lie together.
 */
export class PartialHead {
  /** Bytes that have been looked at. */
  searched = 0
  #lineIsRead = false

  /** A refusal as soon as the head can never become a good one, so that the client is told at once and not when its time is up. */
  check(bytes: Buffer, start: number, end: number, limits: HeadLimits): Refusal | undefined {
    const from = start + this.searched
    this.searched = end - start
    const read = bytes.subarray(0, end)
    for (let at = read.indexOf(LF, from); at >= 0; at = read.indexOf(LF, at + 1)) {
      if (!this.#lineIsRead) {
        const line = begun(bytes.toString('latin1', start, at + 1))
        const next = readRequestLine(line, bytes, start, at + 1, limits)
        if (typeof next !== 'number') return next
        this.#lineIsRead = true
      }
      if (bytes[at - 1] !== CR) return badRequest
    }
    if (!this.#lineIsRead) return end - start > limits.lineBytes ? uriTooLong : undefined
    return end - start > limits.headBytes ? headTooLarge : undefined
  }
}

/** Reads method, target and version; gives where the next line begins, or a refusal. */
function readRequestLine(
  head: Reading,
  bytes: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
): number | Refusal {
  const { text } = head
  let at = start
  while (at < end && isMethodByte(bytes[at] as number)) at++
  if (at === start || bytes[at] !== SP) return badRequest
  head.method = methodOf(text, at - start)
  while (bytes[at] === SP) at++
  const targetStart = at
  // A target holds neither spaces nor controls; bytes beyond ASCII pass, as Kong lets them.
  while (at < end && (bytes[at] as number) > SP && bytes[at] !== 0x7f) at++
  if (at - targetStart > limits.lineBytes) return uriTooLong
  const targetEnd = at
  if (at === targetStart || bytes[at] !== SP) return badRequest
  while (bytes[at] === SP) at++
  if (!text.startsWith('HTTP/', at - start)) return badRequest
  at += 5
  const major = digit(bytes[at])
  const minor = digit(bytes[at + 2])
  if (Number.isNaN(major + minor) || bytes[at + 1] !== DOT || bytes[at + 3] !== CR || bytes[at + 4] !== LF)
    return badRequest
  if (major !== 1) return versionNotSupported
  head.target = text.slice(targetStart - start, targetEnd - start)
  head.minor = minor
  return at + 5
}

/** The method at the beginning of a head; the usual ones are always the same text, and quickly compared. */
function methodOf(text: string, length: number): string {
  for (const method of methods) if (method.length === length && text.startsWith(method)) return method
  return text.slice(0, length)
}

/** Parses a complete response head at `start..end`; undefined where it is not exactly what RFC 9112 allows. */
export function parseResponseHead(
  bytes: Buffer,
  start: number,
  end: number,
  maxHeaders: number,
): ResponseHead | undefined {
  const head = begun(bytes.toString('latin1', start, end))
  const { text } = head
  if (!text.startsWith('HTTP/1.') || bytes[start + 8] !== SP) return undefined
  head.minor = digit(bytes[start + 7])
  if (!(head.minor <= 1)) return undefined
  head.status = digit(bytes[start + 9]) * 100 + digit(bytes[start + 10]) * 10 + digit(bytes[start + 11])
  if (!(head.status >= 100)) return undefined
  let at = start + 12
  // RFC 9112 4: the reason may be empty; many servers then leave out the space before it as well.
  if (bytes[at] !== SP && bytes[at] !== CR) return undefined
  const reasonStart = bytes[at] === SP ? at + 1 : at
  while (at < end && isValueByte(bytes[at] as number)) at++
  if (bytes[at] !== CR || bytes[at + 1] !== LF) return undefined
  head.reason = text.slice(reasonStart - start, at - start)
  const problem = readFields(head, bytes, start, at + 2, end, maxHeaders, false)
  if (problem !== undefined || head.unknownCoding) return undefined
  return head.minor === 0 && head.chunked ? undefined : head
}

const digit = (byte: number | undefined): number =>
  byte !== undefined && byte >= 48 && byte <= 57 ? byte - 48 : Number.NaN

/** RFC 9110 5.5: visible characters, space, tab and bytes beyond ASCII; no other control character. */
const isValueByte = (byte: number): boolean => (byte >= SP && byte !== 0x7f) || byte === HTAB

type Problem = 'invalid' | 'too many' | undefined

/**
 * Reads the header lines at `at..end`, of which the last is the empty one; tells what is wrong where a line or the framing is not
 * valid. Marks are relative to `start`, as positions in the head's text.
 */
function readFields(
  head: Reading,
  bytes: Buffer,
  start: number,
  at: number,
  end: number,
  maxHeaders: number,
  isRequest: boolean,
): Problem {
  const last = end - 2
  const { marks } = head
  while (at < last) {
    const nameStart = at
    let hash = 0
    let lower = nameByte[bytes[at] as number] as number
    while (lower !== 0) {
      hash = hashStep(hash, lower)
      lower = nameByte[bytes[++at] as number] as number
    }
    if (at === nameStart || bytes[at] !== COLON) return 'invalid'
    const nameEnd = at++
    while (bytes[at] === SP || bytes[at] === HTAB) at++
    let valueStart = at
    while (isValueByte(bytes[at] as number)) at++
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return 'invalid'
    let valueEnd = at
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) valueEnd--
    if (valueStart > valueEnd) valueStart = valueEnd
    at += 2
    const id = lookUp(bytes, nameStart, nameEnd, hash)
    marks.push(nameStart - start, nameEnd - start, valueStart - start, valueEnd - start, id)
    if (id !== 0 && !note(head, id, valueStart - start, valueEnd - start, isRequest)) return 'invalid'
  }
  // RFC 9112 6.3: both together are how requests are smuggled.
  if (head.contentLength >= 0 && (head.chunked || head.unknownCoding)) return 'invalid'
  return marks.length > maxHeaders * markSize ? 'too many' : undefined
}

/** Takes note of a known field; false where it makes the message one that must be refused. */
function note(head: Reading, id: number, start: number, end: number, isRequest: boolean): boolean {
  const { text } = head
  switch (id) {
    case host:
      head.host = text.slice(start, end)
      return !isRequest || (++head.hosts === 1 && isHost(head.host))
    case contentLength:
      if (head.contentLength >= 0) return false
      head.contentLength = parseLength(text, start, end)
      return head.contentLength >= 0
    case transferEncoding: {
      if (head.chunked || head.unknownCoding) return false
      const coding = text.slice(start, end).toLowerCase()
      if (coding === 'chunked') head.chunked = true
      else head.unknownCoding = true
      return true
    }
    case connection:
      noteConnection(head, text.slice(start, end))
      return true
    case authorization:
      return !isRequest || ++head.authorizations === 1
    case expect:
      head.expectsContinue = text.slice(start, end).toLowerCase() === '100-continue'
      return true
    case upgrade:
      head.upgrade = true
      return true
    case requestDebug:
      head.asksForDebug = true
      return true
    default:
      return true
  }
}

/** RFC 9110 8.6: digits only. Longer than any body can be is as wrong as any other text. -1 where it is not valid. */
function parseLength(text: string, start: number, end: number): number {
  if (end === start || end - start > 15) return -1
  let length = 0
  for (let at = start; at < end; at++) {
    const value = text.charCodeAt(at) - 48
    if (value < 0 || value > 9) return -1
    length = length * 10 + value
  }
  return length
}

/** Whether a Host header can be one: no characters that separate parts of a URI or a list. RFC 9110 7.2. */
function isHost(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code <= SP || code === 0x2f || code === 0x5c || code === 0x23 || code === 0x3f || code === 0x2c) return false
  }
  return value !== ''
}

function noteConnection(head: Reading, value: string): void {
  if (value === 'keep-alive') {
    head.persistence ??= 'keep-alive'
    return
  }
  for (const part of value.split(',')) {
    const name = part.trim().toLowerCase()
    if (name === 'close') head.persistence = 'close'
    else if (name === 'keep-alive') head.persistence ??= 'keep-alive'
    else if (name !== '') (head.nominated ??= []).push(name)
  }
}

/** The first value of a header line by its lower-case name; undefined where there is none. */
export function firstValue(head: Head, lowerName: string): string | undefined {
  const id = exactId(lowerName)
  if (id !== 0) return firstById(head, id)
  const { marks, text } = head
  for (let at = 0; at < marks.length; at += markSize) {
    if (nameIs(head, at, lowerName)) return text.slice(marks[at + 2], marks[at + 3])
  }
  return undefined
}

/** The first value of the known field with this id. */
export function firstById(head: Head, id: number): string | undefined {
  const { marks, text } = head
  for (let at = 4; at < marks.length; at += markSize) {
    if (marks[at] === id) return text.slice(marks[at - 2], marks[at - 1])
  }
  return undefined
}

/** Whether there is a line of a known field that is marked in `table`. */
export function hasAny(head: Head, table: Uint8Array): boolean {
  const { marks } = head
  for (let at = 4; at < marks.length; at += markSize) if (table[marks[at] as number] === 1) return true
  return false
}

/** Whether the header line whose marks begin at `at` has this name, given in lower case. */
export function nameIs(head: Head, at: number, lowerName: string): boolean {
  const start = head.marks[at] as number
  if ((head.marks[at + 1] as number) - start !== lowerName.length) return false
  for (let i = 0; i < lowerName.length; i++) {
    if (nameByte[head.text.charCodeAt(start + i)] !== lowerName.charCodeAt(i)) return false
  }
  return true
}
