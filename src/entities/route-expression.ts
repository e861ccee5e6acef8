/**
 * What Kong's router makes of a route's hosts, paths and so on: the expression that its messages quote. Ours routes without
 * it; it is written only to say what is wrong with one. Source: Kong's docs, "Expressions router".
 */
type Values = readonly string[]

interface Matchers {
  readonly methods?: Values | null
  readonly hosts?: Values | null
  readonly paths?: Values | null
  readonly snis?: Values | null
  readonly headers?: Readonly<Record<string, Values>> | null
}

/** What the router says of a route one of whose headers has no values: an empty pair of brackets. */
export function emptyHeaderError(route: Matchers): string | undefined {
  if (!Object.values(route.headers ?? {}).some((values) => values.length === 0)) return undefined
  const expression = expressionOf(route)
  const column = expression.indexOf('()') + 2
  const pointer = `${' '.repeat(column - 1)}^---`
  return ` --> 1:${column}\n  |\n1 | ${expression}\n  | ${pointer}\n  |\n  = expected term`
}

function expressionOf({ snis, methods, hosts, paths, headers }: Matchers): string {
  const parts = [
    snis?.length ? `(net.protocol != ${quoted('https')} || ${anyOf(snis, sniTerm)})` : '',
    methods?.length ? anyOf(methods, (method) => `http.method == ${quoted(method)}`) : '',
    hosts?.length ? anyOf(hosts, hostTerm) : '',
    paths?.length ? anyOf(paths, pathTerm) : '',
    ...Object.entries(headers ?? {}).map(([name, values]) => anyOf(values, (value) => headerTerm(name, value))),
  ]
  return parts.filter((part) => part !== '').join(' && ')
}

const anyOf = (values: Values, term: (value: string) => string): string => `(${values.map(term).join(' || ')})`

/** A text that holds the end of a raw one is written with escapes. */
const quoted = (text: string): string =>
  text.includes('"#') ? `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"` : `r#"${text}"#`

/** A wildcard at one end makes the rest a suffix or a prefix. */
function wildcardTerm(field: string, text: string, plain: string): string {
  if (text.startsWith('*')) return `${field} =^ ${quoted(plain.slice(1))}`
  return text.endsWith('*') ? `${field} ^= ${quoted(text.slice(0, -1))}` : `${field} == ${quoted(plain)}`
}

const sniTerm = (sni: string): string => wildcardTerm('tls.sni', sni, sni.length > 1 ? sni.replace(/\.$/, '') : sni)

function hostTerm(host: string): string {
  const [, name = host, port] = /^([^:]*):(\d+)$/.exec(host) ?? []
  const term = wildcardTerm('http.host', name, name)
  return port === undefined ? term : `(${term} && net.dst.port == ${port})`
}

const pathTerm = (path: string): string =>
  path.startsWith('~')
    ? `http.path ~ ${quoted(`^${path.slice(1).replaceAll('?<', '?P<')}`)}`
    : `http.path ^= ${quoted(path)}`

function headerTerm(name: string, value: string): string {
  const field = `any(lower(http.headers.${name.toLowerCase().replaceAll('-', '_')}))`
  return value.startsWith('~*')
    ? `${field} ~ ${quoted(value.slice(2).toLowerCase())}`
    : `${field} == ${quoted(value.toLowerCase())}`
}
