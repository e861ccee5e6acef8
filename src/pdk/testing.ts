/**
 * A test kit for plugin authors: a `kong` made from the description of a request, and entities held in memory.
 * It keeps to the interfaces of `kong.ts` and `entities.ts`, so that a phase function is tested without a gateway.
 */
import { parseArguments, queryWithout, readBody } from './body.ts'
import type { Change, Entities, Entity, Loaded } from './entities.ts'
import type { Identity } from './identity.ts'
import type { AccessKong, Answer, Log, Request, Response, ServiceRequest } from './kong.ts'

/** A request as a test writes it down. */
export interface RequestDescription {
  readonly method?: string
  /** Path with query, as it stands in the request line; `/` by default. */
  readonly path?: string
  readonly headers?: readonly (readonly [name: string, value: string])[]
  readonly body?: string
  readonly scheme?: 'http' | 'https'
  /** The service of the route, by its id. */
  readonly service?: string
  /** The client's address; `127.0.0.1` by default. */
  readonly ip?: string
  /** What the client showed in TLS. */
  readonly certificate?: Buffer
}

type LogLevel = Exclude<keyof Log, 'set_serialize_value'>

/** Entities that a test puts, changes and deletes; whoever holds one that changed sees its `live` turn false. */
export interface TestEntities extends Entities {
  put(kind: string, entity: Entity): Loaded
  delete(kind: string, id: string): void
  /** How many times anything was asked for. */
  readonly reads: number
}

/** A `kong` of the access phase that keeps what a plugin did with it. */
export interface TestKong extends AccessKong {
  /** The identity set last. */
  readonly identity: Identity | undefined
  /** Headers of the request to the upstream that the plugin set, by lower-case name; null where it removed one. */
  readonly upstreamHeaders: ReadonlyMap<string, readonly string[] | null>
  /** Headers of the response that the plugin set, likewise. */
  readonly responseHeaders: ReadonlyMap<string, readonly string[] | null>
  /** The query and the body of the request to the upstream where the plugin changed them. */
  readonly sent: { readonly query?: string; readonly body?: string }
  readonly logged: readonly { readonly level: LogLevel; readonly message: string }[]
  /** What the plugin put into the request's line in the log. */
  readonly serialized: ReadonlyMap<string, unknown>
}

/** An empty store of entities. */
export function testEntities(): TestEntities {
  const kinds = new Map<string, Map<string, { entity: Entity; live: boolean }>>()
  let reads = 0
  let made = 0
  const of = (kind: string) => {
    let entities = kinds.get(kind)
    if (entities === undefined) kinds.set(kind, (entities = new Map()))
    return entities
  }
  const drop = (kind: string, id: string): void => {
    const loaded = of(kind).get(id)
    if (loaded === undefined) return
    loaded.live = false
    of(kind).delete(id)
  }
  return {
    get reads() {
      return reads
    },
    get(kind, id) {
      reads++
      return of(kind).get(id)
    },
    by(kind, field, value) {
      reads++
      return of(kind)
        .values()
        .find(({ entity }) => entity[field] === value)
    },
    referring(kind, field, id) {
      reads++
      const entities = [...of(kind).values()]
        .map(({ entity }) => entity)
        .filter((entity) => (entity[field] as { readonly id?: unknown } | null)?.id === id)
      return { entities, live: false }
    },
    async write(changes) {
      const entities: Entity[] = []
      for (const change of changes) {
        const before = change.do === 'insert' ? undefined : of(change.kind).get(idIn(change))?.entity
        if ((change.do === 'update' || change.do === 'delete') && !before)
          return { ok: false, reason: 'absent', message: `no ${change.kind}` }
        if (change.do === 'delete') drop(change.kind, change.id)
        const given = givenBy(change, before)
        const id = before?.id ?? (typeof given['id'] === 'string' ? given['id'] : `made-${++made}`)
        if (change.do === 'insert' && takes(of(change.kind), change.entity))
          return { ok: false, reason: 'refused', message: 'a value of key is taken' }
        const entity: Entity = { ...before, ...given, id }
        if (change.do !== 'delete') this.put(change.kind, entity)
        entities.push(entity)
      }
      return { ok: true, entities }
    },
    put(kind, entity) {
      drop(kind, entity.id)
      const loaded = { entity: Object.freeze({ ...entity }), live: true }
      of(kind).set(entity.id, loaded)
      return loaded
    },
    delete: drop,
  }
}

const idIn = (change: Exclude<Change, { readonly do: 'insert' }>): string =>
  change.do === 'count' ? change.entity.id : change.id

function givenBy(change: Change, before: Entity | undefined): Readonly<Record<string, unknown>> {
  if (change.do === 'count')
    return { ...change.entity, [change.field]: Number(before?.[change.field] ?? 0) + change.by }
  return change.do === 'insert' ? change.entity : change.do === 'update' ? change.changes : {}
}

/** Whether an entity has the same `key`, which is unique wherever it is. */
const takes = (held: ReadonlyMap<string, { readonly entity: Entity }>, { key }: Readonly<Record<string, unknown>>) =>
  key !== undefined && held.values().some(({ entity }) => entity['key'] === key)

/** A `kong` for one request. */
export function testKong(description: RequestDescription = {}, entities: Entities = testEntities()): TestKong {
  const logged: { level: LogLevel; message: string }[] = []
  const serialized = new Map<string, unknown>()
  const log = (level: LogLevel) => (message: string) => void logged.push({ level, message })
  const upstreamHeaders = new Map<string, string[] | null>()
  const responseHeaders = new Map<string, string[] | null>()
  const sent: { query?: string; body?: string } = {}
  let identity: Identity | undefined
  const request = requestOf(description)
  return {
    request,
    client: {
      get_ip: () => description.ip ?? '127.0.0.1',
      get_forwarded_ip: () => description.ip ?? '127.0.0.1',
      get_port: () => 40000,
      get_certificate: () => description.certificate,
      get_consumer: () => identity?.consumer ?? null,
      get_credential: () => identity?.credential ?? null,
      get_identity: () => identity,
      authenticate: (found) => void (identity = found),
    },
    ip: { is_trusted: () => false },
    router: {
      get_route: () => undefined,
      get_service: () => (description.service === undefined ? undefined : { id: description.service }),
    },
    log: {
      debug: log('debug'),
      info: log('info'),
      notice: log('notice'),
      warn: log('warn'),
      err: log('err'),
      set_serialize_value: (key, value) => void serialized.set(key, value),
    },
    entities,
    ctx: { shared: {} },
    service: { request: { ...targetCalls(request, sent), ...headerCalls(upstreamHeaders) } },
    response: { exit, error, ...headerCalls(responseHeaders) },
    get identity() {
      return identity
    },
    upstreamHeaders,
    responseHeaders,
    sent,
    logged,
    serialized,
  }
}

function targetCalls(
  request: Request,
  sent: { query?: string; body?: string },
): Omit<ServiceRequest, 'set_header' | 'add_header' | 'clear_header' | 'clear_alike'> {
  return {
    set_path() {},
    set_raw_query: (query) => void (sent.query = query),
    clear_query_arg: (name) => void (sent.query = queryWithout(sent.query ?? request.get_raw_query(), name)),
    set_raw_body: (body) => void (sent.body = String(body)),
    set_method() {},
  }
}

function headerCalls(
  headers: Map<string, string[] | null>,
): Pick<ServiceRequest, 'set_header' | 'add_header' | 'clear_header' | 'clear_alike'> {
  return {
    clear_alike: (name) => void headers.set(name.toLowerCase(), null),
    set_header: (name, value) => void headers.set(name.toLowerCase(), [value]),
    add_header: (name, value) =>
      void headers.set(name.toLowerCase(), [...(headers.get(name.toLowerCase()) ?? []), value]),
    clear_header: (name) => void headers.set(name.toLowerCase(), null),
  }
}

const exit: Response['exit'] = (status, body, headers = {}) => {
  const isJson = typeof body === 'object' && !(body instanceof Uint8Array)
  const type: [string, string][] = isJson ? [['Content-Type', 'application/json; charset=utf-8']] : []
  return answer(status, isJson ? JSON.stringify(body) : (body ?? null), [...type, ...Object.entries(headers)])
}

const error: Response['error'] = (status, message = statusTexts[status] ?? '', headers = {}) => {
  const text = JSON.stringify(message)
  const body = `{\n  "message":${text},\n  "request_id":"${'0'.repeat(32)}"\n}`
  return answer(status, body, [['Content-Type', 'application/json; charset=utf-8'], ...Object.entries(headers)])
}

const statusTexts: Readonly<Record<number, string>> = { 400: 'Bad request', 401: 'Unauthorized' }

function answer(status: number, body: Answer['body'], headers: Answer['headers']): Answer {
  return { status, headers, body }
}

function requestOf({
  method = 'GET',
  path = '/',
  headers = [],
  body = '',
  scheme = 'http',
}: RequestDescription): Request {
  const [, rawPath = '/', query = ''] = /^([^?]*)\??(.*)$/s.exec(path) ?? []
  const received = new Map<string, string[]>()
  for (const [name, value] of headers) {
    received.set(name.toLowerCase(), [...(received.get(name.toLowerCase()) ?? []), value])
  }
  const parameters = parseArguments(query, 1000)
  const contentType = received.get('content-type')?.[0]
  return {
    get_scheme: () => scheme,
    get_host: () => (received.get('host')?.[0] ?? 'localhost').replace(/:\d+$/, '').toLowerCase(),
    get_port: () => 8000,
    get_http_version: () => 1.1,
    get_method: () => method,
    get_path: () => rawPath,
    get_raw_path: () => rawPath,
    get_path_with_query: () => path,
    get_raw_query: () => query,
    get_query_arg: (name) => parameters.get(name)?.[0],
    get_query: () => parameters,
    get_uri_captures: () => ({ named: {}, unnamed: [] }),
    get_header: (name) =>
      (received.get(name.toLowerCase()) ?? received.get(name.toLowerCase().replaceAll('_', '-')))?.[0],
    get_header_values: (name) => received.get(name.toLowerCase()) ?? [],
    get_headers: () => received,
    get_raw_body: () => Promise.resolve(Buffer.from(body)),
    get_body: () => Promise.resolve(readBody(Buffer.from(body), contentType)),
    get_start_time: () => Date.now(),
  }
}
