/**
 * Adds up what nodes have counted, for one node: it tells what was counted here since the last time, hears what was counted
 * altogether, and counts here what others have added. No request waits for it; until it has heard of others, a node knows its own
 * counts alone.
 */
import { hash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { CountTable, Place } from '../../pdk/counts.ts'
import type { Change, Changed, Entity } from '../../pdk/entities.ts'
import { Absence, type Redis, type RedisServer } from '../../pdk/redis.ts'
import type { Log } from '../../pdk/kong.ts'
import type { Counted, SharedCount } from './sharing.ts'

/** How often nodes add up in the database, in ms. */
const databaseMs = 500
const closingMs = 1000
/** Counts that are added up in one go. */
const mostAtOnce = 500
/** Counts that have their turn together: where there are more, those wait that had theirs last. */
const mostInTurn = 2000
/** Counts that a node shares at most; what is more is counted on the node alone. */
const mostShared = 100_000

/** A change that adds to a count in the database. */
export type MetricChange = Extract<Change, { readonly do: 'count' }>

export interface SharerOptions {
  readonly table: CountTable
  readonly log: Pick<Log, 'err' | 'notice'>
  readonly redisAt: (server: RedisServer) => Redis
  /** Counts in the database; an answer for each change, in order. */
  readonly change: (changes: readonly MetricChange[]) => Promise<Changed>
  /** What the database has of a count. */
  readonly metric: (id: string) => Entity | undefined
  /** In seconds since 1970. */
  readonly now?: () => number
}

export interface Sharer {
  share(count: SharedCount): void
  /** Where shared counts are: a process that goes on with the node's learns these from the others. */
  places(): readonly Place[]
  /** Adds up at once, everywhere. */
  addUp(): Promise<void>
  /** Adds up a last time, as far as that takes no longer than a second. */
  close(): Promise<void>
}

/** A count and how far it is shared. */
interface Held {
  readonly count: SharedCount
  /** How much of what was counted here the others know, theirs included. */
  known: number
  /** What was counted altogether when that was last asked. */
  total: number
}

/** Adds this much to each count, and gives what they come to. */
type Add = (held: readonly Held[], by: readonly number[]) => Promise<readonly number[]>

export function createSharer({ table, log, redisAt, change, metric, now = seconds }: SharerOptions): Sharer {
  const circles = new Map<string, Circle>()
  const open = ({ at }: SharedCount): Circle => {
    if (at === 'database') {
      const absence = new Absence('rate-limiting: nodes cannot count together in the database')
      return new Circle({ add: inDatabase(change, metric), everyMs: databaseMs, absence, table, log, now })
    }
    const absence = new Absence('rate-limiting: nodes cannot count together in Redis')
    return new Circle({ add: inRedis(redisAt(at.redis)), everyMs: at.rate * 1000, absence, table, log, now })
  }
  return {
    share(count) {
      const key = JSON.stringify(count.at)
      let circle = circles.get(key)
      if (circle === undefined) circles.set(key, (circle = open(count)))
      circle.take(count)
    },
    places: () => [...circles.values()].flatMap((circle) => circle.places()),
    addUp: async () => void (await Promise.all([...circles.values()].map((circle) => circle.addUp()))),
    async close() {
      const closed = Promise.all([...circles.values()].map((circle) => circle.close()))
      await Promise.race([closed, wait(closingMs, undefined, { ref: false })])
    },
  }
}

const seconds = (): number => Math.floor(Date.now() / 1000)

interface CircleOptions extends Pick<SharerOptions, 'table' | 'log'> {
  readonly add: Add
  readonly everyMs: number
  readonly absence: Absence
  readonly now: () => number
}

/** The nodes that count in one place. */
class Circle {
  readonly #options: CircleOptions
  /** By name, those first whose turn was the longest ago. */
  readonly #held = new Map<string, Held>()
  #timer: NodeJS.Timeout | undefined
  #adding = Promise.resolve()
  #isClosed = false

  constructor(options: CircleOptions) {
    this.#options = options
  }

  take(count: SharedCount): void {
    const held = this.#held.get(count.name)
    if (held ? isSame(held.count.place, count.place) : this.#held.size >= mostShared) return
    // In another place it begins anew, and learns there what was counted altogether.
    this.#held.set(count.name, { count, known: 0, total: 0 })
    this.#plan()
  }

  places(): Place[] {
    return [...this.#held.values()].map(({ count }) => count.place)
  }

  close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    return this.addUp(Infinity)
  }

  #plan(): void {
    if (this.#isClosed || this.#timer !== undefined || this.#held.size === 0) return
    this.#timer = setTimeout(() => void this.#turn(), this.#options.everyMs).unref()
  }

  async #turn(): Promise<void> {
    await this.addUp()
    this.#timer = undefined
    this.#plan()
  }

  /** One after another: what is being added must not be added again. */
  addUp(most = mostInTurn): Promise<void> {
    return (this.#adding = this.#adding.then(() => this.#addUpMost(most)))
  }

  async #addUpMost(most: number): Promise<void> {
    const { absence, log } = this.#options
    this.#forget()
    const turn = this.#held.values().take(most).toArray()
    try {
      for (let at = 0; at < turn.length; at += mostAtOnce) await this.#addUpSome(turn.slice(at, at + mostAtOnce))
      absence.ended(log)
    } catch (error) {
      absence.met(log, error)
    }
  }

  /** What nobody can be refused by any more. */
  #forget(): void {
    const { table, now } = this.#options
    for (const [name, { count }] of this.#held)
      if (count.window.end <= now() || !table.holds(count.place)) this.#held.delete(name)
  }

  async #addUpSome(some: readonly Held[]): Promise<void> {
    const { table, add } = this.#options
    const by = some.map((held) => newIn(held, table.at(held.count.place)))
    const totals = await add(some, by)
    for (const [at, held] of some.entries()) {
      const total = totals[at]!
      // Where less was counted altogether than before, what there was has been lost.
      const ofOthers = Math.max(0, total - by[at]! - held.total)
      if (table.holds(held.count.place)) table.add(held.count.place, ofOthers)
      held.known += by[at]! + ofOthers
      held.total = total
      this.#putLast(held)
    }
  }

  #putLast(held: Held): void {
    const { name } = held.count
    if (this.#held.get(name) !== held) return
    this.#held.delete(name)
    this.#held.set(name, held)
  }
}

/** Workers take back what they counted in vain, so many at the same moment at most. */
const mostInVain = 4

/** What was counted here and not shared yet. Where there is much less than was shared, the place was lost and taken anew meanwhile. */
function newIn(held: Held, counted: number): number {
  if (held.known - counted > mostInVain) {
    held.known = 0
    held.total = 0
  }
  return Math.max(0, counted - held.known)
}

const isSame = (one: Place, other: Place): boolean => one.cell === other.cell && one.tag === other.tag

const inDatabase =
  (change: SharerOptions['change'], metric: SharerOptions['metric']): Add =>
  async (held, by) => {
    const metrics = held.map(({ count }) => metricOf(count))
    const changes = metrics.flatMap((one, at): MetricChange[] =>
      by[at] === 0 ? [] : [{ do: 'count', kind: 'ratelimiting_metrics', field: 'value', by: by[at]!, entity: one }],
    )
    const changed: Changed = changes.length === 0 ? { ok: true, entities: [] } : await change(changes)
    if (!changed.ok) throw new Error(changed.message)
    const written = changed.entities.values()
    return metrics.map(({ id }, at) => Number((by[at] === 0 ? metric(id) : written.next().value)?.['value'] ?? 0))
  }

/** A count as it stands in the database, but for its value. It is forgotten soon after its window. */
function metricOf({ name, identifier, route, service, period, window: { start, end } }: Counted) {
  const id = idOf(name)
  const ttl = end - start + 60
  return { id, identifier, period, period_date: start, service_id: service, route_id: route, ttl }
}

/** RFC 9562 5.8: a UUID whose bits mean what we want. */
function idOf(name: string): string {
  const hex = hash('sha256', name, 'hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** KEYS: the counts. ARGV: what is added to each, then for each after how many seconds it is forgotten. Gives what they come to. */
const addUp = `
local totals = {}
for at, key in ipairs(KEYS) do
  if ARGV[at] == '0' then
    totals[at] = tonumber(redis.call('GET', key) or '0')
  else
    totals[at] = redis.call('INCRBY', key, ARGV[at])
    if redis.call('TTL', key) < 0 then redis.call('EXPIRE', key, ARGV[#KEYS + at]) end
  end
end
return totals`

const inRedis =
  (redis: Redis): Add =>
  async (held, by) => {
    const names = held.map(({ count }) => count.name)
    const lengths = held.map(({ count: { window } }) => String(window.end - window.start))
    const totals = await redis.command(['EVAL', addUp, String(names.length), ...names, ...by.map(String), ...lengths])
    return (totals as unknown[]).map(Number)
  }
