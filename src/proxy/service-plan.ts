/** What a service means for requests and streams: where they go, and how long they may take. */
import { isDeepStrictEqual } from 'node:util'
import { emptyMap, type PersistentMap } from '../config/persistent-map.ts'
import type { WithSecrets } from '../config/secrets.ts'
import type { Snapshot } from '../config/snapshot.ts'
import type { Entity } from '../pdk/entities.ts'
import { compileHost, type Balancer, type BalancerTools } from './balancer/balancer.ts'
import type { Balancers } from './balancers.ts'

export interface ServicePlan extends Destination {
  readonly scheme: 'http' | 'https'
  /** Whether its peers are spoken to in HTTP/2. */
  readonly http2: boolean
  readonly path: string | undefined
}

/** A service that bytes are sent to as they are. */
export interface StreamServicePlan extends Destination {
  readonly scheme: 'tcp' | 'tls'
}

/** What services of all protocols have. */
interface Destination {
  readonly entity: Entity
  readonly balancer: Balancer
  readonly retries: number
  readonly connectTimeoutMs: number
  readonly writeTimeoutMs: number
  readonly readTimeoutMs: number
  readonly tls: UpstreamTls | undefined
}

/** How a service's certificate is looked at; undefined fields follow the gateway's settings. */
export interface UpstreamTls {
  readonly verify: boolean | undefined
  readonly ca: readonly string[] | undefined
  /** How many certificates may stand between the service's own and a trusted one. */
  readonly depth: number | undefined
  /** What the gateway shows of itself: certificates and their keys, in the same order. */
  readonly certificate: { readonly cert: readonly string[]; readonly key: readonly string[] } | undefined
}

export interface ServiceTools extends BalancerTools {
  readonly withSecrets: WithSecrets
  /** Logs what is odd about a configuration without standing in its way. */
  readonly warn: (message: string) => void
}

export type ServicePlans = PersistentMap<ServicePlan | StreamServicePlan>

/** The services that requests can be sent to, and those that streams can. */
export const takesRequests = (plan: ServicePlan | StreamServicePlan): plan is ServicePlan => 'path' in plan
export const takesStreams = (plan: ServicePlan | StreamServicePlan): plan is StreamServicePlan => !('path' in plan)

interface ServiceFields {
  readonly id: string
  readonly protocol: string
  readonly host: string
  readonly port: number
  readonly path: string | null
  readonly retries: number | null
  readonly connect_timeout: number | null
  readonly write_timeout: number | null
  readonly read_timeout: number | null
  readonly enabled: boolean
  readonly tls_verify: boolean | null
  readonly tls_verify_depth: number | null
  readonly ca_certificates: readonly string[] | null
  readonly client_certificate: { readonly id: string } | null
}

/** How services are spoken to, by their protocol; those with another one are not there. */
const schemes: Readonly<Record<string, (ServicePlan | StreamServicePlan)['scheme']>> = {
  http: 'http',
  https: 'https',
  grpc: 'http',
  grpcs: 'https',
  tcp: 'tcp',
  tls: 'tls',
}
const maxRetries = 32767

/** The plans of all enabled services, those that nothing has changed for being the ones of `previous`. */
export function compileServices(
  tools: ServiceTools,
  snapshot: Snapshot,
  balancers: Balancers,
  previous?: { readonly snapshot: Snapshot; readonly balancers: Balancers; readonly services: ServicePlans },
): ServicePlans {
  const plans = (previous?.services ?? emptyMap<ServicePlan | StreamServicePlan>()).edit()
  for (const id of concerned(snapshot, balancers, previous)) {
    const plan = planOf(tools, snapshot, balancers, snapshot.services.get(id), plans.get(id))
    if (plan) plans.set(id, plan)
    else plans.delete(id)
  }
  return plans.done()
}

/** The services that have changed, or of which something has that they lead to. */
function concerned(
  snapshot: Snapshot,
  balancers: Balancers,
  previous: { readonly snapshot: Snapshot; readonly balancers: Balancers } | undefined,
): ReadonlySet<string> {
  const last = previous?.snapshot
  const services = new Set(snapshot.services.changedSince(last?.services ?? emptyMap()))
  if (!last) return services
  const upstreams = changedUpstreams(snapshot, last, balancers.changedSince(previous.balancers))
  for (const host of hostsOf(upstreams, snapshot, last)) addKeys(services, snapshot.by.servicesOfHost.get(host))
  // The secrets of client certificates may come from vaults.
  if (snapshot.vaults !== last.vaults) {
    for (const of of snapshot.by.servicesOfCertificate.keys())
      addKeys(services, snapshot.by.servicesOfCertificate.get(of))
  }
  for (const kind of ['certificates', 'ca_certificates'] as const) {
    for (const id of snapshot[kind].changedSince(last[kind]))
      addKeys(services, snapshot.by.servicesOfCertificate.get(id))
  }
  return services
}

/** The upstreams that have changed, or of which the balancer or the certificate has. */
function changedUpstreams(snapshot: Snapshot, last: Snapshot, rebalanced: Iterable<string>): ReadonlySet<string> {
  const upstreams = new Set([...snapshot.upstreams.changedSince(last.upstreams), ...rebalanced])
  for (const id of snapshot.certificates.changedSince(last.certificates))
    addKeys(upstreams, snapshot.by.upstreamsOfCertificate.get(id))
  if (snapshot.vaults !== last.vaults) {
    for (const of of snapshot.by.upstreamsOfCertificate.keys())
      addKeys(upstreams, snapshot.by.upstreamsOfCertificate.get(of))
  }
  return upstreams
}

/** The names that upstreams have, and had. */
function hostsOf(upstreams: ReadonlySet<string>, snapshot: Snapshot, last: Snapshot): ReadonlySet<string> {
  const all = [...upstreams].flatMap((id) => [snapshot.upstreams.get(id), last.upstreams.get(id)])
  return new Set(all.flatMap((upstream) => (upstream ? [String(upstream['name'])] : [])))
}

function addKeys(set: Set<string>, map: PersistentMap<unknown> | undefined): void {
  for (const key of map?.keys() ?? []) set.add(key)
}

function planOf(
  tools: ServiceTools,
  snapshot: Snapshot,
  balancers: Balancers,
  entity: Entity | undefined,
  before: ServicePlan | StreamServicePlan | undefined,
): ServicePlan | StreamServicePlan | undefined {
  const service = entity as unknown as ServiceFields | undefined
  const scheme = schemes[service?.protocol ?? '']
  if (!entity || !service?.enabled || scheme === undefined) return undefined
  const [upstream] = snapshot.by.upstreamsOfName.get(service.host)?.values() ?? []
  const shared = upstream && balancers.get(upstream.id)
  const destination = {
    entity,
    balancer: shared ?? compileHost(tools, service.host, service.port, before?.balancer),
    retries: Math.min(service.retries ?? 5, maxRetries),
    connectTimeoutMs: service.connect_timeout ?? 60_000,
    writeTimeoutMs: service.write_timeout ?? 60_000,
    readTimeoutMs: service.read_timeout ?? 60_000,
    tls:
      scheme === 'https' || scheme === 'tls' ? upstreamTls(tools, service, upstream, snapshot, before?.tls) : undefined,
  }
  return scheme === 'tcp' || scheme === 'tls'
    ? { ...destination, scheme }
    : { ...destination, scheme, http2: service.protocol.startsWith('grpc'), path: service.path ?? undefined }
}

function upstreamTls(
  tools: ServiceTools,
  service: ServiceFields,
  upstream: Entity | undefined,
  snapshot: Snapshot,
  before: UpstreamTls | undefined,
): UpstreamTls {
  // The service's own goes first. Source: Kong's docs, "Upstream Object", `client_certificate`.
  const own = service.client_certificate ?? (upstream?.['client_certificate'] as ServiceFields['client_certificate'])
  const stored = own ? snapshot.certificates.get(own.id) : undefined
  const tls: UpstreamTls = {
    verify: service.tls_verify ?? undefined,
    depth: service.tls_verify_depth ?? undefined,
    ca: service.ca_certificates?.flatMap((id) => {
      const found = snapshot.ca_certificates.get(id)
      return found ? [String(found['cert'])] : []
    }),
    certificate: stored && shownCertificate(tools, service, stored, snapshot),
  }
  // Connections are kept by it: they outlive changes of other things.
  return isDeepStrictEqual(tls, before) && before ? before : tls
}

/** A certificate whose secrets are not there is not shown; an upstream that asks for one then refuses. */
function shownCertificate(
  { withSecrets, warn }: ServiceTools,
  service: ServiceFields,
  stored: Entity,
  { vaults }: Snapshot,
): UpstreamTls['certificate'] {
  try {
    const { cert, key, cert_alt, key_alt } = withSecrets('certificates', stored, vaults) as Readonly<
      Record<string, unknown>
    >
    const both = [
      [cert, key],
      [cert_alt, key_alt],
    ].filter(([text]) => typeof text === 'string')
    return { cert: both.map(([text]) => String(text)), key: both.map(([, text]) => String(text)) }
  } catch (error) {
    warn(`the service ${service.id} shows no certificate: ${(error as Error).message}`)
    return undefined
  }
}
