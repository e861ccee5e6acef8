/**
 * The path of a request: the form that routes are matched against, and the form that goes to the upstream.
 *
 * Matching sees a decoded path: dot segments and doubled slashes are gone, every percent-encoding is resolved except those of
 * reserved characters, which keep their meaning by staying encoded (`%2f` becomes `%2F`). Going upstream, whatever has no
 * place in a request line is encoded again. Source: RFC 3986 section 6.2.2 and 5.2.4, and Kong's recorded answers.
 */
import { isUtf8 } from 'node:buffer'

/** Finds what keeps a path from being the same in all its forms: raw, normal, and upstream. */
const needsWork = /[^!#$&'()*+,/:;=?@[\]A-Za-z0-9\-_.~]|\/[./]/

/** The last path that needed no work: `upstreamPath` is mostly asked about that very one, and need not look through it again. */
let lastPlain = '/'

/**
 * The normal form of a request target's path (without the query), or undefined where it is invalid and the answer is 400:
 * no leading slash, a broken or NUL percent-encoding, a control character, or dot segments that lead above the root.
 * Takes one character a byte, returns text. A path that is not UTF-8 has each byte above 0x7F as a lone surrogate
 * (U+DC80 to U+DCFF), which no path rule matches and which `upstreamPath` turns into the byte again.
 */
export function normalisePath(rawPath: string): string | undefined {
  if (rawPath.charCodeAt(0) !== slash) return undefined
  if (!needsWork.test(rawPath)) return (lastPlain = rawPath)
  const decoded = decode(rawPath)
  if (decoded === undefined || leavesRoot(decoded)) return undefined
  return toText(removeDotSegments(decoded))
}

/** What `upstreamPath` and `forwardedPrefix` need to know of a route. */
export interface PathRule {
  readonly strip_path: boolean
}

/**
 * The path that goes to the upstream: the service's path joined with the request's, less the matched part when the route
 * strips it. `path_handling` makes no difference to it: the recorded answers for `v0` and `v1` are the same.
 */
export function upstreamPath(
  servicePath: string | null,
  route: PathRule,
  requestPath: string,
  matchedPath: string,
): string {
  const base = servicePath === null || servicePath === '/' ? '/' : escapePath(servicePath)
  const joined = join(base, route, requestPath, matchedPath)
  return requestPath === lastPlain ? joined : escapePath(joined)
}

/** The value of `X-Forwarded-Prefix`, one character a byte; undefined where the header is not sent. */
export function forwardedPrefix(route: PathRule, matchedPath: string): string | undefined {
  if (!route.strip_path || matchedPath === '' || matchedPath === '/') return undefined
  if (!unprintable.test(matchedPath)) return matchedPath
  // A path that was decoded may hold a line feed: it must not become a header of its own.
  return toBytes(matchedPath).replace(/[\x00-\x1f\x7f]/g, percentEncoded)
}

const slash = 0x2f
const percent = 0x25

const unprintable = /[^\x20-\x7e]/

/** Reserved characters (RFC 3986 2.2) and the percent sign mean something else once they are decoded. */
const reserved = new Set(Array.from("!*'();:@&=+$,/?%#[]", (character) => character.charCodeAt(0)))

/** The bytes of a path with its percent-encodings resolved, one character each. */
function decode(raw: string): string | undefined {
  let decoded = ''
  let kept = 0
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at)
    if (code <= 0x20 || code === 0x7f) return undefined
    if (code !== percent) continue
    const byte = hexByte(raw, at + 1)
    if (byte <= 0) return undefined
    decoded +=
      raw.slice(kept, at) + (reserved.has(byte) ? raw.slice(at, at + 3).toUpperCase() : String.fromCharCode(byte))
    at += 2
    kept = at + 1
  }
  return decoded + raw.slice(kept)
}

/** The byte that two hexadecimal digits stand for, or -1. */
function hexByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at))
  const low = hexDigit(text.charCodeAt(at + 1))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** Whether dot segments climb above the root, an encoded slash counting as one: an upstream may well decode it. */
function leavesRoot(path: string): boolean {
  if (!path.includes('..')) return false
  const fragment = path.indexOf('#')
  const seen = fragment < 0 ? path : path.slice(0, fragment)
  let depth = 0
  for (const segment of seen.split(/\/|%2F/)) {
    if (segment === '' || segment === '.') continue
    depth += segment === '..' ? -1 : 1
    if (depth < 0) return true
  }
  return false
}

function removeDotSegments(path: string): string {
  if (!/\/[./]/.test(path)) return path
  const kept: string[] = []
  const segments = path.split('/')
  for (const segment of segments) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(segment)
  }
  const last = segments.at(-1) ?? ''
  const endsInSlash = kept.length > 0 && (last === '' || last === '.' || last === '..')
  return `/${kept.join('/')}${endsInSlash ? '/' : ''}`
}

function toText(bytes: string): string {
  if (!/[\x80-\xff]/.test(bytes)) return bytes
  const buffer = Buffer.from(bytes, 'latin1')
  if (isUtf8(buffer)) return buffer.toString('utf8')
  return bytes.replace(/[\x80-\xff]/g, (byte) => String.fromCharCode(0xdc00 + byte.charCodeAt(0)))
}

function toBytes(text: string): string {
  if (!text.isWellFormed())
    return text.replace(/[\udc80-\udcff]/g, (byte) => String.fromCharCode(byte.charCodeAt(0) & 0xff))
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** All that is not left as it is on the way upstream. */
const unsafe = /[^!#$&'()*+,/:;=?@[\]A-Za-z0-9\-_.~%]/

/** Encodes what may not stand in a request line. */
function escapePath(path: string): string {
  if (!unsafe.test(path)) return path
  return toBytes(path).replace(/[^!#$&'()*+,/:;=?@[\]A-Za-z0-9\-_.~%]/g, percentEncoded)
}

function percentEncoded(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

function join(base: string, route: PathRule, path: string, matched: string): string {
  const baseEndsInSlash = base.charCodeAt(base.length - 1) === slash
  if (!route.strip_path) {
    if (baseEndsInSlash) return base === '/' ? path : base + path.slice(1)
    return path === '/' ? base : base + path
  }
  const rest = withoutDots(path.slice(matched === '' ? 1 : matched.length))
  if (rest === '') return baseFor(base, baseEndsInSlash, path)
  const trimmed = baseEndsInSlash ? base.slice(0, -1) : base
  return rest.charCodeAt(0) === slash ? trimmed + rest : `${trimmed}/${rest}`
}

/** Nothing is left to append: the service's path ends in a slash exactly when the request's does. */
function baseFor(base: string, baseEndsInSlash: boolean, path: string): string {
  if (base === '/') return base
  const pathEndsInSlash = path.charCodeAt(path.length - 1) === slash
  if (baseEndsInSlash) return pathEndsInSlash ? base : base.slice(0, -1)
  return pathEndsInSlash && path.length > 1 ? `${base}/` : base
}

/** `/a` also matches `/a../b`: what is left of it must not lead out of the service's path. */
function withoutDots(rest: string): string {
  if (rest.charCodeAt(0) !== 0x2e) return rest
  return rest.replace(/^\.\.?(?:\/|$)/, '')
}
