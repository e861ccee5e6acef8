import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { allowedMethods, compileEndpoints, type Match } from './routing.ts'
import { htmlPage, message, methodNotAllowed, notFound, unexpected, type Answer } from './answers.ts'
import { decodeBody, NO_BODY, parserFor, type Parsed } from './body.ts'
import { allEndpoints } from './endpoints.ts'
import { OPEN_TO_PROGRAMS, visitorOf, type Visitor } from './guard.ts'
import type { NodeFacts } from './node.ts'
import type { AdminRequest, Context, Endpoint, Method } from './types.ts'
import { kinds as everyKind, pluginSchemas as everyPluginSchema } from '../config/kinds.ts'
import type { Listener, Settings } from '../config/settings.ts'
import type { Log } from '../observe/log.ts'
import type { Schema } from '../schema/field.ts'
import type { Store } from '../store/store.ts'

export interface AdminOptions {
  readonly settings: Settings
  readonly store: Store
  readonly node: NodeFacts
  readonly log: Log
  /** The certificate of listeners with `ssl`. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer }
  /** Told of each request answered: the endpoint's pattern rather than the path, which may hold a credential's key. */
  readonly onAnswer?: (entry: AnsweredRequest) => void
  readonly kinds?: ReadonlyMap<string, Schema>
  readonly pluginSchemas?: ReadonlyMap<string, Schema>
}

export interface AnsweredRequest {
  readonly method: string
  /** Such as `/services/{services}`; undefined where no endpoint was asked for. */
  readonly endpoint: string | undefined
  readonly status: number
  readonly durationMs: number
  readonly client: string
}

export interface RunningAdmin {
  /** The ports listened on, in the order of the listeners. */
  readonly ports: readonly number[]
  /** Stops listening, lets requests under way end, and resolves when all connections are gone. */
  close(): Promise<void>
}

const MAX_CONNECTIONS = 1000
/** Bodies that are being read may take this much memory altogether; above it new ones wait outside. */
const MAX_BYTES_READING = 128 * 1024 * 1024
const LIMITS = {
  maxHeaderSize: 32 * 1024,
  headersTimeout: 15_000,
  requestTimeout: 120_000,
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 5_000,
}
const CLOSE_AFTER_MS = 5_000

const busy: Answer = { ...message(429, 'too many large requests at once; try again'), headers: { 'Retry-After': '1' } }

/** Starts the Admin API on every listener of the settings. Rejects where one cannot be listened on. */
export async function startAdmin(options: AdminOptions): Promise<RunningAdmin> {
  const listeners = options.settings.admin_listen
  const handling = requestHandler(options)
  const servers = listeners.map((listener) => newServer(listener, options.tls, handling))
  try {
    await Promise.all(servers.map((server, index) => listening(server, listeners[index])))
  } catch (error) {
    for (const server of servers) server.close()
    throw error
  }
  return {
    ports: servers.map((server) => (server.address() as AddressInfo).port),
    close: async () => void (await Promise.all(servers.map(closed))),
  }
}

interface Handling {
  readonly respond: (request: IncomingMessage, response: ServerResponse) => void
  /** The answer to a request whose method node's parser does not know. */
  readonly unknownMethod: (path: string) => { readonly answer: Answer; readonly headers: Record<string, string> }
}

function newServer(
  { ssl, listener }: Listener,
  tls: AdminOptions['tls'],
  { respond, unknownMethod }: Handling,
): Server {
  if (ssl && !tls) throw new Error(`the Admin API has no certificate to listen with on ${listener}`)
  const server = ssl ? createTlsServer({ ...LIMITS, ...tls }, respond) : createServer(LIMITS, respond)
  server.maxConnections = MAX_CONNECTIONS
  server.on('clientError', (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket) =>
    refuse(error, socket, unknownMethod),
  )
  return server
}

function listening(server: Server, listener: Listener | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: listener?.ip, port: listener?.port, backlog: listener?.backlog }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_AFTER_MS)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
    server.closeIdleConnections()
  })
}

/** The whole way of a request: who sends it, which endpoint, its body, the answer. */
function requestHandler(options: AdminOptions): Handling {
  const { settings, node, log } = options
  const context = contextOf(options)
  const match = compileEndpoints(allEndpoints(context, options))
  const guarded = { hosts: settings.admin_hosts, origins: settings.admin_origins }
  const reading: Reading = { bytes: 0, longest: settings.admin_body_bytes }
  const server = `gibbon/${node.version}`

  async function answer(
    request: IncomingMessage,
    visitor: Visitor,
    found: Match | undefined,
    query: URLSearchParams,
  ): Promise<Answer> {
    if (visitor.refusal) return visitor.refusal
    if (!found) return notFound
    if (request.method === 'OPTIONS') return optionsAnswer(found.endpoint, visitor)
    const parsed = await bodyOf(request, found.endpoint, reading)
    if ('refusal' in parsed) return parsed.refusal
    context.store.reader.renew()
    return call(found, request.method ?? '', query, parsed.body)
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const begun = performance.now()
    const { method = '' } = request
    const visitor = visitorOf(method, request.headers, guarded)
    const { path, query } = targetOf(request.url ?? '/')
    const found = match(path)
    const given = await answer(request, visitor, found, query).catch((error: unknown) => {
      log.error('the Admin API failed to answer', { method, endpoint: found?.endpoint.path, error: textOf(error) })
      return unexpected
    })
    const durationMs = performance.now() - begun
    const headers = { ...visitor.cors, 'X-Kong-Admin-Latency': String(Math.floor(durationMs)), Server: server }
    send(request, response, given, headers)
    const client = request.socket.remoteAddress ?? ''
    options.onAnswer?.({ method, endpoint: found?.endpoint.path, status: given.status, durationMs, client })
  }

  return {
    respond: (request, response) => void respond(request, response),
    unknownMethod: (path) => ({
      answer: match(targetOf(path).path) ? methodNotAllowed : notFound,
      headers: { ...OPEN_TO_PROGRAMS, 'X-Kong-Admin-Latency': '0', Server: server },
    }),
  }
}

function contextOf({ settings, store, kinds = everyKind, pluginSchemas = everyPluginSchema }: AdminOptions): Context {
  return { store, kinds, pluginSchemas, writable: settings.database !== 'off' }
}

/** Where an error came from; its message is ours or node's, never a request's content. */
const textOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))

function call(
  { endpoint, params }: Match,
  method: string,
  query: URLSearchParams,
  body: AdminRequest['body'],
): Answer | Promise<Answer> {
  const name = (method === 'HEAD' ? 'GET' : method) as Method
  const handler = Object.hasOwn(endpoint.methods, name) ? endpoint.methods[name] : undefined
  return handler ? handler({ method: name, params, query, body }) : methodNotAllowed
}

function optionsAnswer(endpoint: Endpoint, { cors }: Visitor): Answer {
  const methods = allowedMethods(endpoint)
  if (!('Access-Control-Allow-Origin' in cors)) return { status: 204, headers: { Allow: methods } }
  const headers = { 'Access-Control-Allow-Methods': methods, 'Access-Control-Allow-Headers': 'Content-Type' }
  return { status: 204, headers: { Allow: methods, ...headers } }
}

/** A request target's path and query; an absolute one (RFC 9112, 3.2.2) loses its authority. */
function targetOf(target: string): { path: string; query: URLSearchParams } {
  const local = target.replace(/^https?:\/\/[^/?]*/i, '')
  const mark = local.indexOf('?')
  const path = mark < 0 ? local : local.slice(0, mark)
  return { path: path === '' ? '/' : path, query: new URLSearchParams(mark < 0 ? '' : local.slice(mark + 1)) }
}

/** What bodies under way take of the memory, in bytes, and how long one may be. */
interface Reading {
  bytes: number
  readonly longest: number
}

const WITH_BODY = new Set(['POST', 'PUT', 'PATCH'])

/** Reads and parses the body of a method that has one; the content type is judged before the method and the body. */
async function bodyOf(request: IncomingMessage, endpoint: Endpoint, reading: Reading): Promise<Parsed> {
  if (!WITH_BODY.has(request.method ?? '')) return { body: NO_BODY }
  const contentType = request.headers['content-type']
  const length = Number(request.headers['content-length'] ?? 0)
  if (contentType === undefined && length === 0 && request.headers['transfer-encoding'] === undefined)
    return { body: NO_BODY }
  const parser = parserFor(contentType, endpoint.accepts)
  if (typeof parser !== 'function') return { refusal: parser }
  if (!Object.hasOwn(endpoint.methods, request.method ?? '')) return { body: NO_BODY }
  if (length > reading.longest) return { refusal: htmlPage(413) }
  if (reading.bytes + length > MAX_BYTES_READING) return { refusal: busy }
  const bytes = await readBody(request, reading)
  return 'refusal' in bytes ? bytes : parser(decodeBody(bytes), contentType ?? '')
}

/** Collects a body; what is left of one that is refused is read and dropped, so that the client sees the answer. */
function readBody(request: IncomingMessage, reading: Reading): Promise<Buffer | { readonly refusal: Answer }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    const finish = (result: Buffer | { readonly refusal: Answer }): void => {
      reading.bytes -= size
      size = 0
      request.removeAllListeners('data')
      request.resume()
      resolve(result)
    }
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      reading.bytes += chunk.length
      chunks.push(chunk)
      if (size > reading.longest) finish({ refusal: htmlPage(413) })
      else if (reading.bytes > MAX_BYTES_READING) finish({ refusal: busy })
    })
    request.once('end', () => finish(Buffer.concat(chunks)))
    // The client went away or its body was malformed: there is nobody left to read this.
    request.once('error', () => finish({ refusal: htmlPage(400) }))
    request.once('close', () => finish({ refusal: htmlPage(400) }))
  })
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  common: Record<string, string>,
): void {
  if (response.destroyed) return
  const { type, text } = rendered(answer)
  const headers: Record<string, string | number> = { ...type, ...common, ...answer.headers }
  if (text !== undefined) headers['Content-Length'] = Buffer.byteLength(text)
  response.writeHead(answer.status, headers)
  response.end(request.method === 'HEAD' ? undefined : text)
}

function rendered({ body, page }: Answer): { type: Record<string, string>; text?: string } {
  if (page !== undefined) return { type: { 'Content-Type': 'text/html; charset=UTF-8' }, text: page }
  if (body === undefined) return { type: {} }
  return { type: { 'Content-Type': 'application/json; charset=utf-8' }, text: JSON.stringify(body) }
}

/** Answers what node's parser could not read: a page as nginx sends it, or the right JSON where only the method was unknown. */
function refuse(
  error: NodeJS.ErrnoException & { rawPacket?: Buffer },
  socket: Duplex,
  unknownMethod: Handling['unknownMethod'],
): void {
  const underWay = (socket as Duplex & { _httpMessage?: ServerResponse | null })._httpMessage
  if (underWay) {
    // An answer to an earlier request on the connection goes first.
    underWay.once('close', () => refuse(error, socket, unknownMethod))
    return
  }
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const path = error.code === 'HPE_INVALID_METHOD' ? pathOfUnknownMethod(error.rawPacket) : undefined
  const known = path === undefined ? undefined : unknownMethod(path)
  const answer = known?.answer ?? htmlPage(error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400)
  const { type, text = '' } = rendered(answer)
  const headers = { ...type, ...known?.headers, 'Content-Length': String(Buffer.byteLength(text)), Connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${answer.status} ${STATUS_TEXTS[answer.status]}\r\n${lines.join('')}\r\n${text}`)
}

const STATUS_TEXTS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
}

function pathOfUnknownMethod(packet: Buffer | undefined): string | undefined {
  return /^[A-Z]{1,32} (\/[^\s]*) HTTP\/1\.[01]\r\n/.exec(packet?.toString('latin1', 0, 8192) ?? '')?.[1]
}
