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

/**
 * The bytes of base64url text, or undefined where it is not exactly what an encoder writes: another alphabet, padding, or
 * left-over bits would let one signature be written in several ways.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
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
