import { isIP } from 'node:net'
import type { Schema } from '../../schema/field.ts'
import type { Stored } from '../../store/store.ts'
import { message, notFound, ok, type Answer } from '../answers.ts'
import { insert, linked, list, named, patch, read, remove, type Link } from '../crud.ts'
import { find } from '../entities.ts'
import { listNewestFirst } from '../newest-first.ts'
import type { NodeFacts } from '../node.ts'
import type { AdminRequest, Context, Endpoint, Handler } from '../types.ts'

/** Targets, which are written below their upstream only, and what is told of their health. */
export function upstreamEndpoints(context: Context, node: NodeFacts): Endpoint[] {
  const upstreams = context.kinds.get('upstreams')
  const targets = context.kinds.get('targets')
  if (!upstreams || !targets) return []
  const below =
    (handle: (request: AdminRequest, link: Link) => Answer | Promise<Answer>): Handler =>
    (request) =>
      linked(context, upstreams, 'upstream', request, (link) => handle(request, link))
  const youngest = below((request, link) => listNewestFirst(context, targets, request, link, targetsPath(request)))
  const all = below((request, link) => list(context, targets, request, link, `${targetsPath(request)}/all`))
  const update = below((request, link) =>
    named(targets, request, (name) => patch(context, targets, request, name, link)),
  )
  const setHealth = below((request, link) =>
    named(targets, request, (name) => (find(context, targets, name, link) ? noHealthChecker(context, link) : notFound)),
  )
  return [
    {
      path: '/upstreams/{upstreams}/targets',
      methods: { GET: youngest, POST: below((request, link) => insert(context, targets, request, link)) },
    },
    { path: '/upstreams/{upstreams}/targets/all', methods: { GET: all } },
    {
      path: '/upstreams/{upstreams}/targets/{targets}',
      methods: {
        GET: below((request, link) => named(targets, request, (name) => read(context, targets, name, link))),
        // Kong's PUT of a target changes one that is there and never creates; decK falls back to POST on its 404.
        PUT: update,
        PATCH: update,
        DELETE: below((request, link) => named(targets, request, (name) => remove(context, targets, name, link))),
      },
    },
    ...['healthy', 'unhealthy'].flatMap((health) => [
      { path: `/upstreams/{upstreams}/targets/{targets}/${health}`, methods: { PUT: setHealth } },
      { path: `/upstreams/{upstreams}/targets/{targets}/{address}/${health}`, methods: { PUT: setHealth } },
    ]),
    {
      path: '/upstreams/{upstreams}/health',
      methods: { GET: (request) => health(context, node, upstreams, targets, request) },
    },
  ]
}

const targetsPath = ({ params }: AdminRequest): string =>
  `/upstreams/${encodeURIComponent(params['upstreams'] ?? '')}/targets`

function noHealthChecker({ store }: Context, { id }: Link): Answer {
  return message(400, `no healthchecker found for ${String(store.reader.get('upstreams', id)?.['name'])}`)
}

function health(
  context: Context,
  node: NodeFacts,
  upstreams: Schema,
  targets: Schema,
  request: AdminRequest,
): Answer | Promise<Answer> {
  return linked(context, upstreams, 'upstream', request, (link) => {
    const upstream = context.store.reader.get('upstreams', link.id)
    if (!upstream) return notFound
    if (request.query.get('balancer_health') === '1')
      return ok({ node_id: node.id, next: null, data: balancerHealth(upstream) })
    const page = listNewestFirst(context, targets, request, link, targetsPath(request).replace(/targets$/, 'health'))
    if (page.status !== 200) return page
    const body = page.body as { readonly data: readonly Stored[] }
    return ok({ ...body, node_id: node.id, data: body.data.map((target) => targetHealth(target, wordFor(upstream))) })
  })
}

const balancerHealth = (upstream: Stored): unknown => ({ id: upstream.id, health: wordFor(upstream), details: {} })

/** Kong's word: without any check that can fail a target, health is not known. */
const wordFor = (upstream: Stored): string => (hasChecks(upstream['healthchecks']) ? 'HEALTHY' : 'HEALTHCHECKS_OFF')

/** Active checks run at an interval; passive ones count towards a threshold. Zero switches each off. */
function hasChecks(checks: unknown): boolean {
  const paths = [
    'active.healthy.interval',
    'active.unhealthy.interval',
    'passive.unhealthy.tcp_failures',
    'passive.unhealthy.timeouts',
    'passive.unhealthy.http_failures',
    'passive.healthy.successes',
  ]
  return paths.some((path) => Number(at(checks, path) ?? 0) > 0)
}

const at = (value: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((inner, key) => (inner as Record<string, unknown> | null | undefined)?.[key], value)

/** A target with what the balancer makes of it; of names, which each worker resolves for itself, no addresses are told. */
function targetHealth(target: Stored, word: string): unknown {
  const { host, port } = hostAndPort(String(target['target']))
  const weight = Number(target['weight'])
  const version = isIP(host.replace(/^\[|\]$/g, ''))
  const addresses = version === 0 ? [] : [{ ip: host, port, weight, health: word }]
  const total = version === 0 ? 0 : weight
  return {
    ...target,
    health: word,
    data: {
      host,
      port,
      dns: version === 6 ? 'AAAA' : 'A',
      nodeWeight: weight,
      weight: { total, available: total, unavailable: 0 },
      addresses,
    },
  }
}

/** A stored target always has a port, and an IPv6 address its brackets. */
function hostAndPort(target: string): { host: string; port: number } {
  const colon = target.lastIndexOf(':')
  return { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) }
}
