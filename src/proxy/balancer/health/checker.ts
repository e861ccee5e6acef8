/** The active checks of one upstream: its healthy targets at one interval, its unhealthy ones at another. */
import type { Balancer } from '../balancer.ts'
import type { Peer } from '../peer.ts'
import type { ActiveChecks } from './checks.ts'
import { countProbe, type Outcome } from './count.ts'
import { healthName, type HealthHolder } from './standing.ts'

export interface CheckerPlan {
  readonly upstream: string
  readonly balancer: Balancer
  readonly checks: ActiveChecks
  readonly health: HealthHolder
  readonly probe: (peer: Peer) => Promise<Outcome>
}

/** Looks at the targets that are due when told the time; a target that is still being looked at is not due. */
export class Checker {
  /** May be another one from now on. */
  plan: CheckerPlan
  readonly #waiting: Peer[] = []
  readonly #busy = new Set<Peer>()
  #running = 0
  #healthyAt = -Infinity
  #unhealthyAt = -Infinity

  constructor(plan: CheckerPlan) {
    this.plan = plan
  }

  /** `time` in ms. What was looked at before keeps the rhythm. */
  tick(time: number): void {
    const { healthyIntervalMs, unhealthyIntervalMs } = this.plan.checks
    if (healthyIntervalMs > 0 && time >= this.#healthyAt && this.#queue(true))
      this.#healthyAt = time + healthyIntervalMs
    if (unhealthyIntervalMs > 0 && time >= this.#unhealthyAt && this.#queue(false))
      this.#unhealthyAt = time + unhealthyIntervalMs
  }

  /** False where there is nobody to look at yet: whoever comes is not to wait for an interval. */
  #queue(healthy: boolean): boolean {
    const { balancer } = this.plan
    const due = balancer.sources
      .flatMap(({ shares }) => shares)
      .filter(({ peer, weight }) => weight > 0 && balancer.isHealthy(peer) === healthy)
    for (const { peer } of due) {
      if (this.#busy.has(peer)) continue
      this.#busy.add(peer)
      this.#waiting.push(peer)
    }
    this.#run()
    return due.length > 0
  }

  #run(): void {
    while (this.#running < this.plan.checks.concurrency) {
      const peer = this.#waiting.shift()
      if (!peer) return
      this.#running++
      void this.plan.probe(peer).then((outcome) => {
        this.#running--
        this.#busy.delete(peer)
        this.#count(peer, outcome)
        this.#run()
      })
    }
  }

  #count(peer: Peer, outcome: Outcome): void {
    const { upstream, checks, health } = this.plan
    countProbe(health.table, health.table.placeOf(healthName(upstream, peer)), outcome, checks)
  }
}
