import type {
  AddressHealth,
  TargetHealth,
  UpstreamHealth,
  UpstreamHealthSource,
} from '../../observe/upstream-health.ts'
import { parseHost } from '../../schema/address.ts'
import type { Schema } from '../../schema/field.ts'
import type { Stored } from '../../store/store.ts'
import { message, noContent, notFound, ok, type Answer } from '../answers.ts'
import { insert, linked, list, named, patch, read, remove, type Link } from '../crud.ts'
import { find } from '../entities.ts'
import { listNewestFirst } from '../newest-first.ts'
import type { NodeFacts } from '../node.ts'
import type { AdminRequest, Context, Endpoint, Handler } from '../types.ts'

/** Targets, which are written below their upstream only, and what is told of their health. */
export function upstreamEndpoints(context: Context, node: NodeFacts, source: UpstreamHealthSource): Endpoint[] {
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
  const set = (healthy: boolean) =>
    below((request, link) =>
      named(targets, request, (name) => {
        const target = find(context, targets, name, link)
        return target ? setHealth(context, source, link, target, request.params['address'], healthy) : notFound
      }),
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
    ...['healthy', 'unhealthy'].flatMap((word) => [
      { path: `/upstreams/{upstreams}/targets/{targets}/${word}`, methods: { PUT: set(word === 'healthy') } },
      { path: `/upstreams/{upstreams}/targets/{targets}/{address}/${word}`, methods: { PUT: set(word === 'healthy') } },
    ]),
    {
      path: '/upstreams/{upstreams}/health',
      methods: { GET: below((request, link) => health(context, node, source, targets, request, link)) },
    },
  ]
}

/** That of an address without one, as that of a target. */
const defaultPort = 8000

const targetsPath = ({ params }: AdminRequest): string =>
  `/upstreams/${encodeURIComponent(params['upstreams'] ?? '')}/targets`

/** Sets the health of a target by hand: of all its addresses, or of the one that the path names. */
async function setHealth(
  { store }: Context,
  source: UpstreamHealthSource,
  link: Link,
  target: Stored,
  address: string | undefined,
  healthy: boolean,
): Promise<Answer> {
  const chosen = address === undefined ? undefined : parseHost(address)
  if (chosen && 'error' in chosen) return message(400, chosen.error)
  // A name stands for all that it leads to, as the target itself does.
  const choice = chosen && chosen.type !== 'name' ? { ip: chosen.host, port: chosen.port ?? defaultPort } : undefined
  if (await source.set(link.id, target.id, choice, healthy)) return noContent
  return message(400, `no healthchecker found for ${String(store.reader.get('upstreams', link.id)?.['name'])}`)
}

async function health(
  context: Context,
  node: NodeFacts,
  source: UpstreamHealthSource,
  targets: Schema,
  request: AdminRequest,
  link: Link,
): Promise<Answer> {
  const known = await source.healthOf(link.id)
  if (request.query.get('balancer_health') === '1')
    return ok({ node_id: node.id, next: null, data: known && balancerHealth(link.id, known) })
  const page = listNewestFirst(context, targets, request, link, targetsPath(request).replace(/targets$/, 'health'))
  if (page.status !== 200) return page
  const body = page.body as { readonly data: readonly Stored[] }
  const byId = new Map(known?.targets.map((target) => [target.id, target]))
  const data = body.data.map((target) => targetHealth(target, byId.get(target.id), known?.checked ?? false))
  return ok({ ...body, node_id: node.id, data })
}

/** An upstream as a whole. What is unhealthy is told also where health is not looked at: there is nobody to send to. */
function balancerHealth(id: string, { checked, available, targets }: UpstreamHealth): unknown {
  const word = available ? 'HEALTHY' : 'UNHEALTHY'
  const details = {
    healthy: available,
    weight: weights(targets.flatMap(({ addresses }) => addresses)),
    hosts: listOf(targets.map((target) => ({ ...hostOf(target), addresses: listOf(target.addresses) }))),
  }
  return { id, health: checked ? word : off, balancer_health: word, details }
}

const off = 'HEALTHCHECKS_OFF'

function targetHealth(entity: Stored, target: TargetHealth | undefined, checked: boolean): unknown {
  if (!target) return { ...entity, health: 'DNS_ERROR' }
  const wordOf = ({ healthy }: AddressHealth) =>
    !checked || target.weight === 0 ? off : healthy ? 'HEALTHY' : 'UNHEALTHY'
  const words = target.addresses.map(wordOf)
  const addresses = target.addresses.map(({ ip, port, weight }, at) => ({ ip, port, weight, health: words[at] }))
  // One address that serves is enough for a target to be well.
  const word = words.includes('HEALTHY') ? 'HEALTHY' : (words[0] ?? 'DNS_ERROR')
  return { ...entity, health: word, data: { ...hostOf(target), addresses: listOf(addresses) } }
}

const hostOf = ({ host, port, dns, weight, addresses }: TargetHealth) => ({
  host,
  port,
  dns,
  nodeWeight: weight,
  weight: weights(addresses),
})

function weights(addresses: readonly AddressHealth[]): { total: number; available: number; unavailable: number } {
  const sum = (some: readonly AddressHealth[]) => some.reduce((total, { weight }) => total + weight, 0)
  const total = sum(addresses)
  const available = sum(addresses.filter(({ healthy }) => healthy))
  return { total, available, unavailable: total - available }
}

/** A list as Kong writes it here, whose empty ones are objects. */
const listOf = <T>(items: readonly T[]): readonly T[] | object => (items.length > 0 ? items : {})
