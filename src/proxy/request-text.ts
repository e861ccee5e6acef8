/**
 * The head of the request to the upstream, as the text that goes on the wire.
 * Source: RFC 9110 7.6 (intermediaries); Kong's docs, "Proxying traffic", for the headers that it adds.
 */
import type { Peer } from './balancer/peer.ts'
import type { Exchange } from './exchange.ts'
import { hostName } from './host.ts'
import { drop, idOf, known, requestDrop } from './http1/fields.ts'
import { firstById, hasAny, type RequestHead } from './http1/head.ts'
import { allValues, isFraming, keptLines, nominatedNames } from './http1/lines.ts'
import type { RoutePlan } from './plan.ts'
import type { ServicePlan } from './service-plan.ts'
import { forwardedPrefix, upstreamPath } from './router/path.ts'

const via = idOf('via')
const te = idOf('te')
const forwarded = {
  proto: idOf('x-forwarded-proto'),
  host: idOf('x-forwarded-host'),
  port: idOf('x-forwarded-port'),
  path: idOf('x-forwarded-path'),
  prefix: idOf('x-forwarded-prefix'),
}

/** Fields by which other proxies tell of themselves and of their clients. */
const fromProxies = Uint8Array.from(known, ({ name }) => Number(name === 'via' || name.startsWith('x-forwarded-')))

const forwardedMask = drop.hop | drop.rewritten
const identifiedMask = forwardedMask | drop.identity

/** The value of Host for a peer: the client's own where the route preserves it. */
const hostOf = (exchange: Exchange, plan: RoutePlan, service: ServicePlan, peer: Peer): string =>
  plan.route.preserve_host && exchange.host !== '' ? exchange.host : peer.hostHeaders[service.scheme]

/** The name that is asked for in a TLS handshake with the peer; empty where Host is an address. */
export function upstreamName(exchange: Exchange, plan: RoutePlan, peer: Peer): string {
  if (!plan.route.preserve_host) return peer.serverName
  const name = hostName(exchange.host)
  return /^[\d.]+$|^\[/.test(name) ? '' : name
}

export function requestText(exchange: Exchange, plan: RoutePlan, service: ServicePlan, peer: Peer): string {
  const { head, identity, redirection, requestChanges: changes } = exchange
  const nominated = nominatedNames(head)
  const dropped = nominated ? [...nominated, ...(changes?.dropped ?? [])] : changes?.dropped
  const kept = keptLines(head, requestDrop, identity === undefined ? forwardedMask : identifiedMask, dropped)
  const mine =
    identity === undefined
      ? ''
      : dropped === undefined
        ? identity.lines
        : identityLines(identity.headers, changes?.dropped)
  let added = ''
  for (const { lower, name, value } of changes?.added ?? []) {
    if (!isFraming(lower, value)) added += `${name}: ${value}\r\n`
  }
  const told = exchange.runtime.isTrusted(exchange.downstream.remoteAddress) ? tellings(head) : nothingTold
  return (
    `${redirection?.method ?? head.method} ${targetOf(exchange, plan, service)} HTTP/1.1\r\n` +
    (told === nothingTold && isUsual(exchange)
      ? usualLines(exchange, plan, service, peer)
      : wayLines(exchange, plan, service, peer, told)) +
    pathLines(exchange, plan, told) +
    (exchange.runtime.headers.upstreamRequestId ? `X-Kong-Request-Id: ${exchange.id}\r\n` : '') +
    (firstById(head, te)?.toLowerCase().includes('trailers') ? 'TE: trailers\r\n' : '') +
    mine +
    added +
    kept +
    framing(exchange)
  )
}

/** The lines that are the same for every request of a connection that goes the same way and says nothing of other proxies. */
export interface UsualLines {
  readonly plan: RoutePlan
  readonly peer: Peer
  readonly host: string
  readonly minor: number
  readonly text: string
}

const isUsual = ({ head, requestChanges, upgrades }: Exchange): boolean =>
  !upgrades && requestChanges === undefined && !hasAny(head, fromProxies)

function usualLines(exchange: Exchange, plan: RoutePlan, service: ServicePlan, peer: Peer): string {
  const { downstream, head } = exchange
  const kept = downstream.usualLines
  if (kept?.plan === plan && kept.peer === peer && kept.host === head.host && kept.minor === head.minor)
    return kept.text
  // One flat text, lest every request join its parts anew.
  const text = Buffer.from(wayLines(exchange, plan, service, peer, nothingTold), 'latin1').toString('latin1')
  downstream.usualLines = { plan, peer, host: head.host, minor: head.minor, text }
  return text
}

/** Where the request goes, and by which way it came. */
function wayLines(exchange: Exchange, plan: RoutePlan, service: ServicePlan, peer: Peer, told: Told): string {
  const ownHost = exchange.requestChanges?.added.some((line) => line.lower === 'host')
  return (
    (ownHost ? '' : `Host: ${hostOf(exchange, plan, service, peer)}\r\n`) +
    (exchange.upgrades ? 'Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n' : 'Connection: keep-alive\r\n') +
    forwardedLines(exchange, told) +
    viaLine(exchange)
  )
}

function targetOf(exchange: Exchange, plan: RoutePlan, service: ServicePlan): string {
  const { redirection } = exchange
  const path =
    redirection?.path ??
    upstreamPath(service.path ?? null, plan.route, exchange.path, exchange.match?.matchedPath ?? '')
  if (redirection?.query !== undefined) return redirection.query === '' ? path : `${path}?${redirection.query}`
  return exchange.hasQuery ? `${path}?${exchange.rawQuery}` : path
}

const identityLines = (
  headers: readonly (readonly [string, string])[],
  dropped: readonly string[] | undefined,
): string =>
  headers
    .filter(([name]) => !dropped?.includes(name.toLowerCase()))
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')

/** What a proxy in front says. One that is trusted knows better and is believed. */
type Told = { readonly [part in keyof typeof forwarded]?: string | undefined }

const nothingTold: Told = {}

const tellings = (head: RequestHead): Told => ({
  proto: firstById(head, forwarded.proto),
  host: firstById(head, forwarded.host),
  port: firstById(head, forwarded.port),
  path: firstById(head, forwarded.path),
  prefix: firstById(head, forwarded.prefix),
})

/** Who asks, and by which way. */
function forwardedLines(exchange: Exchange, told: Told): string {
  const { downstream, head, runtime } = exchange
  const chain = allValues(head, 'x-forwarded-for')
  const port = runtime.portMap.get(downstream.localPort) ?? downstream.localPort
  return (
    `X-Forwarded-For: ${chain.length === 0 ? exchange.clientIp : `${chain.join(', ')}, ${downstream.remoteAddress}`}\r\n` +
    `X-Forwarded-Proto: ${told.proto ?? exchange.scheme}\r\n` +
    `X-Forwarded-Host: ${told.host ?? hostName(exchange.host)}\r\n` +
    `X-Forwarded-Port: ${told.port ?? port}\r\n` +
    `X-Real-IP: ${exchange.clientIp}\r\n`
  )
}

/** What is asked for. */
function pathLines(exchange: Exchange, plan: RoutePlan, told: Told): string {
  const path = `X-Forwarded-Path: ${told.path ?? exchange.rawPath}\r\n`
  const prefix = told.prefix ?? forwardedPrefix(plan.route, exchange.match?.matchedPath ?? '')
  return prefix === undefined ? path : `${path}X-Forwarded-Prefix: ${prefix}\r\n`
}

/** RFC 9110 7.6.3. Kong names the protocol `1` for HTTP/1.0, and not at all for a later minor version. */
function viaLine(exchange: Exchange): string {
  if (!exchange.runtime.headers.via) return ''
  const { minor } = exchange.head
  const own = `${exchange.downstream.httpVersion === 2 ? '2 ' : minor === 1 ? '1.1 ' : minor === 0 ? '1 ' : ''}${exchange.runtime.product}`
  const received = firstById(exchange.head, via)
  return received === undefined ? `Via: ${own}\r\n` : `Via: ${received}, ${own}\r\n`
}

/** How the body is framed, always written anew; and the empty line. */
function framing(exchange: Exchange): string {
  const own = exchange.redirection?.body
  if (own) return `Content-Length: ${own.length}\r\n\r\n`
  const { body } = exchange.downstream
  if (body.length < 0) {
    const length = exchange.buffered ? exchange.buffered.length : body.complete ? body.waitingBytes : undefined
    return length === undefined ? 'Transfer-Encoding: chunked\r\n\r\n' : `Content-Length: ${length}\r\n\r\n`
  }
  return exchange.head.contentLength >= 0 ? `Content-Length: ${body.length}\r\n\r\n` : '\r\n'
}
