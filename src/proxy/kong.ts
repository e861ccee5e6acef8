/** What plugins see of an exchange: the namespaces of `pdk/kong.ts`, each made when a plugin first asks for it. */
import type { Level } from '../observe/log.ts'
import { parseArguments, queryWithout, readBody, type BodyFields } from '../pdk/body.ts'
import type { Identity } from '../pdk/identity.ts'
import type {
  Answer,
  Client,
  Ip,
  Kong,
  Log,
  Request,
  Response,
  Router,
  ServiceRequest,
  ServiceResponse,
} from '../pdk/kong.ts'
import { errorAnswer, messageOf, type GatewayError } from './answers.ts'
import type { Exchange } from './exchange.ts'
import { grpcError } from './grpc.ts'
import { hostName } from './host.ts'
import { drop, idOf, known, requestDrop, responseDrop } from './http1/fields.ts'
import { firstById, firstValue } from './http1/head.ts'
import { allValues, headerMap, isFieldName, namesLike, wireText, type HeaderChanges } from './http1/lines.ts'

const accept = idOf('accept')
/** Arguments of a query are read up to here, as in Kong. */
const maxArguments = 1000
const defaultBodyBytes = 1024 * 1024

/** The `kong` of one exchange. */
export const createKong = (exchange: Exchange): Kong => new KongOf(exchange)

class KongOf implements Kong {
  readonly #exchange: Exchange
  #request: Request | undefined
  #client: Client | undefined
  #service: Kong['service'] | undefined
  #response: Response | undefined
  #router: Router | undefined
  #log: Log | undefined
  #ctx: Kong['ctx'] | undefined

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  get request(): Request {
    return (this.#request ??= new RequestOf(this.#exchange))
  }

  get client(): Client {
    return (this.#client ??= new ClientOf(this.#exchange))
  }

  get service(): Kong['service'] {
    return (this.#service ??= {
      request: new ServiceRequestOf(this.#exchange),
      response: new ServiceResponseOf(this.#exchange),
    })
  }

  get response(): Response {
    return (this.#response ??= new ResponseOf(this.#exchange))
  }

  get router(): Router {
    const exchange = this.#exchange
    return (this.#router ??= {
      get_route: () => exchange.plan?.route as ReturnType<Router['get_route']>,
      get_service: () => exchange.plan?.service?.entity,
    })
  }

  get ip(): Ip {
    const { isTrusted } = this.#exchange.runtime
    return { is_trusted: isTrusted }
  }

  get log(): Log {
    return (this.#log ??= logOf(this.#exchange))
  }

  get entities(): Kong['entities'] {
    return this.#exchange.runtime.entities
  }

  get ctx(): Kong['ctx'] {
    return (this.#ctx ??= { shared: Object.create(null) as Record<string, unknown> })
  }
}

function logOf(exchange: Exchange): Log {
  const fields = { request_id: exchange.id }
  const at = (level: Level) => (message: string) => exchange.runtime.log[level](message, fields)
  return {
    debug: at('debug'),
    info: at('info'),
    notice: at('notice'),
    warn: at('warn'),
    err: at('error'),
    set_serialize_value: (key, value) => {
      exchange.logged ??= new Map()
      exchange.logged.set(key, value)
    },
  }
}

class RequestOf implements Request {
  readonly #exchange: Exchange

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  get_scheme(): 'http' | 'https' {
    return this.#exchange.scheme
  }

  get_host(): string {
    return hostName(this.#exchange.host)
  }

  get_port(): number {
    return this.#exchange.downstream.localPort
  }

  get_http_version(): number {
    const { downstream, head } = this.#exchange
    return downstream.httpVersion === 2 ? 2 : 1 + head.minor / 10
  }

  get_method(): string {
    return this.#exchange.method
  }

  get_path(): string {
    return this.#exchange.path
  }

  get_raw_path(): string {
    return this.#exchange.rawPath
  }

  get_path_with_query(): string {
    const { rawPath, hasQuery, rawQuery } = this.#exchange
    return hasQuery ? `${rawPath}?${rawQuery}` : rawPath
  }

  get_raw_query(): string {
    return this.#exchange.rawQuery
  }

  get_query_arg(name: string): string | true | undefined {
    return this.#exchange.rawQuery === '' ? undefined : this.get_query().get(name)?.[0]
  }

  get_query(): ReadonlyMap<string, readonly (string | true)[]> {
    return parseArguments(this.#exchange.rawQuery, maxArguments)
  }

  get_uri_captures() {
    const captures = [...(this.#exchange.match?.captures ?? [])]
    const named: Record<string, string> = {}
    const unnamed: (string | null)[] = []
    for (const [key, text] of captures) {
      if (typeof key === 'string') named[key] = text
      else unnamed[key - 1] = text
    }
    return { named, unnamed: Array.from(unnamed, (text) => text ?? null) }
  }

  get_header(name: string): string | undefined {
    const lower = name.toLowerCase()
    return this.#firstValue(lower) ?? (lower.includes('_') ? this.#firstValue(lower.replaceAll('_', '-')) : undefined)
  }

  #firstValue(lower: string): string | undefined {
    const { head, identity, requestChanges: changes } = this.#exchange
    if (changes === undefined && identity === undefined) return firstValue(head, lower)
    const added = changes?.added.find((line) => line.lower === lower)
    if (changes?.dropped.includes(lower)) return added?.value
    const own = identity?.headers.find(([header]) => header.toLowerCase() === lower)
    if (own) return own[1]
    if (identity && isIdentityName(lower)) return added?.value
    return firstValue(head, lower) ?? added?.value
  }

  get_header_values(name: string): readonly string[] {
    const { head, identity, requestChanges: changes } = this.#exchange
    const lower = name.toLowerCase()
    if (changes === undefined && identity === undefined) return allValues(head, lower)
    return this.get_headers().get(lower) ?? []
  }

  get_headers(): ReadonlyMap<string, readonly string[]> {
    const { head, identity, requestChanges: changes } = this.#exchange
    const dropped = changes?.dropped ?? []
    const map = headerMap(head, requestDrop, identity === undefined ? drop.own : drop.own | drop.identity, dropped)
    for (const [name, value] of identity?.headers ?? []) {
      if (!dropped.includes(name.toLowerCase())) map.set(name.toLowerCase(), [value])
    }
    return withAdded(map, changes)
  }

  get_raw_body(limit = defaultBodyBytes): Promise<Buffer | undefined> {
    const { body } = this.#exchange.downstream
    if (body.length > limit) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      body.whenReady(limit, () =>
        resolve(body.waitingBytes > limit || !body.complete ? undefined : Buffer.concat(body.waiting)),
      )
    })
  }

  async get_body(): Promise<BodyFields | undefined> {
    const bytes = await this.get_raw_body()
    return bytes && readBody(bytes, this.get_header('content-type'))
  }

  get_start_time(): number {
    return this.#exchange.startMs
  }
}

const identityNames = new Set(known.filter((field) => field.request === drop.identity).map((field) => field.name))
const isIdentityName = (lower: string): boolean => identityNames.has(lower)

class ClientOf implements Client {
  readonly #exchange: Exchange

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  get_ip(): string {
    return this.#exchange.downstream.remoteAddress
  }

  get_forwarded_ip(): string {
    return this.#exchange.clientIp
  }

  get_port(): number {
    return this.#exchange.downstream.remotePort
  }

  get_certificate(): Buffer | undefined {
    return this.#exchange.downstream.clientCertificate
  }

  get_consumer() {
    return this.#exchange.identity?.consumer ?? null
  }

  get_credential() {
    return this.#exchange.identity?.credential ?? null
  }

  get_identity(): Identity | undefined {
    return this.#exchange.identity
  }

  authenticate(identity: Identity): void {
    this.#exchange.identity = identity
  }
}

/** Sets of changes begin empty; most exchanges never have one. */
const changesOf = (changes: HeaderChanges | undefined): HeaderChanges => changes ?? { dropped: [], added: [] }

function setLine(changes: HeaderChanges, name: string, value: string): void {
  clearLine(changes, name)
  addLine(changes, name, value)
}

function addLine(changes: HeaderChanges, name: string, value: string, isFirst = false): void {
  changes.added.push({ lower: lowerNameOf(name), name, value: wireText(value), isFirst })
}

/** Names that plugins gave before: most give the same ones with every request. */
const lowerNames = new Map<string, string>()
const mostNames = 1000

function lowerNameOf(name: string): string {
  const known = lowerNames.get(name)
  if (known !== undefined) return known
  if (!isFieldName(name)) throw new TypeError(`not a header name: ${JSON.stringify(name)}`)
  const lower = name.toLowerCase()
  if (lowerNames.size < mostNames) lowerNames.set(name, lower)
  return lower
}

function clearLine(changes: HeaderChanges, name: string): void {
  const lower = name.toLowerCase()
  for (let at = changes.added.length - 1; at >= 0; at--)
    if (changes.added[at]?.lower === lower) changes.added.splice(at, 1)
  if (!changes.dropped.includes(lower)) changes.dropped.push(lower)
}

function withAdded(map: Map<string, string[]>, changes: HeaderChanges | undefined): Map<string, string[]> {
  for (const { lower, value } of changes?.added ?? []) {
    const values = map.get(lower)
    if (values) values.push(value)
    else map.set(lower, [value])
  }
  return map
}

class ServiceRequestOf implements ServiceRequest {
  readonly #exchange: Exchange

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  set_path(path: string): void {
    this.#redirection.path = wireText(path).replaceAll(' ', '%20')
  }

  set_raw_query(query: string): void {
    this.#redirection.query = wireText(query).replaceAll(' ', '%20')
  }

  clear_query_arg(name: string): void {
    const query = this.#exchange.redirection?.query ?? this.#exchange.rawQuery
    if (query !== '') this.#redirection.query = queryWithout(query, name)
  }

  set_raw_body(body: Buffer): void {
    this.#redirection.body = body
  }

  set_method(method: string): void {
    if (!isFieldName(method)) throw new TypeError(`not a method: ${JSON.stringify(method)}`)
    this.#redirection.method = method
  }

  set_header(name: string, value: string): void {
    setLine((this.#exchange.requestChanges = changesOf(this.#exchange.requestChanges)), name, value)
  }

  add_header(name: string, value: string): void {
    addLine((this.#exchange.requestChanges = changesOf(this.#exchange.requestChanges)), name, value)
  }

  clear_header(name: string): void {
    clearLine((this.#exchange.requestChanges = changesOf(this.#exchange.requestChanges)), name)
  }

  clear_alike(name: string): void {
    this.clear_header(name)
    for (const alike of namesLike(this.#exchange.head, name)) this.clear_header(alike)
  }

  get #redirection() {
    return (this.#exchange.redirection ??= {})
  }
}

class ServiceResponseOf implements ServiceResponse {
  readonly #exchange: Exchange

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  get_status(): number {
    return this.#exchange.response?.status ?? 0
  }

  get_header(name: string): string | undefined {
    return this.#exchange.response && firstValue(this.#exchange.response, name.toLowerCase())
  }

  get_headers(): ReadonlyMap<string, readonly string[]> {
    return this.#exchange.response ? headerMap(this.#exchange.response, responseDrop, 0, []) : new Map()
  }
}

class ResponseOf implements Response {
  readonly #exchange: Exchange

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  get_status(): number {
    return this.#exchange.status
  }

  get_header(name: string): string | undefined {
    return this.get_headers().get(name.toLowerCase())?.[0]
  }

  get_headers(): ReadonlyMap<string, readonly string[]> {
    const { response, answered, responseChanges: changes } = this.#exchange
    const dropped = changes?.dropped ?? []
    const map = response && !answered ? headerMap(response, responseDrop, 1, dropped) : new Map<string, string[]>()
    for (const [name, value] of answered?.headers ?? []) {
      if (!dropped.includes(name.toLowerCase())) map.set(name.toLowerCase(), [value])
    }
    return withAdded(map, changes)
  }

  get_source(): 'service' | 'exit' | 'error' {
    return this.#exchange.source
  }

  set_status(status: number): void {
    this.#exchange.status = status
  }

  set_header(name: string, value: string): void {
    setLine((this.#exchange.responseChanges = changesOf(this.#exchange.responseChanges)), name, value)
  }

  /** What is added before there is a response stands before its lines, as in Kong. */
  add_header(name: string, value: string): void {
    const exchange = this.#exchange
    addLine((exchange.responseChanges = changesOf(exchange.responseChanges)), name, value, !exchange.response)
  }

  clear_header(name: string): void {
    clearLine((this.#exchange.responseChanges = changesOf(this.#exchange.responseChanges)), name)
  }

  exit(status: number, body?: object | string | Uint8Array, headers: Readonly<Record<string, string>> = {}): Answer {
    const isJson = typeof body === 'object' && !(body instanceof Uint8Array)
    const given = Object.entries(headers)
    const type: [string, string][] =
      isJson && !given.some(([name]) => name.toLowerCase() === 'content-type')
        ? [['Content-Type', 'application/json; charset=utf-8']]
        : []
    return { status, headers: [...type, ...given], body: isJson ? JSON.stringify(body) : (body ?? null) }
  }

  error(status: number, message = messageOf(status), headers: Readonly<Record<string, string>> = {}): Answer {
    const { head, id, isCall } = this.#exchange
    const problem: GatewayError = { status, message, fallback: 'json' }
    const answer = isCall ? grpcError(problem) : errorAnswer(problem, acceptOf(head), id)
    return { ...answer, headers: [...answer.headers, ...Object.entries(headers)] }
  }
}

/** gRPC clients know their errors by headers, whatever they accept. */
const acceptOf = (head: Exchange['head']): string | undefined =>
  firstValue(head, 'content-type')?.startsWith('application/grpc') ? 'application/grpc' : firstById(head, accept)
