import type { Endpoint } from './types.ts'

export interface Match {
  readonly endpoint: Endpoint
  readonly params: Record<string, string>
}

interface Node {
  readonly literals: Map<string, Node>
  parameter?: Node
  endpoint?: Endpoint
}

/** Builds the lookup from a request's path to its endpoint; a literal segment goes before a named one. */
export function compileEndpoints(endpoints: readonly Endpoint[]): (path: string) => Match | undefined {
  const root = newNode()
  for (const endpoint of endpoints) add(root, endpoint)
  return (path) => {
    const segments = segmentsOf(path)
    const endpoint = segments && find(root, segments, 0)
    return endpoint && { endpoint, params: paramsOf(endpoint.path, segments) }
  }
}

/** The methods of an endpoint as the `Allow` header lists them. */
export function allowedMethods({ methods }: Endpoint): string {
  const names = [...Object.keys(methods), 'OPTIONS', ...('GET' in methods ? ['HEAD'] : [])]
  return names.sort().join(', ')
}

const newNode = (): Node => ({ literals: new Map() })

function add(root: Node, endpoint: Endpoint): void {
  let node = root
  for (const segment of endpoint.path.split('/').slice(1)) {
    if (segment !== '') node = step(node, segment)
  }
  if (node.endpoint) throw new Error(`two endpoints for ${endpoint.path}`)
  node.endpoint = endpoint
}

function step(node: Node, segment: string): Node {
  if (segment.startsWith('{')) return (node.parameter ??= newNode())
  const known = node.literals.get(segment)
  if (known) return known
  const fresh = newNode()
  node.literals.set(segment, fresh)
  return fresh
}

function find(node: Node, segments: readonly string[], at: number): Endpoint | undefined {
  const segment = segments[at]
  if (segment === undefined) return node.endpoint
  const literal = node.literals.get(segment)
  return (literal && find(literal, segments, at + 1)) ?? (node.parameter && find(node.parameter, segments, at + 1))
}

/** A path's decoded segments; one slash at the end does not count, an empty segment matches nothing. */
function segmentsOf(path: string): string[] | undefined {
  const trimmed = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  if (trimmed === '/') return []
  const segments = trimmed.split('/').slice(1)
  return segments.includes('') || !trimmed.startsWith('/') ? undefined : segments.map(decodeSegment)
}

/** Percent-decodes as Kong's framework does, which takes a plus for a space; bytes that are no UTF-8 become U+FFFD, which no name takes. */
const decodeSegment = (segment: string): string =>
  segment
    .replaceAll('+', ' ')
    .replace(/(?:%[0-9a-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll('%', ''), 'hex').toString('utf8'))

function paramsOf(pattern: string, segments: readonly string[]): Record<string, string> {
  const params: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [index, part] of pattern.split('/').slice(1).entries()) {
    if (part.startsWith('{')) params[part.slice(1, -1)] = segments[index] ?? ''
  }
  return params
}
