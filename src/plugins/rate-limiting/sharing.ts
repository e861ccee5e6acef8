/** Counts that nodes keep together without asking one another for each request: what a worker tells its node of them. */
import type { Place } from '../../pdk/counts.ts'
import type { RedisServer } from '../../pdk/redis.ts'
import type { Period } from './schema.ts'
import type { Window } from './windows.ts'

/** Where nodes add up what they have counted: in the database, or in Redis every so many seconds. */
export type Shared = 'database' | { readonly redis: RedisServer; readonly rate: number }

/** What is counted. */
export interface Counted {
  /** The name under which Redis has it, as in Kong. */
  readonly name: string
  readonly identifier: string
  /** Those of the plugin's scope. */
  readonly route: string
  readonly service: string
  readonly period: Period
  readonly window: Window
}

/** A count that other nodes are to hear of, and where this node has it. */
export interface SharedCount extends Counted {
  readonly place: Place
  readonly at: Shared
}

let share: (count: SharedCount) => void = () => {}

/** Sets who is told of the counts of this worker. */
export function configureSharing(tell: typeof share): void {
  share = tell
}

/** Has a count be shared from now on until its window is over. Telling it again changes nothing. */
export const shareCount = (count: SharedCount): void => share(count)
