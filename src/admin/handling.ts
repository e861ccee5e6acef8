import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { kinds as everyKind, pluginSchemas as everyPluginSchema } from '../config/kinds.ts'
import type { Filters } from '../config/filters.ts'
import type { Settings } from '../config/settings.ts'
import type { AnsweredRequest, Log } from '../observe/log.ts'
import type { UpstreamHealthSource } from '../observe/upstream-health.ts'
import type { Schema } from '../schema/field.ts'
import type { Audit } from '../store/audit.ts'
import type { SealedStore } from '../store/sealed.ts'
import type { Store } from '../store/store.ts'
import { type Caller, doorkeeper, forbidden, owner, READS, TOKEN_HEADER } from './access.ts'
import { methodNotAllowed, notFound, tooManyArguments, unexpected, type Answer } from './answers.ts'
import { allEndpoints } from './endpoints.ts'
import { OPEN_TO_PROGRAMS, visitorOf, type Visitor } from './guard.ts'
import type { NodeFacts } from './node.ts'
import { bodyOf, type Reading } from './reading.ts'
import { adminTokenEndpoints } from './routes/admin-tokens.ts'
import { keyringEndpoints } from './routes/keyring.ts'
import { reloadEndpoints, type Replace } from './routes/reload.ts'
import { allowedMethods, compileEndpoints, type Match } from './routing.ts'
import { send, type AnswerToPath } from './sending.ts'
import type { AdminRequest, Context, Endpoint, IssuerKeys, Method } from './types.ts'

export interface AdminOptions {
  readonly settings: Settings
  readonly store: Store
  readonly node: NodeFacts
  readonly log: Log
  /** The health of targets. */
  readonly health: UpstreamHealthSource
  /** The certificate of listeners with `ssl`; with `clientCa`, clients must show one of these authorities. */
  readonly tls?: {
    readonly cert: string | Buffer
    readonly key: string | Buffer
    readonly clientCa?: readonly string[]
  }
  /** Where the node's own programs reach the Admin API, and what it has for them alone: a socket only its owner can open. */
  readonly socket?: string
  /** When another gateway has left that place; where it is not given, nobody has it. */
  readonly socketIsFree?: Promise<unknown>
  /** For each listener, a socket that is listened on already, where there is one. */
  readonly inherited?: readonly (number | undefined)[]
  /** Has another process take this one's place, for `gibbon reload`. */
  readonly replace?: Replace
  /** How the store is sealed, for `gibbon keyring`. */
  readonly sealing?: Pick<SealedStore, 'sealing' | 'rotate'>
  /** Follows what is changed, and by whom; its `store` is then the one given. */
  readonly audit?: Audit
  /** The keys of issuers; without it none is known. */
  readonly issuerKeys?: IssuerKeys
  /** Told of each request answered. */
  readonly onAnswer?: (entry: AnsweredRequest) => void
  readonly kinds?: ReadonlyMap<string, Schema>
  readonly pluginSchemas?: ReadonlyMap<string, Schema>
  readonly filters?: Filters | undefined
}

type Respond = (request: IncomingMessage, response: ServerResponse) => void

export interface Handling {
  readonly respond: Respond
  /** For requests of the prefix's owner. */
  readonly respondToOwner: Respond
  /** The answer to a request whose method node's parser does not know. */
  readonly unknownMethod: AnswerToPath
}

/** More than these in a query are refused, as Kong refuses them, rather than read in part. */
const MAX_ARGUMENTS = 1000

/** Where requests come in: which endpoints there are, and who may use them. */
interface Door {
  readonly match: (path: string) => Match | undefined
  readonly admit: (request: IncomingMessage) => Caller | { readonly refusal: Answer }
}

/** The whole way of a request: who sends it, which endpoint, its body, the answer. */
export function requestHandler(options: AdminOptions): Handling {
  const { settings, node, log, audit } = options
  const context = contextOf(options)
  const endpoints = allEndpoints(context, options)
  const match = compileEndpoints(endpoints)
  const outside: Door = { match, admit: doorkeeper({ settings, reader: options.store.reader, log }) }
  const inside: Door = {
    match: compileEndpoints([
      ...endpoints,
      ...adminTokenEndpoints(context),
      ...keyringEndpoints(options),
      ...reloadEndpoints(options),
    ]),
    admit: () => owner,
  }
  const guarded = { hosts: settings.admin_hosts, origins: settings.admin_origins }
  const reading: Reading = { bytes: 0, longest: settings.admin_body_bytes }
  const server = `gibbon/${node.version}`

  async function answer(
    request: IncomingMessage,
    id: string,
    visitor: Visitor,
    caller: ReturnType<Door['admit']>,
    found: Match | undefined,
    query: URLSearchParams,
  ): Promise<Answer> {
    if (visitor.refusal) return visitor.refusal
    if ('refusal' in caller) return caller.refusal
    const refusal = forbidden(caller, request.method ?? '', found?.endpoint)
    if (refusal) return refusal
    if (!found) return notFound
    if (request.method === 'OPTIONS')
      return found.endpoint.options ?? optionsAnswer(found.endpoint, visitor, settings, request)
    const parsed = await bodyOf(request, found.endpoint, reading)
    if ('refusal' in parsed) return parsed.refusal
    await context.store.refresh()
    const answered = () => call(found, request.method ?? '', query, parsed.body)
    if (!audit || !writes(request, found.endpoint)) return answered()
    const facts = { ...factsOf(request, id, found.endpoint), by: caller.by, name: caller.name, role: caller.role }
    return audit.follow(
      facts,
      async () => answered(),
      ({ status }) => ({ status }),
    )
  }

  async function respond(door: Door, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const begun = performance.now()
    const { method = '' } = request
    const visitor = visitorOf(method, request.headers, guarded)
    const { path, query } = targetOf(request.url ?? '/')
    const found = door.match(path)
    const id = randomUUID().replaceAll('-', '')
    const given = await answer(request, id, visitor, door.admit(request), found, query).catch((error: unknown) => {
      log.error('the Admin API failed to answer', { method, endpoint: found?.endpoint.path, error: textOf(error) })
      return unexpected
    })
    const durationMs = performance.now() - begun
    const headers = {
      ...visitor.cors,
      'X-Kong-Admin-Latency': String(Math.floor(durationMs)),
      Server: server,
      ...(audit && { 'X-Kong-Admin-Request-ID': id }),
    }
    send(request, response, given, headers)
    const client = request.socket.remoteAddress ?? ''
    options.onAnswer?.({ method, endpoint: found?.endpoint.path, status: given.status, durationMs, client })
  }

  const through =
    (door: Door): Respond =>
    (request, response) => {
      respond(door, request, response).catch((error: unknown) => {
        log.error('the Admin API failed to send an answer', { error: textOf(error) })
        response.destroy()
      })
    }
  return {
    respond: through(outside),
    respondToOwner: through(inside),
    unknownMethod: (path) => ({
      answer: match(targetOf(path).path) ? methodNotAllowed : notFound,
      headers: { ...OPEN_TO_PROGRAMS, 'X-Kong-Admin-Latency': '0', Server: server },
    }),
  }
}

function contextOf({
  settings,
  store,
  kinds = everyKind,
  pluginSchemas = everyPluginSchema,
  filters,
  issuerKeys = { known: () => undefined, ask: async () => undefined },
}: AdminOptions): Context {
  return { store, kinds, pluginSchemas, filters, writable: settings.database !== 'off', issuerKeys }
}

const writes = ({ method = '' }: IncomingMessage, endpoint: Endpoint): boolean =>
  !READS.has(method) && !endpoint.onlyReads

/** The endpoint's pattern rather than the path, which may hold a credential's key. */
const factsOf = ({ method, socket }: IncomingMessage, id: string, { path }: Endpoint) => ({
  request_id: id,
  client: socket.remoteAddress ?? null,
  method,
  endpoint: path,
})

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
  if (!handler) return methodNotAllowed
  return query.size > MAX_ARGUMENTS ? tooManyArguments : handler({ method: name, params, query, body })
}

function optionsAnswer(
  endpoint: Endpoint,
  { cors }: Visitor,
  { admin_tokens }: Settings,
  { headers: sent }: IncomingMessage,
): Answer {
  const methods = allowedMethods(endpoint)
  if (!('Access-Control-Allow-Origin' in cors)) return { status: 204, headers: { Allow: methods } }
  const usual = admin_tokens === 'off' ? 'Content-Type' : `Content-Type, ${TOKEN_HEADER}`
  const allowed = sent['access-control-request-headers'] ?? usual
  const headers = { 'Access-Control-Allow-Methods': methods, 'Access-Control-Allow-Headers': allowed }
  return { status: 204, headers: { Allow: methods, ...headers } }
}

/** A request target's path and query; an absolute one (RFC 9112, 3.2.2) loses its authority. */
function targetOf(target: string): { path: string; query: URLSearchParams } {
  const local = target.replace(/^https?:\/\/[^/?]*/i, '')
  const mark = local.indexOf('?')
  const path = mark < 0 ? local : local.slice(0, mark)
  return { path: path === '' ? '/' : path, query: new URLSearchParams(mark < 0 ? '' : local.slice(mark + 1)) }
}
