/** Which of an upstream's peers take requests, as the shared table has it. */
import type { Peer } from '../peer.ts'
import type { Share } from '../rotation.ts'
import type { Checks } from './checks.ts'
import { countRequest, type Outcome } from './count.ts'
import type { HealthTable } from './table.ts'

/** Where a thread finds the table, which is another one when the first has become too small. */
export interface HealthHolder {
  table: HealthTable
}

export interface Standing {
  /** True once since the last call where a target has turned. */
  hasChanged(): boolean
  isHealthy(peer: Peer): boolean
  /** Notes how a proxied request ended; undefined without passive checks. */
  readonly note: ((peer: Peer, outcome: Outcome) => void) | undefined
}

/** What the table calls a peer of an upstream. */
export const healthName = (upstream: string, { host, address, port }: Peer): string =>
  `${upstream} ${host} ${address} ${port}`

/** The standing of an upstream's peers. */
export function standingOf(upstream: string, checks: Checks, holder: HealthHolder): Standing {
  let table = holder.table
  let turns = -1
  let places = new WeakMap<Peer, number>()

  function placeOf(peer: Peer): number {
    const known = places.get(peer)
    if (known !== undefined) return known
    const place = table.placeOf(healthName(upstream, peer))
    places.set(peer, place)
    return place
  }

  const { passive } = checks
  return {
    hasChanged: () => {
      if (table === holder.table && turns === table.turns) return false
      if (table !== holder.table) places = new WeakMap()
      ;({ table } = holder)
      ;({ turns } = table)
      return true
    },
    isHealthy: (peer) => !table.isDown(placeOf(peer)),
    note: passive && ((peer, outcome) => countRequest(table, placeOf(peer), outcome, passive)),
  }
}

/**
 * Whether an upstream with these shares takes requests at all. More than the threshold of its weight must be available, as Kong
 * has it; where all of it is, that is enough for any threshold.
 */
export function isAvailable(all: readonly Share[], healthy: readonly Share[], threshold: number): boolean {
  const total = weightOf(all)
  const available = weightOf(healthy)
  return available > 0 && (available === total || (available / total) * 100 > threshold)
}

export const weightOf = (shares: readonly Share[]): number => shares.reduce((sum, { weight }) => sum + weight, 0)
