/**
 * The rate-limiting plugin: so many requests in a second, a minute, up to a year, by consumer, address or what else tells clients
 * apart. Source: Kong's docs, "Rate Limiting"; draft-ietf-httpapi-ratelimit-headers-02.
 */
import type { Entity } from '../../pdk/entities.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { definePlugin, type Instance } from '../../pdk/plugin.ts'
import { Absence, type Redis, redisAt } from '../../pdk/redis.ts'
import type { Config as ConfigOf } from '../../schema/infer.ts'
import { countAtRedis } from './at-redis.ts'
import { Limiter, type Limit, type Scope, type Usage } from './limiter.ts'
import { periods, type schema } from './schema.ts'
import { type Shared, shareCount } from './sharing.ts'

type Config = ConfigOf<typeof schema>

interface Ready {
  readonly limits: readonly Told[]
  readonly scope: Partial<Scope>
  readonly identify: (kong: AccessKong) => string | undefined
  /** What counts on this node. */
  readonly limiter: Limiter
  /** What counts in its place; undefined where the node itself does. */
  readonly redis: Redis | undefined
  readonly isTolerant: boolean
  readonly tells: boolean
  readonly status: number
  readonly message: string | undefined
}

/** A limit with the headers that tell of it. */
interface Told extends Limit {
  readonly text: string
  readonly limitHeader: string
  readonly remainingHeader: string
}

export default definePlugin<Config, Ready>({
  version: '3.10.0',
  priority: 910,
  prepare(config, { route, service }: Instance) {
    const limits = limitsOf(config)
    const scope = { ...(route !== undefined && { route }), ...(service !== undefined && { service }) }
    const at = sharedAt(config)
    return {
      limits,
      scope,
      identify: identifiers[config.limit_by ?? 'ip'](config),
      limiter: new Limiter({
        limits,
        scope,
        ...(at && { onCount: (counted, place) => shareCount({ ...counted, place, at }) }),
      }),
      redis: config.policy === 'redis' && !at ? redisAt(config.redis) : undefined,
      isTolerant: config.fault_tolerant,
      tells: !config.hide_client_headers,
      status: statusOf(config),
      message: config.error_message ?? undefined,
    }
  },
  access(kong, ready) {
    const now = Math.floor(Date.now() / 1000)
    const identifier = ready.identify(kong) ?? kong.client.get_forwarded_ip()
    if (ready.redis) return throughRedis(kong, ready, ready.redis, identifier, now)
    return decide(kong, ready, ready.limiter.count(identifier, now), now)
  },
})

function limitsOf(config: Config): Told[] {
  return periods.flatMap((period) => {
    const most = config[period]
    if (most === null) return []
    const name = period.charAt(0).toUpperCase() + period.slice(1)
    const headers = { limitHeader: `X-RateLimit-Limit-${name}`, remainingHeader: `X-RateLimit-Remaining-${name}` }
    return [{ period, most, text: String(most), ...headers }]
  })
}

/** Where nodes share what they count on their own; undefined where they share nothing, or Redis counts every request. */
function sharedAt({ policy, redis, sync_rate: rate }: Config): Shared | undefined {
  if (policy === 'cluster') return 'database'
  return policy === 'redis' && rate > 0 ? { redis, rate } : undefined
}

/** The schema lets numbers through that are no status of a final response. */
function statusOf({ error_code: code }: Config): number {
  if (code === null) return 429
  return Number.isInteger(code) && code >= 200 && code <= 599 ? code : 500
}

type Identify = Ready['identify']

/** What requests are counted by; where a request has none of it, by its address. */
const identifiers: Readonly<Record<NonNullable<Config['limit_by']>, (config: Config) => Identify>> = {
  ip: () => () => undefined,
  service: () => (kong) => kong.router.get_service()?.id,
  consumer: () => (kong) => idOf(kong.client.get_consumer() ?? kong.client.get_credential()),
  credential: () => (kong) => idOf(kong.client.get_credential()),
  header:
    ({ header_name: name }) =>
    (kong) =>
      name === null ? undefined : kong.request.get_header(name),
  path:
    ({ path }) =>
    (kong) =>
      kong.request.get_path() === path ? path : undefined,
}

const idOf = (entity: Entity | null): string | undefined => entity?.id

const absences = new WeakMap<Redis, Absence>()

function absenceOf(redis: Redis): Absence {
  const known = absences.get(redis) ?? new Absence('rate-limiting: requests cannot be counted in Redis')
  absences.set(redis, known)
  return known
}

async function throughRedis(
  kong: AccessKong,
  ready: Ready,
  redis: Redis,
  identifier: string,
  now: number,
): Promise<Answer | undefined> {
  const { limits, scope, isTolerant } = ready
  const absence = absenceOf(redis)
  let usage: Usage
  try {
    usage = await countAtRedis({ limits, scope, redis }, identifier, now)
    absence.ended(kong.log)
  } catch (error) {
    absence.met(kong.log, error)
    return isTolerant ? undefined : kong.response.error(500, 'An unexpected error occurred')
  }
  return decide(kong, ready, usage, now)
}

/** Tells of the limits, and refuses the request where one was reached before it. */
function decide(kong: AccessKong, ready: Ready, { used, windows }: Usage, now: number): Answer | undefined {
  const { limits, tells } = ready
  const isRefused = limits.some(({ most }, at) => used[at]! >= most)
  if (tells) tell(kong, limits, { used, windows }, isRefused, now)
  return isRefused ? kong.response.error(ready.status, ready.message) : undefined
}

/** The headers without a period are about the window that has least left, the longest of several. */
function tell({ response }: AccessKong, limits: readonly Told[], usage: Usage, isRefused: boolean, now: number): void {
  let least = Infinity
  let nearest = 0
  for (let at = 0; at < limits.length; at++) {
    const { most, text, limitHeader, remainingHeader } = limits[at]!
    const used = usage.used[at]!
    const counts = !isRefused || used >= most
    const remaining = Math.max(0, most - used - (counts ? 1 : 0))
    response.add_header(limitHeader, text)
    response.add_header(remainingHeader, String(remaining))
    if (remaining > least) continue
    least = remaining
    nearest = at
  }
  const reset = String(Math.max(1, usage.windows[nearest]!.end - now))
  response.add_header('RateLimit-Limit', limits[nearest]!.text)
  response.add_header('RateLimit-Remaining', String(least))
  response.add_header('RateLimit-Reset', reset)
  if (isRefused) response.add_header('Retry-After', reset)
}
