/**
 * The way back: what is sent to the client, whether the gateway made it or the upstream did, and what is noted when it is over.
 * Source: RFC 9110 7.6 (intermediaries); the header names are Kong's.
 */
import { STATUS_CODES } from 'node:http'
import type net from 'node:net'
import type { AccessEntry } from '../observe/log.ts'
import type { Entity } from '../pdk/entities.ts'
import type { Answer } from '../pdk/kong.ts'
import { now } from './clock.ts'
import type { Exchange } from './exchange.ts'
import { httpDate } from './http-date.ts'
import { idOf, responseDrop } from './http1/fields.ts'
import { firstById } from './http1/head.ts'
import { isFieldName, isFraming, keptLines, nominatedNames, wireText } from './http1/lines.ts'
import type { Successor } from './http1/tunnel.ts'
import { runBodyFilters, runHeaderFilters, runLog, runTimedLog } from './phases.ts'
import { countRequest } from './traffic.ts'

const via = idOf('via')
const server = idOf('server')
const date = idOf('date')

/** Sends an answer that was made here, by the gateway or a plugin. */
export function respond(exchange: Exchange, answer: Answer): void {
  if (exchange.responseBegun || exchange.finished) return
  exchange.status = answer.status
  exchange.answered = answer
  runHeaderFilters(exchange)
  const { status, downstream } = exchange
  const body = answerBody(exchange, answer.body)
  const length = isWithoutContent(status) || status === 304 ? undefined : body.length
  const bodiless = length === undefined || exchange.head.method === 'HEAD'
  exchange.responseBegun = true
  const lines = answerLines(exchange, answer) + ownLines(exchange)
  downstream.begin({ status, reason: STATUS_CODES[status] ?? '', lines, length, bodiless })
  if (!bodiless) {
    exchange.bytesSent += body.length
    if (typeof body === 'string') downstream.sendText(body)
    else downstream.send(body, 0, body.length)
  }
  downstream.end('')
  finish(exchange)
}

/** The body of an answer as bytes, or as text where each character is one byte. */
function answerBody(exchange: Exchange, body: Answer['body']): string | Buffer {
  const filtered = exchange.chain.bodyFilter.length > 0
  if (typeof body === 'string' && !filtered && isAscii(body)) return body
  const bytes = body === null ? Buffer.alloc(0) : typeof body === 'string' ? Buffer.from(body) : Buffer.from(body)
  return filtered ? runBodyFilters(exchange, bytes, true) : bytes
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false
  return true
}

/** RFC 9110 6.4.1: these never have content, nor a length. */
const isWithoutContent = (status: number): boolean => status === 204 || status < 200

/** Begins the response that came from the upstream; its body follows by `sendPiece` and `endBody`. */
export function beginUpstreamResponse(exchange: Exchange): void {
  const { response, chain, head } = exchange
  if (response === undefined) return
  runHeaderFilters(exchange)
  const { status } = exchange
  const bodiless = head.method === 'HEAD' || isWithoutContent(status) || status === 304
  const keepsLength = response.contentLength >= 0 && status !== 204 && (bodiless || chain.bodyFilter.length === 0)
  exchange.responseBegun = true
  exchange.downstream.begin({
    status,
    reason: status === response.status ? response.reason : (STATUS_CODES[status] ?? ''),
    lines: upstreamLines(exchange) + ownLines(exchange),
    length: keepsLength ? response.contentLength : bodiless ? undefined : -1,
    bodiless,
  })
}

/** The upstream has agreed to speak WebSocket: so does the gateway, and gives the client's connection away. */
export function switchProtocols(exchange: Exchange, successor: (client: net.Socket) => Successor): void {
  runHeaderFilters(exchange)
  // A plugin may change the lines, but not what both sides have agreed on.
  exchange.status = 101
  exchange.responseBegun = true
  exchange.downstream.upgrade(upstreamLines(exchange) + ownLines(exchange), successor)
}

/** Passes a piece of the upstream's body on. */
export function sendPiece(exchange: Exchange, bytes: Buffer, from: number, to: number): void {
  if (exchange.chain.bodyFilter.length === 0) {
    exchange.bytesSent += to - from
    exchange.downstream.send(bytes, from, to)
    return
  }
  sendFiltered(exchange, Buffer.from(bytes.subarray(from, to)), false)
}

function sendFiltered(exchange: Exchange, piece: Buffer, last: boolean): void {
  const filtered = runBodyFilters(exchange, piece, last)
  exchange.bytesSent += filtered.length
  if (filtered.length > 0) exchange.downstream.send(filtered, 0, filtered.length)
}

/** The upstream's body is complete. */
export function endBody(exchange: Exchange, trailers: string): void {
  if (exchange.finished) return
  if (exchange.chain.bodyFilter.length > 0) sendFiltered(exchange, Buffer.alloc(0), true)
  exchange.downstream.end(trailers)
  finish(exchange)
}

/** The upstream's body broke off: the client must be able to tell. */
export function breakOff(exchange: Exchange): void {
  if (exchange.finished) return
  exchange.downstream.flush()
  exchange.downstream.abort()
  finish(exchange)
}

/** Notes what became of an exchange; nothing happens in it afterwards. */
export function finish(exchange: Exchange): void {
  if (exchange.finished) return
  exchange.finished = true
  exchange.cancel = undefined
  exchange.onDrain = undefined
  exchange.buffered?.close()
  exchange.runtime.stats.answered(exchange.status)
  countRequest(exchange)
  if (exchange.debugged !== undefined) runTimedLog(exchange, exchange.debugged)
  else if (exchange.chain.log.length > 0) runLog(exchange)
  exchange.runtime.accessLog?.(accessEntry(exchange))
}

/** An exchange as the access log has it. The query is left out: tokens and keys travel in it. */
function accessEntry(exchange: Exchange): AccessEntry {
  const { consumer, plan, upstreamHeadMs } = exchange
  return {
    startMs: exchange.startMs,
    requestId: exchange.id,
    client: exchange.clientIp,
    method: exchange.method,
    path: exchange.rawPath,
    host: exchange.host,
    status: exchange.status,
    bytes: exchange.bytesSent,
    totalMs: now() - exchange.startMs,
    upstreamMs: upstreamHeadMs === 0 ? undefined : upstreamHeadMs - exchange.upstreamStartMs,
    route: plan?.route.id,
    service: plan?.service?.entity.id,
    consumer: consumer && nameOf(consumer),
    more: exchange.logged,
  }
}

function nameOf({ id, username, custom_id }: Entity): string {
  if (typeof username === 'string') return username
  return typeof custom_id === 'string' ? custom_id : id
}

// ---- header lines

function answerLines(exchange: Exchange, answer: Answer): string {
  const changes = exchange.responseChanges
  let lines = ''
  for (const [name, value] of answer.headers) {
    const lower = name.toLowerCase()
    if (isFraming(lower, value) || !isFieldName(name) || changes?.dropped.includes(lower)) continue
    lines += `${name}: ${wireText(value)}\r\n`
  }
  return lines + addedLines(exchange, true) + addedLines(exchange, false)
}

function upstreamLines(exchange: Exchange): string {
  const response = exchange.response as NonNullable<Exchange['response']>
  const changes = exchange.responseChanges
  const nominated = nominatedNames(response)
  const dropped = nominated ? [...nominated, ...(changes?.dropped ?? [])] : changes?.dropped
  const kept = keptLines(response, responseDrop, 1, dropped)
  return addedLines(exchange, true) + kept + addedLines(exchange, false)
}

function addedLines({ responseChanges: changes }: Exchange, first: boolean): string {
  if (changes === undefined) return ''
  let lines = ''
  for (const { lower, name, value, isFirst } of changes.added) {
    if (isFirst === first && !isFraming(lower, value)) lines += `${name}: ${value}\r\n`
  }
  return lines
}

/** The headers that the gateway adds, as far as the `headers` setting lets it. */
function ownLines(exchange: Exchange): string {
  const { headers, product } = exchange.runtime
  const { response, upstreamStartMs } = exchange
  const presentMs = now()
  let lines = ''
  if (response === undefined || firstById(response, date) === undefined) lines += `Date: ${httpDate(presentMs)}\r\n`
  if (headers.server && (response === undefined || firstById(response, server) === undefined))
    lines += `Server: ${product}\r\n`
  if (upstreamStartMs === 0) {
    if (headers.responseLatency) lines += `X-Kong-Response-Latency: ${presentMs - exchange.startMs}\r\n`
  } else {
    const headMs = exchange.upstreamHeadMs || presentMs
    if (headers.upstreamLatency) lines += `X-Kong-Upstream-Latency: ${headMs - upstreamStartMs}\r\n`
    if (headers.proxyLatency) lines += `X-Kong-Proxy-Latency: ${upstreamStartMs - exchange.startMs}\r\n`
    if (headers.via) lines += viaLine(exchange)
    if (headers.upstreamStatus && response) lines += `X-Kong-Upstream-Status: ${response.status}\r\n`
  }
  if (exchange.balancerCookie !== undefined) lines += `Set-Cookie: ${exchange.balancerCookie}\r\n`
  return headers.requestId ? `${lines}X-Kong-Request-Id: ${exchange.id}\r\n` : lines
}

function viaLine(exchange: Exchange): string {
  const own = `${exchange.plan?.service?.http2 ? '2' : '1.1'} ${exchange.runtime.product}`
  const received = exchange.response && firstById(exchange.response, via)
  return received === undefined ? `Via: ${own}\r\n` : `Via: ${received}, ${own}\r\n`
}
