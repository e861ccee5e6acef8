/** What tells requests apart for consistent hashing. Source: Kong's docs, "Upstream Object", `hash_on` and `hash_fallback`. */
import { randomUUID } from 'node:crypto'

/** What a hash is made of. */
export interface HashInput {
  readonly clientIp: string
  /** Normalised. */
  readonly path: string
  readonly rawQuery: string
  readonly identity:
    | { readonly consumer: { readonly id: string } | null; readonly credential: { readonly id: string } | null }
    | undefined
  readonly match: { readonly captures: ReadonlyMap<string | number, string> | undefined } | undefined
  header(lowerName: string): readonly string[] | undefined
  /** A `Set-Cookie` that the response is to have; written where a cookie is hashed on that the client did not send. */
  balancerCookie: string | undefined
}

/** Gives a request's hash, an unsigned 32-bit number; undefined where it has nothing to be told apart by. */
export type HashOf = (request: HashInput) => number | undefined

/** The fields of an upstream that say what to hash on. */
export interface HashFields {
  readonly hash_on?: string | null
  readonly hash_fallback?: string | null
  readonly hash_on_header?: string | null
  readonly hash_fallback_header?: string | null
  readonly hash_on_cookie?: string | null
  readonly hash_on_cookie_path?: string | null
  readonly hash_on_query_arg?: string | null
  readonly hash_fallback_query_arg?: string | null
  readonly hash_on_uri_capture?: string | null
  readonly hash_fallback_uri_capture?: string | null
}

type Input = (request: HashInput) => string | undefined

/** Compiles what an upstream hashes on; undefined where that is nothing. `newId` makes the value of a new cookie. */
export function compileHash(fields: HashFields, newId: () => string = randomUUID): HashOf | undefined {
  const first = inputs[fields.hash_on ?? 'none']?.(fields, 'hash_on', newId)
  if (first === undefined) return undefined
  const second = inputs[fields.hash_fallback ?? 'none']?.(fields, 'hash_fallback', newId)
  return (request) => {
    const text = first(request) ?? second?.(request)
    return text === undefined ? undefined : hashText(text)
  }
}

type Which = 'hash_on' | 'hash_fallback'

const inputs: Readonly<Record<string, (fields: HashFields, which: Which, newId: () => string) => Input>> = {
  consumer: () => consumerOrCredential,
  ip: () => (request) => request.clientIp,
  header: (fields, which) => {
    const name = (fields[`${which}_header`] ?? '').toLowerCase()
    return (request) => request.header(name)?.join(', ')
  },
  cookie: ({ hash_on_cookie, hash_on_cookie_path }, _, newId) =>
    cookie(hash_on_cookie ?? '', hash_on_cookie_path ?? '/', newId),
  path: () => (request) => request.path,
  query_arg: (fields, which) => {
    const name = fields[`${which}_query_arg`] ?? ''
    return (request) => queryArgument(request.rawQuery, name)
  },
  uri_capture: (fields, which) => {
    const name = fields[`${which}_uri_capture`] ?? ''
    return (request) => request.match?.captures?.get(name) ?? request.match?.captures?.get(Number(name))
  },
}

const consumerOrCredential: Input = ({ identity }) => identity?.consumer?.id ?? identity?.credential?.id

function cookie(name: string, path: string, newId: () => string): Input {
  return (request) => {
    const sent = cookieValue(request.header('cookie'), name)
    if (sent) return sent
    const made = newId()
    request.balancerCookie = `${name}=${made}; Path=${path}; Same-Site=Lax; HttpOnly`
    return made
  }
}

/** The value of a cookie of this name in the lines of a request; the first where there are several. */
export function cookieValue(lines: readonly string[] | undefined, name: string): string | undefined {
  for (const line of lines ?? []) {
    for (const pair of line.split(';')) {
      const mark = pair.indexOf('=')
      if (mark > 0 && pair.slice(0, mark).trim() === name) return pair.slice(mark + 1).trim()
    }
  }
  return undefined
}

// The order of an argument's values does not tell requests apart.
function queryArgument(query: string, name: string): string | undefined {
  if (query === '') return undefined
  const values = new URLSearchParams(query).getAll(name)
  return values.length > 0 ? values.sort().join() : undefined
}

/** The same number for the same text on every worker and node. Source: Noll's FNV-1a, with the last steps of MurmurHash3. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return mix(hash)
}

/** Spreads a 32-bit number's every bit over all of them. */
export function mix(number: number): number {
  let hash = Math.imul(number ^ (number >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
