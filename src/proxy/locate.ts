/** The first steps of the road: what the request asks for, and which route that is. */
import type { Answer } from '../pdk/kong.ts'
import { errors, redirectAnswer } from './answers.ts'
import type { Exchange } from './exchange.ts'
import { hostName } from './host.ts'
import { isGrpc } from './grpc.ts'
import type { RouteFields, RoutePlan } from './plan.ts'
import { normalisePath } from './router/path.ts'
import type { Step } from './step.ts'

const refusedMethods = new Set(['TRACE', 'CONNECT'])

/** Reads the request target (RFC 9112 3.2): its path and query; the Host header has the say over the host. */
export function readTarget(exchange: Exchange): Step {
  const { head } = exchange
  if (refusedMethods.has(head.method)) return errors.methodNotAllowed
  const target = originForm(head.target)
  if (target === undefined) return errors.badRequest
  const mark = target.indexOf('?')
  exchange.rawPath = mark < 0 ? target : target.slice(0, mark)
  exchange.hasQuery = mark >= 0
  exchange.rawQuery = mark < 0 ? '' : target.slice(mark + 1)
  const path = normalisePath(exchange.rawPath)
  if (path === undefined) return errors.badRequest
  exchange.path = path
  return undefined
}

/** A target in origin-form: as it is, or what follows the authority of an absolute-form. */
function originForm(target: string): string | undefined {
  if (target.charCodeAt(0) === 0x2f) return target
  const authority = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]+/.exec(target)
  if (!authority) return undefined
  const rest = target.slice(authority[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** Finds the route, and whether it may be reached the way the request came. */
export function locate(exchange: Exchange): Step {
  const match = exchange.config.router.match(exchange)
  if (match === undefined) return errors.noRoute
  exchange.match = match
  const { route, grpc } = exchange.plan as RoutePlan
  if (grpc) return refusedCall(exchange, route)
  if (exchange.scheme === 'https' || route.protocols.includes('http')) return undefined
  return httpsOnly(exchange)
}

/** Why a request that has met a route for gRPC is not passed on. */
function refusedCall({ head, downstream, scheme }: Exchange, { protocols }: RouteFields): Step {
  if (!isGrpc(head)) return errors.notGrpc
  if (downstream.httpVersion !== 2) return errors.http2Required
  return protocols.includes('grpc') || scheme === 'https' ? undefined : tlsRequired
}

const tlsRequired: Answer = {
  status: 200,
  headers: [
    ['Content-Type', 'application/grpc'],
    ['grpc-status', '1'],
    ['grpc-message', 'gRPC request matched gRPCs route'],
  ],
  body: null,
}

function httpsOnly(exchange: Exchange): Step {
  const status = exchange.plan?.route.https_redirect_status_code ?? 426
  if (status === 426) return errors.upgradeRequired
  const query = exchange.hasQuery ? `?${exchange.rawQuery}` : ''
  return redirectAnswer(status, `https://${hostName(exchange.head.host)}${exchange.rawPath}${query}`)
}
