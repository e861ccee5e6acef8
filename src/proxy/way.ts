/**
 * The whole road of a request, one step after the other. A step returns nothing (go on), an answer (the road ends here), or a
 * promise of either; only a promise is waited for. `forward` is the last step: what comes back goes by `respond.ts`.
 */
import { errors } from './answers.ts'
import { look } from './clock.ts'
import type { Exchange } from './exchange.ts'
import { forward } from './forward.ts'
import { isAnswer, type Step } from './step.ts'
import { locate, readTarget } from './locate.ts'
import { runAccess, runRewrite, runTimedAccess, runTimedRewrite } from './phases.ts'
import { beginDebugging } from './request-debug.ts'

type Road = readonly ((exchange: Exchange) => Step)[]

const road: Road = [readTarget, runRewrite, locate, runAccess, forward]

/** The same for a request that is debugged. */
const timedRoad: Road = [
  readTarget,
  timed(['rewrite'], runTimedRewrite),
  timed(['access', 'router'], locate),
  timed(['access'], runTimedAccess),
  forward,
]

/** Takes an exchange along the road. An exception is a bug: it is logged and answered with 500. */
export function travel(exchange: Exchange): void {
  if (exchange.head.asksForDebug) exchange.debugged = beginDebugging(exchange)
  advance(exchange, exchange.debugged === undefined ? road : timedRoad, 0)
}

/** A step that is measured under these names. */
function timed(names: readonly string[], step: (exchange: Exchange) => Step): (exchange: Exchange) => Step {
  return (exchange) =>
    exchange.debugged ? exchange.debugged.timing.during(names, () => step(exchange)) : step(exchange)
}

function advance(exchange: Exchange, road: Road, step: number): void {
  if (exchange.finished) return
  try {
    for (; step < road.length; step++) {
      const outcome = road[step]?.(exchange)
      if (outcome === undefined) continue
      if (!(outcome instanceof Promise)) {
        end(exchange, outcome)
        return
      }
      const next = step + 1
      outcome.then(
        (late) => {
          look()
          if (late === undefined) advance(exchange, road, next)
          else end(exchange, late)
        },
        (error: unknown) => fail(exchange, error),
      )
      return
    }
  } catch (error) {
    fail(exchange, error)
  }
}

function end(exchange: Exchange, outcome: Exclude<Awaited<Step>, undefined>): void {
  if (exchange.finished) return
  if (isAnswer(outcome)) exchange.answer(outcome)
  else exchange.refuse(outcome)
}

function fail(exchange: Exchange, error: unknown): void {
  exchange.runtime.log.error(error instanceof Error ? String(error.stack) : String(error), { request_id: exchange.id })
  if (exchange.finished) return
  if (!exchange.responseBegun) exchange.refuse(errors.unexpected)
}
