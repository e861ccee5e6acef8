import type { Traffic } from '../observe/traffic.ts'

/** Sums over all proxy workers, under nginx's names. */
export interface ServerCounters {
  readonly connections_accepted: number
  readonly connections_active: number
  readonly connections_handled: number
  readonly connections_reading: number
  readonly connections_waiting: number
  readonly connections_writing: number
  readonly total_requests: number
}

/** What the Admin API tells of the node that it runs on, beside its settings. */
export interface NodeFacts {
  /** A UUID that stays the node's own for as long as it runs. */
  readonly id: string
  readonly hostname: string
  /** Gibbon's version, `x.y.z`. */
  readonly version: string
  /** Priority and version of each plugin that this build can run. */
  readonly plugins: ReadonlyMap<string, { readonly version: string; readonly priority: number }>
  /** The proxy workers; threads share one process id. */
  readonly workers: () => { readonly pids: readonly number[]; readonly count: number }
  readonly counters: () => ServerCounters
  /** What each worker has counted of its requests. */
  readonly traffic: () => Promise<readonly Traffic[]>
}
