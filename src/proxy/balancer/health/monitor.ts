/**
 * The control side of the targets' health: knows every upstream's targets and addresses, runs the active checks, tells how all
 * are, and sets what is set by hand. What it finds stands in the shared table, where the workers see it.
 */
import { isIPv6, SocketAddress } from 'node:net'
import type { Log } from '../../../observe/log.ts'
import type {
  AddressChoice,
  TargetHealth,
  UpstreamHealth,
  UpstreamHealthSource,
} from '../../../observe/upstream-health.ts'
import { isFailure, literal } from '../../dns/address.ts'
import type { Resolver } from '../../dns/resolver.ts'
import { type Balancer, compileTargets, type TargetFields, type UpstreamFields } from '../balancer.ts'
import type { Source } from '../places.ts'
import { Checker, type CheckerPlan } from './checker.ts'
import { type Checks, compileChecks } from './checks.ts'
import { probe } from './probes.ts'
import { type HealthHolder, healthName, isAvailable } from './standing.ts'
import { healthMemory, HealthTable } from './table.ts'

/** An upstream, its targets, and the certificate that it presents. */
export interface MonitoredUpstream {
  readonly upstream: UpstreamFields & { readonly name: string }
  readonly targets: readonly TargetFields[]
  readonly certificate: { readonly cert: string; readonly key: string } | undefined
}

export interface HealthMonitor extends Pick<UpstreamHealthSource, 'healthOf'> {
  /** Sets the health of a target's addresses here; false where nobody looks at the health of the upstream's targets. */
  set(id: string, target: string, address: AddressChoice, healthy: boolean): boolean
  /** The memory that the table is in now. */
  readonly memory: SharedArrayBuffer
  /** Takes an upstream as it is now, or lets it go. */
  adopt(id: string, monitored: MonitoredUpstream | undefined): void
  close(): void
}

export interface MonitorOptions {
  readonly resolver: Resolver
  readonly log: Log
  /** Certificates that probes trust; undefined for Node's own. */
  readonly ca?: string | undefined
  /** Told when the table has moved. */
  readonly onMove: (memory: SharedArrayBuffer) => void
  /** The targets that the table has room for at first. */
  readonly capacity?: number
}

const tickMs = 100
const startCapacity = 4096

interface Known {
  readonly name: string
  readonly balancer: Balancer
  readonly checks: Checks | undefined
  readonly checker: Checker | undefined
  /** Those last told of as down, by their names in the table. */
  readonly down: Set<string>
}

/** Begins to look after targets. */
export function startHealthMonitor(options: MonitorOptions): HealthMonitor {
  const { resolver, log, ca } = options
  const health: HealthHolder = { table: new HealthTable(healthMemory(options.capacity ?? startCapacity)) }
  const upstreams = new Map<string, Known>()
  /** What gives up each probe under way. */
  const probes = new Set<() => void>()
  let isClosed = false
  let turns = health.table.turns

  function adopt(id: string, monitored: MonitoredUpstream | undefined): void {
    const before = upstreams.get(id)
    if (!monitored) {
      upstreams.delete(id)
      return
    }
    const { upstream, targets, certificate } = monitored
    const balancer = compileTargets({ resolver, health }, upstream, targets, before?.balancer)
    const checks = compileChecks(upstream.healthchecks)
    const active = checks?.active
    const plan: CheckerPlan | undefined = active && {
      upstream: id,
      balancer,
      checks: active,
      health,
      probe: async (peer) => (isClosed ? 'timeout' : probe(peer, active, { certificate, ca }, probes)),
    }
    if (before?.checks && !checks) forget(id, before)
    const checker = plan && checkerOf(plan, before?.checker)
    upstreams.set(id, { name: upstream.name, balancer, checks, checker, down: before?.down ?? new Set() })
    void balancer.resolve()
  }

  /** Without checks nobody would find a target well again. */
  function forget(id: string, { balancer, down }: Known): void {
    for (const peer of balancer.peers.values()) health.table.set(health.table.placeOf(healthName(id, peer)), true)
    down.clear()
  }

  function tick(): void {
    const time = performance.now()
    for (const { balancer, checker } of upstreams.values()) {
      if (!checker) continue
      void balancer.resolve()
      checker.tick(time)
    }
    if (turns !== health.table.turns) tellTurns()
    if (health.table.size > health.table.capacity / 2) makeRoom()
  }

  function tellTurns(): void {
    ;({ turns } = health.table)
    for (const [id, known] of upstreams) {
      if (!known.checks) continue
      for (const peer of known.balancer.peers.values())
        tellTurn(known, healthName(id, peer), `${peer.address}:${peer.port}`)
    }
  }

  function tellTurn({ name, down }: Known, place: string, address: string): void {
    const isDown = health.table.isDown(health.table.placeOf(place))
    if (isDown === down.has(place)) return
    if (isDown) down.add(place)
    else down.delete(place)
    log.warn(`a target is ${isDown ? 'unhealthy and takes no requests' : 'healthy again'}`, { upstream: name, address })
  }

  /** Places are not given back, since every thread holds on to them: the living ones move to another table. */
  function makeRoom(): void {
    const names = [...upstreams].flatMap(([id, { balancer }]) =>
      [...balancer.peers.values()].map((peer) => healthName(id, peer)),
    )
    const roomy = new HealthTable(healthMemory(Math.max(options.capacity ?? startCapacity, names.length * 4)))
    for (const name of names) roomy.copy(name, health.table)
    health.table = roomy
    ;({ turns } = roomy)
    options.onMove(roomy.memory)
  }

  const clock = setInterval(tick, tickMs)
  clock.unref()
  return {
    get memory() {
      return health.table.memory
    },
    adopt,
    async healthOf(id) {
      const known = upstreams.get(id)
      if (!known) return undefined
      await known.balancer.resolve()
      return healthOf(known)
    },
    set(id, target, address, healthy) {
      const known = upstreams.get(id)
      if (!known?.checks) return false
      for (const peer of known.balancer.peers.values()) {
        const meant = address === undefined || (peer.port === address.port && isSame(peer.address, address.ip))
        if (peer.target === target && meant) health.table.set(health.table.placeOf(healthName(id, peer)), healthy)
      }
      return true
    },
    close: () => {
      isClosed = true
      clearInterval(clock)
      for (const giveUp of Array.from(probes)) giveUp()
    },
  }
}

/** Whether two texts are the same address: IPv6 has many spellings (RFC 5952). */
const isSame = (one: string, other: string): boolean => one === other || canonical(one) === canonical(other)

function canonical(ip: string): string | undefined {
  return isIPv6(ip) ? new SocketAddress({ address: ip, family: 'ipv6' }).address : ip
}

/** The checker there was, if any: probes under way are not begun a second time. */
function checkerOf(plan: CheckerPlan, before: Checker | undefined): Checker {
  const checker = before ?? new Checker(plan)
  checker.plan = plan
  return checker
}

function healthOf({ balancer, checks }: Known): UpstreamHealth {
  const all = balancer.sources.flatMap(({ shares }) => shares)
  const healthy = checks ? all.filter(({ peer }) => balancer.isHealthy(peer)) : all
  return {
    checked: checks !== undefined,
    available: isAvailable(all, healthy, checks?.threshold ?? 0),
    targets: balancer.sources.map((source) => targetHealth(source, balancer, checks !== undefined)),
  }
}

function targetHealth(source: Source, balancer: Balancer, checked: boolean): TargetHealth {
  const { target, host, port, weight, shares, named } = source
  return {
    id: target ?? '',
    host,
    port,
    dns: recordOf(source),
    weight,
    addresses: shares.map(({ peer, weight: own }) => ({
      ip: named ? peer.address : host,
      port: peer.port,
      weight: own,
      healthy: !checked || balancer.isHealthy(peer),
    })),
  }
}

/** Where a target's addresses are from, in the words of Kong's DNS client. */
function recordOf({ host, answer }: Source): string {
  if (answer === undefined) return 'unknown'
  if (isFailure(answer)) return failures[answer.failed]
  if (answer.some(({ name }) => name !== undefined)) return 'SRV'
  return (literal(host) ?? answer[0])?.family === 6 ? 'AAAA' : 'A'
}

const failures = {
  'not found': 'dns server error: 3 name error',
  'server failure': 'dns server error: 2 server failure',
  timeout: 'dns client error: timeout',
} as const
