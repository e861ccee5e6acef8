/**
 * What a plugin sees of a request: `kong`, with the namespaces and names of Kong's plugin development kit.
 * Each phase gets a narrower type, so that calling what the phase may not do does not compile.
 * Source: Kong's docs, "Plugin development kit".
 */
import type { BodyFields } from './body.ts'
import type { Entities, Entity } from './entities.ts'
import type { ErrorShape } from './error-shape.ts'
import type { Identity } from './identity.ts'

/** An answer that ends a request's road: returned by a phase function, never thrown. */
export interface Answer {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string | Uint8Array | null
  /** What a refusal says, where its body may take another shape than it has. */
  readonly message?: string
  /** What counts and logs call a refusal; no client sees it. */
  readonly reason?: string
  /** The shape of the body where this answer has one of its own; else it is the settings'. */
  readonly shape?: ErrorShape
}

export interface Request {
  get_scheme(): 'http' | 'https'
  /** The Host header without its port, in lower case. */
  get_host(): string
  get_port(): number
  get_http_version(): number
  get_method(): string
  /** The normalised path, without the query. */
  get_path(): string
  /** The path as it was received, without the query. */
  get_raw_path(): string
  /** The path as it was received, with the query. */
  get_path_with_query(): string
  /** The text behind the first `?`, as received; empty when there is none. */
  get_raw_query(): string
  /** The first value of a query argument; true when it stands without `=`. */
  get_query_arg(name: string): string | true | undefined
  /** Every value of every query argument, decoded, in order. */
  get_query(): ReadonlyMap<string, readonly (string | true)[]>
  /**
   * The first value of a header, whatever its case, as the client sent it or a plugin set it. A name with `_` finds the header with
   * `-`, too, where there is none with `_`.
   */
  get_header(name: string): string | undefined
  /** What the groups of the route's regular expression captured: all of them in order, and those with a name by it. */
  get_uri_captures(): {
    readonly named: Readonly<Record<string, string>>
    readonly unnamed: readonly (string | null)[]
  }
  /** Every value of a header, in order: more than one where it was sent several times. */
  get_header_values(name: string): readonly string[]
  /** Every header by its lower-case name, with its values in order. */
  get_headers(): ReadonlyMap<string, readonly string[]>
  /** The request's whole body; undefined where it has more than `limit` bytes (default 1 MiB). */
  get_raw_body(limit?: number): Promise<Buffer | undefined>
  /** The fields of a form, a JSON object or a multipart form of at most 1 MiB; undefined where the body is none of them. */
  get_body(): Promise<BodyFields | undefined>
  /** When the request's first byte was read, in ms since 1970. */
  get_start_time(): number
}

export interface Client {
  get_ip(): string
  get_forwarded_ip(): string
  get_port(): number
  /**
   * The certificate (DER) that the client showed in the TLS handshake, where a plugin had it asked for one. Nobody has looked who
   * signed it, only that the client has its key.
   */
  get_certificate(): Buffer | undefined
  get_consumer(): Entity | null
  get_credential(): Entity | null
  /** What the last authentication plugin that succeeded found; undefined where none has. */
  get_identity(): Identity | undefined
  /**
   * Makes `identity` the request's own: its headers go to the upstream, and every identity header that the client sent
   * (X-Consumer-*, X-Credential-*, X-Anonymous-Consumer, X-Authenticated-*) is dropped. A later call replaces an earlier one.
   */
  authenticate(identity: Identity): void
}

export interface ServiceRequest {
  set_path(path: string): void
  set_raw_query(query: string): void
  /** Takes every argument of this name out of the query; the others stay in order, and are escaped anew, as in Kong. */
  clear_query_arg(name: string): void
  /** Sends these bytes in place of the request's body. */
  set_raw_body(body: Buffer): void
  set_method(method: string): void
  /** Sets a header of the request to the upstream, in place of every one of that name. */
  set_header(name: string, value: string): void
  add_header(name: string, value: string): void
  clear_header(name: string): void
  /** The same, also where the client wrote `_` for `-`: many applications read both as one name (CGI, WSGI, Rack). */
  clear_alike(name: string): void
}

export interface ServiceResponse {
  get_status(): number
  get_header(name: string): string | undefined
  get_headers(): ReadonlyMap<string, readonly string[]>
}

export interface Response {
  get_status(): number
  get_header(name: string): string | undefined
  get_headers(): ReadonlyMap<string, readonly string[]>
  /** Where the response came from: the upstream (`service`), a plugin (`exit`), or the gateway's own `error`. */
  get_source(): 'service' | 'exit' | 'error'
  set_status(status: number): void
  set_header(name: string, value: string): void
  add_header(name: string, value: string): void
  clear_header(name: string): void
  /** An answer to be returned: an object is sent as compact JSON, a string or bytes as they are. */
  exit(status: number, body?: object | string | Uint8Array, headers?: Readonly<Record<string, string>>): Answer
  /** An answer to be returned in the form of the gateway's own errors, chosen by `Accept`; without a message, the status's own. */
  error(status: number, message?: string, headers?: Readonly<Record<string, string>>): Answer
}

export interface Router {
  get_route(): Entity | undefined
  get_service(): Entity | undefined
}

export interface Log {
  debug(message: string): void
  info(message: string): void
  notice(message: string): void
  warn(message: string): void
  err(message: string): void
  /** Puts a value into the request's line in the access log, and into what log plugins tell of it. */
  set_serialize_value(key: string, value: unknown): void
}

export interface Ip {
  /** Whether `trusted_ips` has this address, so that it may tell in headers who the client is and how it came. */
  is_trusted(address: string): boolean
}

interface Everywhere {
  readonly request: Request
  readonly client: Client
  readonly ip: Ip
  readonly router: Router
  readonly log: Log
  readonly entities: Entities
  /** Values that live as long as the request, shared by all plugins. */
  readonly ctx: { readonly shared: Record<string, unknown> }
}

export interface RewriteKong extends Everywhere {
  readonly service: { readonly request: ServiceRequest }
  readonly response: Pick<Response, 'exit' | 'error' | 'set_header' | 'add_header' | 'clear_header'>
}
export type AccessKong = RewriteKong
export interface HeaderFilterKong extends Omit<Everywhere, 'client'> {
  readonly client: Omit<Client, 'authenticate'>
  readonly service: { readonly response: ServiceResponse }
  readonly response: Omit<Response, 'exit' | 'error'>
}
export interface BodyFilterKong extends Omit<HeaderFilterKong, 'response'> {
  readonly response: Pick<Response, 'get_status' | 'get_header' | 'get_headers' | 'get_source'>
}
export type LogKong = BodyFilterKong

/** Everything at once: what the gateway gives, and each phase's type narrows. */
export interface Kong extends Everywhere {
  readonly service: { readonly request: ServiceRequest; readonly response: ServiceResponse }
  readonly response: Response
}
