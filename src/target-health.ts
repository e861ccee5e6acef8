/**
 * Lets the health monitor follow the store: each upstream with its targets and certificate, as they are now. Health that is set
 * by hand goes through the store, too, so that all nodes that share it hear of it.
 */
import { storeKinds } from './config/kinds.ts'
import { secretsOf } from './config/secrets.ts'
import type { Settings } from './config/settings.ts'
import { uuidOfName } from './config/uuid.ts'
import { target_health } from './entities/target_health.ts'
import type { Log } from './observe/log.ts'
import type { AddressChoice, UpstreamHealthSource } from './observe/upstream-health.ts'
import { type MonitoredUpstream, startHealthMonitor } from './proxy/balancer/health/monitor.ts'
import { trustedCertificates } from './proxy/create-runtime.ts'
import { resolverOptions } from './proxy/dns/resolver-options.ts'
import { createResolver } from './proxy/dns/resolver.ts'
import { type Change, hasUntold, type Reader, type Store, type Stored } from './store/store.ts'

export interface TargetHealthWatch extends UpstreamHealthSource {
  /** The memory in which the health of targets is now. */
  readonly memory: () => SharedArrayBuffer
  close(): void
}

export interface WatchOptions {
  readonly store: Store
  readonly settings: Settings
  readonly log: Log
  /** Told when the memory has become another one. */
  readonly onMove: (memory: SharedArrayBuffer) => void
}

// Many writes to one upstream are read together.
const settleMs = 50
const pageSize = 1000

/** Begins to watch over the targets of a store. */
export function watchTargets({ store, settings, log, onMove }: WatchOptions): TargetHealthWatch {
  const { reader } = store
  const resolver = createResolver(resolverOptions(settings))
  const withSecrets = secretsOf(storeKinds, process.env, settings.vault_env_prefix)
  const monitor = startHealthMonitor({ resolver, log, ca: trustedCertificates(settings), onMove })
  /** Whose target each is, and which certificate each upstream presents: what is deleted does not say so any more. */
  const upstreamOf = new Map<string, string>()
  const certificateOf = new Map<string, string>()
  const changed = new Set<string>()
  /** When the health was set by hand that holds or has held here, by its entity's id. */
  const setAt = new Map([...reader.all(target_health.name)].map((stored) => [stored.id, stored['set_at']]))
  let timer: NodeJS.Timeout | undefined

  const touched: Readonly<Record<string, (id: string) => Iterable<string>>> = {
    upstreams: (id) => [id],
    targets: (id) =>
      [upstreamOf.get(id), foreignId(reader.get('targets', id), 'upstream')].filter((found) => found !== undefined),
    certificates: (id) =>
      certificateOf.entries().flatMap(([upstream, certificate]) => (certificate === id ? [upstream] : [])),
  }

  function note(changes: readonly Change[]): void {
    if (hasUntold(changes)) return noteAll()
    const relevant = changes.filter(({ kind }) => Object.hasOwn(touched, kind))
    const byHand = changes.filter(({ kind, operation }) => kind === target_health.name && operation !== 'delete')
    if (relevant.length + byHand.length === 0) return
    reader.renew()
    for (const { kind, id } of relevant) {
      for (const upstream of touched[kind]?.(id) ?? []) changed.add(upstream)
      if (kind === 'targets' && !reader.get(kind, id)) upstreamOf.delete(id)
    }
    timer ??= setTimeout(settle, settleMs).unref()
    if (byHand.length > 0) settle()
    for (const { id } of byHand) takeOver(reader.get(target_health.name, id))
  }

  /** Changes that nobody can name, as after everything was copied afresh: all is looked at again. */
  function noteAll(): void {
    reader.renew()
    for (const { id } of reader.all('upstreams')) changed.add(id)
    for (const upstream of upstreamOf.values()) changed.add(upstream)
    settle()
    for (const stored of reader.all(target_health.name)) if (setAt.get(stored.id) !== stored['set_at']) takeOver(stored)
  }

  /** What was set by hand, here or on another node. */
  function takeOver(stored: Stored | undefined): void {
    const target = foreignId(stored, 'target')
    const upstream = target === undefined ? undefined : foreignId(reader.get('targets', target), 'upstream')
    if (!stored || target === undefined || upstream === undefined) return
    setAt.set(stored.id, stored['set_at'])
    const { ip, port } = stored as { readonly ip?: string | null; readonly port?: number | null }
    const address = typeof ip === 'string' && typeof port === 'number' ? { ip, port } : undefined
    monitor.set(upstream, target, address, stored['healthy'] === true)
  }

  /** Here at once, whatever becomes of the others, as in Kong. */
  async function set(upstream: string, target: string, address: AddressChoice, healthy: boolean): Promise<boolean> {
    settle()
    if (!monitor.set(upstream, target, address, healthy)) return false
    const { ip = null, port = null } = address ?? {}
    const id = uuidOfName(target, `${ip} ${port}`)
    const entity = { id, target: { id: target }, ip, port, healthy, set_at: Date.now() / 1000 }
    setAt.set(id, entity.set_at)
    const written = await store.write([{ do: 'upsert', kind: target_health.name, entity }])
    if (!written.ok)
      log.warn(`other nodes do not learn of the health that was set by hand: ${written.error.code}`, { target })
    return true
  }

  function settle(): void {
    clearTimeout(timer)
    timer = undefined
    for (const id of changed) monitor.adopt(id, read(id))
    changed.clear()
  }

  function read(id: string): MonitoredUpstream | undefined {
    certificateOf.delete(id)
    const upstream = reader.get('upstreams', id)
    if (!upstream) return undefined
    const targets = targetsOf(reader, id)
    for (const target of targets) upstreamOf.set(target.id, id)
    const certificateId = foreignId(upstream, 'client_certificate')
    if (certificateId !== undefined) certificateOf.set(id, certificateId)
    return {
      upstream: upstream as unknown as MonitoredUpstream['upstream'],
      targets: targets as unknown as MonitoredUpstream['targets'],
      certificate: certificateId === undefined ? undefined : certificate(certificateId),
    }
  }

  function certificate(id: string): MonitoredUpstream['certificate'] {
    const stored = reader.get('certificates', id)
    if (!stored) return undefined
    try {
      const { cert, key } = withSecrets('certificates', stored, Array.from(reader.all('vaults')))
      return { cert: String(cert), key: String(key) }
    } catch (error) {
      log.error(`health checks cannot present a certificate: ${(error as Error).message}`)
      return undefined
    }
  }

  for (const { id } of reader.all('upstreams')) changed.add(id)
  settle()
  store.onCommit(async (_, changes) => note(changes))
  return {
    memory: () => monitor.memory,
    healthOf: (id) => {
      settle()
      return monitor.healthOf(id)
    },
    set,
    close: () => {
      clearTimeout(timer)
      monitor.close()
      resolver.close()
    },
  }
}

function targetsOf(reader: Reader, upstream: string): Stored[] {
  const targets: Stored[] = []
  let offset: string | undefined
  do {
    const link = { field: 'upstream', id: upstream }
    const page = reader.page('targets', { size: pageSize, link, ...(offset === undefined ? {} : { offset }) })
    targets.push(...page.entities)
    ;({ offset } = page)
  } while (offset !== undefined)
  return targets
}

const foreignId = (entity: Stored | undefined, field: string): string | undefined =>
  (entity?.[field] as { readonly id: string } | null | undefined)?.id
