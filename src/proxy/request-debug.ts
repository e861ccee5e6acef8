/**
 * Debugging a request by its headers: who may, and what is told. Source: Kong's docs of the settings `request_debug` and
 * `request_debug_token`; the header names and the texts are Kong's.
 */
import { sameSecret } from '../pdk/secrets.ts'
import type { Balancer } from './balancer/balancer.ts'
import type { Peer, PickFailure } from './balancer/peer.ts'
import { now } from './clock.ts'
import type { Exchange } from './exchange.ts'
import { idOf } from './http1/fields.ts'
import { firstById } from './http1/head.ts'
import { allValues, isFieldName, wireText } from './http1/lines.ts'
import { Timing } from './timing.ts'

/** What a node tells those who may debug; see `Runtime`. */
export interface RequestDebug {
  readonly token: string
  /** Whether the answer has a `Server-Timing` as well. */
  readonly serverTiming: boolean
}

const debug = idOf('x-kong-request-debug')
const debugToken = idOf('x-kong-request-debug-token')
const debugLog = idOf('x-kong-request-debug-log')
const outputHeader = 'X-Kong-Request-Debug-Output'
const logPrefix = '[request-debug]'

/** A header that is longer than that is not sent to clients elsewhere: proxies in between may not take it. */
const headerBytes = 2048
const logBytes = 3072

/** The time taken of a request that is debugged, and where it is told. */
export interface Debugged {
  readonly timing: Timing
  readonly isLocal: boolean
  isLogged: boolean
}

/** Begins to take the time of a request that asks for it, if it may; undefined where it may not. */
export function beginDebugging(exchange: Exchange): Debugged | undefined {
  const { head, runtime } = exchange
  if (runtime.requestDebug === undefined || firstById(head, debug) !== '*') return undefined
  const isLocal = isFromHere(exchange)
  if (!isLocal && !sameSecret(firstById(head, debugToken) ?? '', runtime.requestDebug.token)) return undefined
  const timing = new Timing()
  timing.note('request_id', exchange.id)
  return { timing, isLocal, isLogged: firstById(head, debugLog) === 'true' }
}

const forwardingHeaders = ['x-forwarded-for', 'x-real-ip', 'forwarded', 'via']

/**
 * Whether a program on this machine has sent the request on its own account. A proxy that runs here and passes strangers'
 * requests on would else open the door to all of them, so what tells of one asks for the token.
 */
function isFromHere({ downstream, clientIp, head }: Exchange): boolean {
  if (!isLoopback(downstream.remoteAddress) || !isLoopback(clientIp) || downstream.proxied !== undefined) return false
  return forwardingHeaders.every((name) => allValues(head, name).length === 0)
}

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1'

/** Picks a peer as `pick` does, and notes the time and the name that was resolved for it. */
export function timedPick(
  { timing }: Debugged,
  isFirst: boolean,
  { sources }: Balancer,
  pick: () => Peer | PickFailure | Promise<Peer | PickFailure>,
): Peer | PickFailure | Promise<Peer | PickFailure> {
  const [source] = sources
  const name = source?.named && source.target === null ? ['dns', source.host, 'resolve'] : []
  return timing.during([isFirst ? 'access' : 'balancer', ...name], () => {
    const picked = pick()
    if (name.length > 0) timing.note('cache_hit', !(picked instanceof Promise))
    return picked
  })
}

/** Puts what is known so far into the response's head. */
export function tellInHead(exchange: Exchange, debugged: Debugged): void {
  const { timing } = debugged
  noteUpstream(exchange, timing, false)
  const output = timing.json()
  const isTooLong = output.length >= headerBytes && !debugged.isLocal
  if (isTooLong) debugged.isLogged = true
  const changes = (exchange.responseChanges ??= { dropped: [], added: [] })
  changes.dropped.push(outputHeader.toLowerCase())
  changes.added.push(lineOf(outputHeader, isTooLong ? truncated(exchange.id) : output))
  if (exchange.runtime.requestDebug?.serverTiming) changes.added.push(lineOf('Server-Timing', serverTiming(timing)))
}

const lineOf = (name: string, value: string) => ({
  lower: name.toLowerCase(),
  name,
  value: wireText(value),
  isFirst: false,
})

const truncated = (requestId: string): string =>
  JSON.stringify({
    truncated: true,
    request_id: requestId,
    message: 'Output is truncated, please check the error_log for full output by filtering with the request_id.',
  })

/** Writes the whole into the error log, where that was asked for. */
export function tellInLog(exchange: Exchange, { timing, isLogged }: Debugged): void {
  if (!isLogged) return
  noteUpstream(exchange, timing, true)
  const output = timing.json()
  const { log } = exchange.runtime
  const fields = { request_id: exchange.id }
  if (output.length < logBytes) {
    log.notice(`${logPrefix} output: ${output}`, fields)
    return
  }
  const parts = Math.ceil(output.length / logBytes)
  for (let part = 0; part < parts; part++) {
    const text = output.slice(part * logBytes, (part + 1) * logBytes)
    log.notice(`${logPrefix} parts: ${part + 1}/${parts} output: ${text}`, fields)
  }
}

/** The upstream's part, in whole ms: until its head came, and in the end until its body had. */
function noteUpstream({ upstreamStartMs, upstreamHeadMs }: Exchange, timing: Timing, isOver: boolean): void {
  if (upstreamHeadMs === 0) return
  const toFirstByte = upstreamHeadMs - upstreamStartMs
  const streaming = isOver ? now() - upstreamHeadMs : 0
  timing.put('upstream', {
    total_time: toFirstByte + streaming,
    child: {
      time_to_first_byte: { total_time: toFirstByte },
      ...(isOver && { streaming: { total_time: streaming } }),
    },
  })
}

const phases = ['rewrite', 'access', 'balancer', 'upstream', 'header_filter']

/** The tree as browsers show it (W3C Server Timing): the phases, the router, and each plugin in all its phases. */
function serverTiming(timing: Timing): string {
  const entries = new Map<string, number>()
  const add = (name: string, path: readonly string[]): void => {
    const ms = timing.timeOf(path)
    if (ms !== undefined && isFieldName(name)) entries.set(name, (entries.get(name) ?? 0) + ms)
  }
  for (const phase of phases) {
    add(phase, [phase])
    if (phase === 'access') add('router', [phase, 'router'])
    for (const plugin of timing.partsOf([phase, 'plugins'])) add(`plugin.${plugin}`, [phase, 'plugins', plugin])
  }
  return [...entries].map(([name, ms]) => `${name};dur=${ms.toFixed(2)}`).join(', ')
}
