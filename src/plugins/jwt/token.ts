/**
 * A token's text taken apart, strictly: three parts, each in canonical base64url.
 * Source: RFC 7515 sections 2, 4.1.11 and 7.1; RFC 7519 section 7.2; RFC 4648 sections 3.5 and 5.
 */
import { isUtf8 } from 'node:buffer'
import { algorithms } from './algorithms.ts'
import type { Refusal } from './refusals.ts'

export type JsonObject = { readonly [member: string]: unknown }

/** A decoded token; nothing in it has been verified. */
export interface Token {
  readonly alg: string
  readonly header: JsonObject
  /** Empty where the token's payload is JSON but no object, so that nothing is found in it. */
  readonly claims: JsonObject
  /** What the signature covers: the first two parts and the dot between them. */
  readonly signed: string
  readonly signature: Buffer
}

const limits = { longestToken: 16 * 1024 }

/** Sets the length in characters above which a token is refused unread. The default is 16 KiB. */
export function limitTokens({ longestToken }: { readonly longestToken: number }): void {
  limits.longestToken = longestToken
}

/** Takes a token apart, or names what is wrong with it. */
export function decodeToken(text: string): Token | Refusal {
  if (text.length > limits.longestToken) return 'too long'
  const first = text.indexOf('.')
  const second = text.indexOf('.', first + 1)
  if (first === -1 || second === -1) return 'not JSON'
  const header = headerOf(text.slice(0, first))
  const claims = parsePart(text.slice(first + 1, second))
  if (header === undefined || claims === undefined) return 'not JSON'
  const alg = header.value
  if (!isObject(alg) || !hasKnownAlg(alg)) return 'bad alg'
  if (claims.value === false) return 'no claims'
  const signature = decodeBase64url(text.slice(second + 1))
  if (signature === undefined) return 'bad signature text'
  // RFC 7515 4.1.11: whoever does not understand an extension marked critical must refuse; we understand none.
  if (Object.hasOwn(alg, 'crit')) return 'critical extension'
  return {
    alg: alg.alg,
    header: alg,
    claims: isObject(claims.value) ? claims.value : {},
    signed: text.slice(0, second),
    signature,
  }
}

/** Headers as they were read lately: an issuer's tokens have one in common. */
const readHeaders = new Map<string, { readonly value: unknown }>()
const mostHeaders = 64
const longestHeader = 256

function headerOf(text: string): { readonly value: unknown } | undefined {
  const known = readHeaders.get(text)
  if (known) return known
  const header = parsePart(text)
  if (header === undefined || text.length > longestHeader) return header
  if (readHeaders.size === mostHeaders) readHeaders.clear()
  // A copy, since a piece of a token would keep the whole of it.
  readHeaders.set(Buffer.from(text, 'latin1').toString('latin1'), header)
  return header
}

/** What each character of base64url stands for; -1 for every other byte. */
const sextets = new Int8Array(256).fill(-1)
for (const [sextet, byte] of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_').entries())
  sextets[byte] = sextet

/** Text as it is being decoded. */
let written = Buffer.alloc(limits.longestToken)

const sextetAt = (at: number): number => sextets[written[at] as number] as number

/**
 * The bytes of base64url text, or undefined where it is not exactly what an encoder writes: another alphabet, padding, or
 * left-over bits would let one signature be written in several ways. Node's decoder takes all of these.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const rest = text.length % 4
  if (text.length > written.length) written = Buffer.alloc(text.length)
  // A character that is not ASCII has more bytes than one.
  if (rest === 1 || written.write(text) !== text.length) return undefined
  const bytes = Buffer.allocUnsafe((text.length * 3) >> 2)
  const last = text.length - rest
  let wrong = 0
  let to = 0
  for (let at = 0; at < last; at += 4) {
    const a = sextetAt(at)
    const b = sextetAt(at + 1)
    const c = sextetAt(at + 2)
    const d = sextetAt(at + 3)
    wrong |= a | b | c | d
    bytes[to++] = (a << 2) | (b >> 4)
    bytes[to++] = (b << 4) | (c >> 2)
    bytes[to++] = (c << 6) | d
  }
  if (rest !== 0) {
    const a = sextetAt(last)
    const b = sextetAt(last + 1)
    const c = rest === 3 ? sextetAt(last + 2) : 0
    const leftOver = rest === 3 ? c & 3 : b & 15
    wrong |= a | b | c | -leftOver
    bytes[to++] = (a << 2) | (b >> 4)
    if (rest === 3) bytes[to] = (b << 4) | (c >> 2)
  }
  return wrong < 0 ? undefined : bytes
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hasKnownAlg(header: JsonObject): header is JsonObject & { readonly alg: string } {
  return Object.hasOwn(header, 'alg') && typeof header['alg'] === 'string' && algorithms.has(header['alg'])
}

/** The JSON value of a token's first or second part, wrapped since `null` is one; undefined where it is no such thing. */
export function parsePart(text: string): { readonly value: unknown } | undefined {
  const bytes = decodeBase64url(text)
  // Bytes that are not UTF-8 would all read as the same replacement character, and so could name someone else's key.
  if (bytes === undefined || !isUtf8(bytes)) return undefined
  try {
    return { value: parseJson(bytes.toString('utf8')) }
  } catch {
    return undefined
  }
}

/**
 * Reads JSON whatever was read before. V8 (14.6) takes a name that is written with escapes for another one with a backslash where it
 * has read an object of that shape: a stranger's token could make it misread everybody's. So texts are written anew without
 * escapes that they do not need (`\\/`, `\\u0061`) before they are read.
 */
function parseJson(text: string): unknown {
  return JSON.parse(text.includes('\\') ? text.replaceAll(strings, plainly) : text)
}

const strings = /"(?:[^"\\]|\\.)*"/gs
const plainly = (literal: string): string => (literal.includes('\\') ? JSON.stringify(JSON.parse(literal)) : literal)
