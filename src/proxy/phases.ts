/** The plugins' phases: who takes part, in which order, with which config. */
import type { Answer } from '../pdk/kong.ts'
import type { Outcome } from '../pdk/plugin.ts'
import type { Exchange } from './exchange.ts'
import { pick, pluginIdOf, type Call } from './chains.ts'
import { tellInHead, tellInLog, type Debugged } from './request-debug.ts'

type Step = Answer | undefined | Promise<Answer | undefined>

/** Serves the documents of plugins, and runs `rewrite` of the global ones: no route is known yet. */
export const runRewrite = (exchange: Exchange): Step => rewrite(exchange, rewriteCall)
export const runTimedRewrite = (exchange: Exchange): Step => rewrite(exchange, timedTurn(rewriteCall))

/** Runs `access` of the route's plugins, highest priority first, until one answers. */
export const runAccess = (exchange: Exchange): Step => access(exchange, accessCall, pickingCall)
export const runTimedAccess = (exchange: Exchange): Step =>
  access(exchange, timedTurn(accessCall), timedTurn(pickingCall))

function rewrite(exchange: Exchange, turn: Turn): Step {
  const { beginning } = exchange.config
  return runFrom(exchange, beginning.calls, beginning.rewrite, 0, turn)
}

function access(exchange: Exchange, turn: Turn, turnByConsumer: Turn): Step {
  const outcome = accessOf(exchange, turn, turnByConsumer)
  if (exchange.chain.afterAccess.length === 0) return outcome
  if (!(outcome instanceof Promise)) return afterAccess(exchange, outcome)
  return outcome.then((answer) => (exchange.finished ? answer : afterAccess(exchange, answer)))
}

function accessOf(exchange: Exchange, turn: Turn, turnByConsumer: Turn): Step {
  const { chain } = exchange
  // Each plugin takes the config of the consumer known when its turn comes, and keeps it for the later phases, as in Kong.
  if (chain.byConsumer) return runFrom(exchange, chain.calls, chain.calls.keys().toArray(), 0, turnByConsumer)
  return runFrom(exchange, chain.calls, chain.access, 0, turn)
}

/** Runs `after_access`, and gives what `access` gave. A plugin that fails is logged and passed over. */
function afterAccess(exchange: Exchange, answer: Answer | undefined): Step {
  const { chain } = exchange
  const underWay: Promise<void>[] = []
  for (const index of chain.afterAccess) {
    guardedTurn(exchange, chain.calls[index] as Call, index, (call, ready) => {
      const outcome = call.plugin.after_access?.(exchange.kong, ready)
      if (outcome instanceof Promise) underWay.push(outcome.catch((error: unknown) => report(exchange, call, error)))
    })
  }
  return underWay.length === 0 ? answer : Promise.all(underWay).then(() => answer)
}

type Turn = (exchange: Exchange, call: Call, index: number) => Outcome

const rewriteCall: Turn = (exchange, call) => {
  const ready = pick(call, undefined)
  return ready === undefined ? undefined : call.plugin.rewrite?.(exchange.kong, ready)
}

const accessCall: Turn = (exchange, call) => call.plugin.access?.(exchange.kong, call.ready)

const pickingCall: Turn = (exchange, call, index) => {
  const ready = pick(call, exchange.consumer?.id)
  const picked = (exchange.picked ??= [])
  picked[index] = ready
  return ready === undefined ? undefined : call.plugin.access?.(exchange.kong, ready)
}

/** The turn of a plugin with its time taken. */
const timedTurn =
  (turn: Turn): Turn =>
  (exchange, call, index) => {
    const ready = pick(call, exchange.consumer?.id)
    if (exchange.debugged === undefined || ready === undefined) return turn(exchange, call, index)
    return duringPlugin(exchange, exchange.debugged, call, ready, () => turn(exchange, call, index))
  }

/** Takes the time of a plugin by its name and the id of its config, as Kong does. */
function duringPlugin<T>(exchange: Exchange, { timing }: Debugged, call: Call, ready: unknown, run: () => T): T {
  return timing.during(['plugins', call.name, pluginIdOf(exchange.config.chains, call.name, ready)], run)
}

function runFrom(exchange: Exchange, calls: readonly Call[], indexes: readonly number[], at: number, turn: Turn): Step {
  for (; at < indexes.length; at++) {
    const index = indexes[at] as number
    const outcome = turn(exchange, calls[index] as Call, index)
    if (outcome === undefined) continue
    if (!(outcome instanceof Promise)) return outcome
    const next = at + 1
    return outcome.then(
      (answer) => answer ?? (exchange.finished ? undefined : runFrom(exchange, calls, indexes, next, turn)),
    )
  }
  return undefined
}

/** The config with which a call takes part after `access`; undefined where it does not. */
function readyOf(exchange: Exchange, call: Call, index: number): unknown {
  return exchange.picked === undefined ? call.ready : exchange.picked[index]
}

/** Runs `header_filter`, before the response's head is written. A plugin that throws is logged and passed over. */
export function runHeaderFilters(exchange: Exchange): void {
  const { debugged } = exchange
  if (debugged === undefined) {
    filterHead(exchange)
    return
  }
  debugged.timing.during(['header_filter'], () => filterHead(exchange))
  tellInHead(exchange, debugged)
}

function filterHead(exchange: Exchange): void {
  const { chain } = exchange
  for (const index of chain.headerFilter) {
    guardedTurn(exchange, chain.calls[index] as Call, index, (call, ready) =>
      call.plugin.header_filter?.(exchange.kong, ready),
    )
  }
}

/** Runs `body_filter` over a piece and gives what is sent in its place. */
export function runBodyFilters(exchange: Exchange, piece: Buffer, last: boolean): Buffer {
  const { debugged } = exchange
  if (debugged === undefined) return filterPiece(exchange, piece, last)
  return debugged.timing.during(['body_filter'], () => filterPiece(exchange, piece, last))
}

function filterPiece(exchange: Exchange, piece: Buffer, last: boolean): Buffer {
  const { chain } = exchange
  let filtered = piece
  for (const index of chain.bodyFilter) {
    guardedTurn(exchange, chain.calls[index] as Call, index, (call, ready) => {
      filtered = call.plugin.body_filter?.(exchange.kong, ready, filtered, last) ?? filtered
    })
  }
  return filtered
}

/** Runs `log` of an exchange that is debugged, and tells where its time has gone. */
export function runTimedLog(exchange: Exchange, debugged: Debugged): void {
  debugged.timing.during(['log'], () => runLog(exchange))
  tellInLog(exchange, debugged)
}

/** Runs `log`, when everything is over; nobody waits for it. */
export function runLog(exchange: Exchange): void {
  const { chain } = exchange
  for (const index of chain.log) {
    guardedTurn(exchange, chain.calls[index] as Call, index, (call, ready) => {
      const outcome = call.plugin.log?.(exchange.kong, ready)
      if (outcome instanceof Promise) outcome.catch((error: unknown) => report(exchange, call, error))
    })
  }
}

function guardedTurn(exchange: Exchange, call: Call, index: number, run: (call: Call, ready: unknown) => void): void {
  const ready = readyOf(exchange, call, index)
  if (ready === undefined) return
  try {
    if (exchange.debugged === undefined) run(call, ready)
    else duringPlugin(exchange, exchange.debugged, call, ready, () => run(call, ready))
  } catch (error) {
    report(exchange, call, error)
  }
}

function report(exchange: Exchange, call: Call, error: unknown): void {
  const text = error instanceof Error ? error.stack : String(error)
  exchange.runtime.log.error(`plugin '${call.name}' failed: ${text}`, { request_id: exchange.id })
}
