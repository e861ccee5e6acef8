import type { Filters } from '../config/filters.ts'
import type { Schema } from '../schema/field.ts'
import type { Store } from '../store/store.ts'
import type { Answer } from './answers.ts'

/** A parsed body. A form's values are texts until they are read with a schema in hand. */
export interface Body {
  readonly kind: 'none' | 'json' | 'form' | 'text'
  readonly value: Readonly<Record<string, unknown>>
  /** The body as it came, for those that are read as a whole (YAML). */
  readonly text?: string
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface AdminRequest {
  readonly method: Method
  /** The path's named segments, decoded, by the name in the endpoint's pattern. */
  readonly params: Readonly<Record<string, string>>
  /** The query's arguments in the order given; the first of a name counts. */
  readonly query: URLSearchParams
  readonly body: Body
}

export type Handler = (request: AdminRequest) => Answer | Promise<Answer>

/** One path of the Admin API: segments in braces, as in `/services/{services}`, match anything. */
export interface Endpoint {
  readonly path: string
  readonly methods: { readonly [M in Method]?: Handler }
  /** Media types taken beside JSON and forms. */
  readonly accepts?: readonly string[]
  /** Nothing is changed, whatever the method. */
  readonly onlyReads?: true
  /** It is ours, and so not among the paths that Kong lists at `/endpoints`. */
  readonly own?: true
  /** What OPTIONS is answered in place of the methods. */
  readonly options?: Answer
}

/** The keys of issuers that the node has, by the issuer's address: see the jwt plugin. */
export interface IssuerKeys {
  known(address: string): string | undefined
  ask(address: string): Promise<string | undefined>
}

/** What the endpoints work with. */
export interface Context {
  readonly store: Store
  readonly kinds: ReadonlyMap<string, Schema>
  readonly pluginSchemas: ReadonlyMap<string, Schema>
  /** What filter chains may name; undefined where there may be none. */
  readonly filters: Filters | undefined
  /** Whether entities can be written one by one; not where a declarative file is the source. */
  readonly writable: boolean
  readonly issuerKeys: IssuerKeys
}
