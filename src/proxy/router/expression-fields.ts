/** What a route expression's fields are in a request. Source: Kong's docs, "Expressions", "Matching fields". */
import type { RoutingRequest } from './router.ts'
import { splitHost } from './rule.ts'

/** A field's value, its values where it may have several, or undefined where the request has none. */
export type FieldOf = (request: RoutingRequest) => string | number | readonly string[] | undefined

const fields: Readonly<Record<string, FieldOf>> = {
  'net.protocol': ({ scheme }) => scheme,
  'tls.sni': ({ sni }) => sni,
  'http.method': ({ method }) => method,
  'http.host': (request) => splitHost(request).host,
  'http.path': ({ path }) => path,
  'http.path.segments.len': ({ path }) => segmentsOf(path).length,
  'net.src.ip': ({ clientIp }) => clientIp,
  'net.src.port': ({ clientPort }) => clientPort,
  'net.dst.ip': ({ serverIp }) => serverIp,
  'net.dst.port': ({ host, serverPort }) => splitHost({ host, port: serverPort ?? 0 }).port,
}

const families: Readonly<Record<string, (name: string) => FieldOf>> = {
  'http.path.segments.': segment,
  'http.headers.': header,
  'http.queries.': (name) => (request) => queryValues(request.rawQuery ?? '', name),
}

/** How to look a field up; the field is one that was checked. */
export function fieldOf(name: string): FieldOf {
  const own = fields[name]
  if (own) return own
  const family = Object.keys(families).find((prefix) => name.startsWith(prefix))
  if (family === undefined) throw new TypeError(`${name} is no field of a request`)
  return (families[family] as (rest: string) => FieldOf)(name.slice(family.length))
}

/** A path's segments; empty ones at its end do not count. */
function segmentsOf(path: string): string[] {
  const segments = path.slice(1).split('/')
  while (segments.at(-1) === '') segments.pop()
  return segments
}

/** One segment, counted from 0, or those from one to another. */
function segment(range: string): FieldOf {
  const [from = 0, to = from] = range.split('_').map(Number)
  return ({ path }) => {
    const segments = segmentsOf(path)
    return to < segments.length ? segments.slice(from, to + 1).join('/') : undefined
  }
}

/** An underscore stands for a dash, unless the request has a header with an underscore. */
function header(name: string): FieldOf {
  const lower = name.toLowerCase()
  const names = [...new Set([lower, lower.replaceAll('_', '-')])]
  return (request) => {
    for (const each of names) {
      const lines = request.header(each)
      if (lines && lines.length > 0) return lines.map(textOf)
    }
    return undefined
  }
}

/** Header values arrive one character a byte; an expression is written as text. */
const textOf = (line: string): string =>
  /[\x80-\xff]/.test(line) ? Buffer.from(line, 'latin1').toString('utf8') : line

function queryValues(query: string, name: string): readonly string[] | undefined {
  if (query === '') return undefined
  const values = new URLSearchParams(query).getAll(name)
  return values.length > 0 ? values : undefined
}
