/** Counts each request in Redis. */
import type { Redis } from '../../pdk/redis.ts'
import { countedIn, type Limit, type Scope, type Usage } from './limiter.ts'
import { windowAt } from './windows.ts'

/**
 * One step: counts in every window or, where one of them is full, in none. KEYS: the counts. ARGV: for each the most that it may be,
 * then for each after how many seconds it is forgotten. Gives what was counted before.
 */
const step = `
local used, full = {}, false
for at, key in ipairs(KEYS) do
  used[at] = tonumber(redis.call('GET', key) or '0')
  full = full or used[at] >= tonumber(ARGV[at])
end
if not full then
  for at, key in ipairs(KEYS) do
    if redis.call('INCR', key) == 1 then redis.call('EXPIRE', key, ARGV[#KEYS + at]) end
  end
end
return used`

interface Options {
  readonly limits: readonly Limit[]
  readonly scope: Partial<Scope>
  readonly redis: Redis
}

/** Counts a request; rejects where Redis does not answer. `now` is in whole seconds since 1970. */
export async function countAtRedis({ limits, scope, redis }: Options, identifier: string, now: number): Promise<Usage> {
  const windows = limits.map(({ period }) => windowAt(period, now))
  const names = limits.map(({ period }, at) => countedIn(scope, identifier, period, windows[at]!).name)
  const most = limits.map((limit) => String(limit.most))
  const lengths = windows.map(({ start, end }) => String(end - start))
  const used = await redis.command(['EVAL', step, String(names.length), ...names, ...most, ...lengths])
  return { used: (used as unknown[]).map(Number), windows }
}
