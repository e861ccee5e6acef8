import type { PassiveChecks, Verdicts } from './checks.ts'
import type { HealthTable } from './table.ts'

/**
 * How a try at a target ended: a response's status, 0 for an answer that is none; that it answered, where that is all that was
 * asked; or why it did not.
 */
export type Outcome = number | 'connected' | 'tcp failure' | 'timeout'

const gatewayTimeout = 504

/** Counts what a probe met. */
export function countProbe(table: HealthTable, place: number, outcome: Outcome, checks: Verdicts): void {
  if (outcome === 'tcp failure') table.count(place, outcome, checks.tcpFailures)
  else if (outcome === 'timeout') table.count(place, outcome, checks.timeouts)
  else if (outcome === 'connected') table.count(place, 'success', checks.successes)
  else if (checks.healthyStatuses.has(outcome)) table.count(place, 'success', checks.successes)
  else if (checks.unhealthyStatuses.has(outcome) || outcome === 0)
    table.count(place, 'http failure', checks.httpFailures)
}

/** Counts what a proxied request met. A 504 says that the target waited in vain itself, and is a timeout, as in Kong. */
export function countRequest(table: HealthTable, place: number, outcome: Outcome, checks: PassiveChecks): void {
  if (outcome === gatewayTimeout) table.count(place, 'timeout', checks.timeouts)
  else countProbe(table, place, checks.anyResponse && typeof outcome === 'number' ? 'connected' : outcome, checks)
}
