/** An upstream's health checks as they are configured. Source: Kong's docs, "Upstream Object", `healthchecks`. */

/** How often something has to happen to turn a target; 0 for never. */
interface Limits {
  readonly successes: number
  readonly tcpFailures: number
  readonly timeouts: number
  readonly httpFailures: number
}

/** What a response's status says; one in neither set says nothing. */
export interface Verdicts extends Limits {
  readonly healthyStatuses: ReadonlySet<number>
  readonly unhealthyStatuses: ReadonlySet<number>
}

export interface PassiveChecks extends Verdicts {
  /** Whether it is enough that there is a response. */
  readonly anyResponse: boolean
}

export type ProbeType = 'tcp' | 'http' | 'https' | 'grpc' | 'grpcs'

export interface ActiveChecks extends Verdicts {
  readonly type: ProbeType
  readonly timeoutMs: number
  /** Probes at the same time. */
  readonly concurrency: number
  readonly path: string
  /** The name to ask for in TLS, where it is not the target's. */
  readonly serverName: string | undefined
  readonly verify: boolean
  readonly headers: Readonly<Record<string, readonly string[]>>
  /** Between two probes of a target that is healthy, and of one that is not; 0 for none. */
  readonly healthyIntervalMs: number
  readonly unhealthyIntervalMs: number
}

export interface Checks {
  /** Undefined where no interval is set. */
  readonly active: ActiveChecks | undefined
  /** Undefined where no limit is set. */
  readonly passive: PassiveChecks | undefined
  /** Percent of the weight; the upstream takes requests while more than that is available. */
  readonly threshold: number
}

interface CountFields {
  readonly healthy: { readonly http_statuses?: readonly number[] | null; readonly successes?: number | null }
  readonly unhealthy: {
    readonly http_statuses?: readonly number[] | null
    readonly tcp_failures?: number | null
    readonly timeouts?: number | null
    readonly http_failures?: number | null
  }
}

/** The field `healthchecks` of an upstream. */
export interface CheckFields {
  readonly active: CountFields & {
    readonly type?: string | null
    readonly timeout?: number | null
    readonly concurrency?: number | null
    readonly http_path?: string | null
    readonly https_sni?: string | null
    readonly https_verify_certificate?: boolean | null
    readonly headers?: Readonly<Record<string, readonly string[]>> | null
    readonly healthy: { readonly interval?: number | null }
    readonly unhealthy: { readonly interval?: number | null }
  }
  readonly passive: CountFields & { readonly type?: string | null }
  readonly threshold?: number | null
}

/** Reads the checks; undefined where none can find a target unhealthy, and health is not looked at. */
export function compileChecks(fields: CheckFields | null | undefined): Checks | undefined {
  if (!fields) return undefined
  const active = activeChecks(fields.active)
  const passive = passiveChecks(fields.passive)
  return active || passive ? { active, passive, threshold: fields.threshold ?? 0 } : undefined
}

const msOf = (seconds: number | null | undefined): number => (seconds ?? 0) * 1000
/** A timeout of 0 means the default of what it stands for in nginx, a minute. */
const defaultTimeoutMs = 60_000

function activeChecks(fields: CheckFields['active']): ActiveChecks | undefined {
  const healthyIntervalMs = msOf(fields.healthy.interval)
  const unhealthyIntervalMs = msOf(fields.unhealthy.interval)
  if (healthyIntervalMs === 0 && unhealthyIntervalMs === 0) return undefined
  return {
    ...verdicts(fields),
    healthyIntervalMs,
    unhealthyIntervalMs,
    type: (fields.type ?? 'http') as ProbeType,
    timeoutMs: msOf(fields.timeout ?? 1) || defaultTimeoutMs,
    concurrency: fields.concurrency ?? 10,
    path: fields.http_path ?? '/',
    serverName: fields.https_sni ?? undefined,
    verify: fields.https_verify_certificate ?? true,
    headers: fields.headers ?? {},
  }
}

function passiveChecks(fields: CheckFields['passive']): PassiveChecks | undefined {
  const found = verdicts(fields)
  if (found.tcpFailures === 0 && found.timeouts === 0 && found.httpFailures === 0) return undefined
  return { ...found, anyResponse: fields.type === 'tcp' }
}

function verdicts({ healthy, unhealthy }: CountFields): Verdicts {
  return {
    healthyStatuses: new Set(healthy.http_statuses),
    unhealthyStatuses: new Set(unhealthy.http_statuses),
    successes: healthy.successes ?? 0,
    tcpFailures: unhealthy.tcp_failures ?? 0,
    timeouts: unhealthy.timeouts ?? 0,
    httpFailures: unhealthy.http_failures ?? 0,
  }
}
