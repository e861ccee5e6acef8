/**
 * Where a request may carry its token: query parameters, cookies, headers.
 * Source: Kong's docs, "JWT", `uri_param_names`, `cookie_names`, `header_names`; RFC 6750 section 2; RFC 6265 section 5.4.
 */
import type { Request } from '../../pdk/kong.ts'

/** Two or more different tokens in one request: whichever were believed, the other may be what someone else looks at. */
export const several: unique symbol = Symbol('several tokens')

/** One token's text; or true for a query parameter without a value; or none, or several. */
export type Found = string | true | undefined | typeof several

/** The places that a config names, ready to be looked at. */
export interface Locations {
  readonly parameters: readonly string[]
  /** Whether a query that names a parameter holds its name as it is, unless something in it is percent-encoded. */
  readonly parametersAreLiteral: boolean
  readonly cookies: readonly string[]
  readonly headers: readonly string[]
  /** Whether a token may stand behind DPoP, too. */
  readonly dpop: boolean
}

/** Prepares the places of a config; null is no place, as in Kong. */
export function locationsOf(config: {
  readonly uri_param_names: readonly string[] | null
  readonly cookie_names: readonly string[] | null
  readonly header_names: readonly string[] | null
  readonly dpop?: unknown
}): Locations {
  const parameters = config.uri_param_names ?? []
  return {
    parameters,
    parametersAreLiteral: parameters.every((name) => /^[\w.~-]+$/.test(name)),
    cookies: (config.cookie_names ?? []).map((name) => name.toLowerCase()),
    headers: (config.header_names ?? []).map((name) => name.toLowerCase()),
    dpop: config.dpop !== undefined,
  }
}

/** Finds a request's token. The same token in several places is one token. */
export function findToken(request: Request, locations: Locations): Found {
  let found: Found
  if (locations.parameters.length !== 0) found = inQuery(request, locations)
  if (locations.cookies.length !== 0) found = both(found, inCookies(request, locations.cookies))
  for (const name of locations.headers) {
    const value = request.get_header(name)
    if (value !== undefined) found = both(found, tokenIn(value, locations))
  }
  return found
}

/** The token in a header's value. */
export const tokenIn = (value: string, { dpop }: Pick<Locations, 'dpop'>): string | undefined =>
  bearerToken(value) ?? (dpop ? dpopToken(value) : undefined)

/** What follows the scheme DPoP (RFC 9110 11.1: case does not count). */
export const dpopToken = (value: string): string | undefined => /^dpop +([^ ]+)$/i.exec(value)?.[1]

function both(one: Found, other: Found): Found {
  if (one === undefined || one === other) return other
  return other === undefined ? one : several
}

function inQuery(request: Request, { parameters, parametersAreLiteral }: Locations): Found {
  const query = request.get_raw_query()
  if (query === '' || (parametersAreLiteral && !mayName(query, parameters))) return undefined
  const values = request.get_query()
  let found: Found
  for (const name of parameters) {
    for (const value of values.get(name) ?? []) if (value !== '') found = both(found, value)
  }
  return found
}

/** Spares most requests the decoding of their query. */
function mayName(query: string, names: readonly string[]): boolean {
  return query.includes('%') || names.some((name) => query.includes(name))
}

/** The first cookie of each name, whatever the name's case, as nginx finds cookies. */
function inCookies(request: Request, names: readonly string[]): Found {
  if (request.get_header('cookie') === undefined) return undefined
  const cookies = cookiesOf(request.get_headers().get('cookie') ?? [])
  let found: Found
  for (const name of names) {
    const value = cookies.get(name)
    if (value !== undefined && value !== '') found = both(found, value)
  }
  return found
}

/** The cookies of every Cookie line by lower-case name; HTTP/2 sends one line for each cookie. */
function cookiesOf(lines: readonly string[]): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>()
  for (const pair of lines.flatMap((line) => line.split(';'))) {
    const equals = pair.indexOf('=')
    const name = pair
      .slice(0, equals === -1 ? 0 : equals)
      .trim()
      .toLowerCase()
    if (!cookies.has(name)) cookies.set(name, pair.slice(equals + 1).trim())
  }
  return cookies
}

const UPPER_B = 0x42
const LOWER_B = 0x62

/**
 * What follows the first `Bearer` or `bearer` (no other spelling) and white space, to the end; text before it is ignored.
 * Kong's pattern `\s*[Bb]earer\s+(.+)`, unanchored, in one pass whatever the client sends.
 */
export function bearerToken(value: string): string | undefined {
  for (let at = value.indexOf('earer'); at !== -1; at = value.indexOf('earer', at + 5)) {
    const initial = value.charCodeAt(at - 1)
    if (initial !== UPPER_B && initial !== LOWER_B) continue
    const start = skipSpaces(value, at + 5)
    if (start > at + 5 && start < value.length) return value.slice(start)
  }
  return undefined
}

function skipSpaces(value: string, from: number): number {
  let at = from
  while (isSpace(value.charCodeAt(at))) at++
  return at
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d)
}
