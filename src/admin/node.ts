/** A listening address as `GET /` shows it. */
export interface ListenerFacts {
  readonly ip: string
  readonly port: number
  /** The setting's text, such as `0.0.0.0:8443 ssl`. */
  readonly listener: string
  readonly ssl?: boolean
  readonly http2?: boolean
  readonly proxy_protocol?: boolean
  readonly deferred?: boolean
  readonly bind?: boolean
  readonly reuseport?: boolean
  readonly [option: string]: unknown
}

/** Sums over all proxy workers, as nginx counts them. */
export interface ServerCounters {
  readonly connections_accepted: number
  readonly connections_active: number
  readonly connections_handled: number
  readonly connections_reading: number
  readonly connections_waiting: number
  readonly connections_writing: number
  readonly total_requests: number
}

/** What the Admin API tells of the node it runs on. */
export interface NodeFacts {
  /** A UUID that stays the node's own for as long as it runs. */
  readonly id: string
  readonly hostname: string
  /** Gibbon's version, `x.y.z`. */
  readonly version: string
  readonly database: 'off' | 'sqlite' | 'postgres'
  /** Every setting with its present value, secrets masked. */
  readonly configuration: Readonly<Record<string, unknown>>
  readonly proxyListeners: readonly ListenerFacts[]
  readonly adminListeners: readonly ListenerFacts[]
  /** Priority and version of each plugin that this build can run. */
  readonly plugins: ReadonlyMap<string, { readonly version: string; readonly priority: number }>
  readonly workers: () => { readonly pids: readonly number[]; readonly count: number }
  readonly counters: () => ServerCounters
  readonly logLevel: {
    readonly get: () => string
    readonly set: (level: string) => void
    readonly levels: readonly string[]
  }
}
