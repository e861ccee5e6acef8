/** Where requests go: the targets of an upstream, or the one host of a service, as peers among which an algorithm chooses. */
import type { Addresses, Failure } from '../dns/address.ts'
import type { Resolver } from '../dns/resolver.ts'
import { algorithms } from './algorithms.ts'
import { compileHash, type HashFields, type HashOf } from './hash.ts'
import { type CheckFields, compileChecks } from './health/checks.ts'
import type { Outcome } from './health/count.ts'
import { type HealthHolder, isAvailable, type Standing, standingOf } from './health/standing.ts'
import { measure } from './latency.ts'
import { type Peer, type PickFailure, noAddress, noPeer } from './peer.ts'
import { gatherPeers, hasAddresses, type Place, type Source, sourceOf, type Style } from './places.ts'
import { roundRobin } from './round-robin.ts'
import type { Rotation } from './rotation.ts'
import { compileSticky, type Sticky, type StickyFields } from './sticky.ts'

export interface Balancer {
  /**
   * The peer for the next try; one not in `tried` where there is one. `hash` is what `hashOf` gave for the request. A promise only
   * while the first answer about a name is still awaited, or where all peers were tried and their names may have new addresses.
   * Never throws or rejects.
   */
  pick(hash?: number, tried?: ReadonlySet<Peer>): Peer | PickFailure | Promise<Peer | PickFailure>
  /** What tells requests apart; undefined where it makes no difference. */
  readonly hashOf: HashOf | undefined
  /** The `Set-Cookie` for who was given a peer by that hash; undefined where clients do not stay with peers. */
  readonly cookieFor: Sticky['cookieFor'] | undefined
  /** To be told how each try ended, and how long it took; undefined where that makes no difference. */
  readonly note: ((peer: Peer, outcome: Outcome, tookMs: number) => void) | undefined
  /** What it was made of: equal for equal configurations. */
  readonly key: string
  /** Every peer it knows, by what tells them apart. */
  readonly peers: ReadonlyMap<string, Peer>
  /** The peer that was picked last. */
  readonly last: Peer | undefined
  /** Every place with its peers as they are known now, in the order of the targets' age. */
  readonly sources: readonly Source[]
  /** Asks for the addresses that are due, and resolves when every place has an answer. */
  resolve(): Promise<void>
  /** Whether a peer takes requests; looked up now. */
  isHealthy(peer: Peer): boolean
}

export interface BalancerTools {
  readonly resolver: Pick<Resolver, 'lookup' | 'renew'>
  /** The health of targets; undefined where nobody looks at it. */
  readonly health?: HealthHolder
  /** The present time in ms. */
  readonly now?: () => number
  /** At least 0, below 1. */
  readonly random?: () => number
}

/** The fields of an upstream that matter here. */
export interface UpstreamFields extends HashFields, StickyFields {
  readonly id: string
  readonly algorithm?: string | null
  readonly slots?: number | null
  readonly host_header?: string | null
  readonly use_srv_name?: boolean | null
  readonly healthchecks?: CheckFields | null
}

/** The fields of a target that matter here. */
export interface TargetFields {
  readonly id: string
  /** `name:port`, `address:port` or `[address]:port`. */
  readonly target: string
  /** 0 to 65535; 0 takes no requests. */
  readonly weight: number
  readonly created_at?: number | null
}

/** A balancer of an upstream's targets. `previous` is given back when nothing has changed, and its peers live on. */
export function compileTargets(
  tools: BalancerTools,
  upstream: UpstreamFields,
  targets: readonly TargetFields[],
  previous?: Balancer,
): Balancer {
  const places = targets.toSorted(byAge).map(placeOf)
  const key = JSON.stringify([settingsOf(upstream), places])
  if (previous?.key === key) return previous
  const checks = tools.health && compileChecks(upstream.healthchecks)
  const algorithm = upstream.algorithm ?? 'round-robin'
  const sticky = compileSticky(upstream.id, upstream)
  return new PeerBalancer(tools, {
    key,
    places,
    style: { hostHeader: upstream.host_header ?? undefined, useSrvName: upstream.use_srv_name ?? false },
    nobody: noPeer,
    algorithm,
    slots: upstream.slots ?? undefined,
    hashOf: algorithm === 'consistent-hashing' ? compileHash(upstream) : undefined,
    sticky,
    standing: checks && tools.health ? standingOf(upstream.id, checks, tools.health) : undefined,
    threshold: checks?.threshold ?? 0,
    previous: previous && { peers: previous.peers, last: previous.last },
  })
}

/** What of an upstream makes another balancer of it. */
function settingsOf({
  id,
  algorithm,
  slots,
  host_header,
  use_srv_name,
  healthchecks,
  ...rest
}: UpstreamFields): unknown {
  const choosing = Object.entries(rest).filter(([name]) => /^(?:hash|sticky_sessions)_/.test(name))
  return [id, algorithm, slots, host_header, use_srv_name, healthchecks, choosing]
}

/** A balancer of a service's own host and port, where no upstream has the host's name. */
export function compileHost(tools: BalancerTools, host: string, port: number, previous?: Balancer): Balancer {
  const places = [{ host, port, weight: 1, target: null }]
  const key = JSON.stringify(places)
  if (previous?.key === key) return previous
  return new PeerBalancer(tools, {
    key,
    places,
    style: { hostHeader: undefined, useSrvName: false },
    nobody: noAddress,
    algorithm: 'round-robin',
    slots: undefined,
    hashOf: undefined,
    sticky: undefined,
    standing: undefined,
    threshold: 0,
    previous: previous && { peers: previous.peers, last: previous.last },
  })
}

// The same order on every worker and node, whatever order the targets are read in.
function byAge(one: TargetFields, other: TargetFields): number {
  return (one.created_at ?? 0) - (other.created_at ?? 0) || (one.id < other.id ? -1 : 1)
}

function placeOf({ id, target, weight }: TargetFields): Place {
  const colon = target.lastIndexOf(':')
  return { host: target.slice(0, colon), port: Number(target.slice(colon + 1)), weight, target: id }
}

const nothing: ReadonlySet<Peer> = new Set()
const none: readonly Promise<boolean>[] = []
// Names are looked up anew this often at most, so that a pick costs the same however many names there are.
const recheckMs = 250
// A request that has been refused everywhere waits this long for new addresses, not longer.
const renewalMs = 2000
// What a failed try counts as at least, lest a peer that refuses quickly seem the quickest.
const failureMs = 1000

interface Plan {
  readonly key: string
  readonly places: readonly Place[]
  readonly style: Style
  readonly nobody: PickFailure
  readonly algorithm: string
  readonly slots: number | undefined
  readonly hashOf: HashOf | undefined
  readonly sticky: Sticky | undefined
  readonly standing: Standing | undefined
  readonly threshold: number
  readonly previous: Pick<Balancer, 'peers' | 'last'> | undefined
}

class PeerBalancer implements Balancer {
  readonly key: string
  readonly hashOf: HashOf | undefined
  readonly cookieFor: Balancer['cookieFor']
  readonly note: Balancer['note']
  readonly sources: readonly Source[]
  readonly #named: readonly Source[]
  readonly #plan: Plan
  readonly #tools: BalancerTools
  readonly #now: () => number
  last: Peer | undefined
  #peers: ReadonlyMap<string, Peer>
  #rotation: Rotation | undefined
  /** The peers of the rotation that clients may stay with, by their numbers. */
  #stayed: ReadonlyMap<number, Peer> | undefined
  #recheckAt = -Infinity

  constructor(tools: BalancerTools, plan: Plan) {
    this.#tools = tools
    this.#plan = plan
    this.#now = tools.now ?? Date.now
    this.key = plan.key
    this.hashOf = plan.sticky?.wanted ?? plan.hashOf
    this.cookieFor = plan.sticky?.cookieFor
    this.sources = plan.places.map(sourceOf)
    this.#named = this.sources.filter((source) => source.named)
    this.#peers = plan.previous?.peers ?? new Map<string, Peer>()
    this.last = plan.previous?.last
    this.note = this.#notes()
  }

  pick(hash?: number, tried = nothing): Peer | PickFailure | Promise<Peer | PickFailure> {
    // What another request has found out since about a name that failed counts at once.
    const isDue = this.#named.length > 0 && (tried.size > 0 || this.#now() >= this.#recheckAt)
    const awaited = isDue ? this.#recheck() : none
    const renewed = tried.size > 0 ? this.#renew(tried) : none
    const peer = this.#next(hash, tried)
    if (peer) return peer
    if (awaited.length + renewed.length === 0) return this.#choose(hash, tried)
    const patienceMs = tried.size > 0 ? renewalMs : Infinity
    return firstTrue([...awaited, ...renewed], patienceMs).then(() => this.#choose(hash, tried))
  }

  get peers(): ReadonlyMap<string, Peer> {
    return this.#peers
  }

  async resolve(): Promise<void> {
    if (this.#named.length > 0) await Promise.all(this.#recheck())
    this.#current()
  }

  isHealthy(peer: Peer): boolean {
    return this.#plan.standing?.isHealthy(peer) ?? true
  }

  #choose(hash: number | undefined, tried: ReadonlySet<Peer>): Peer | PickFailure {
    return this.#next(hash, tried) ?? (tried.size > 0 ? this.#next(hash, nothing) : undefined) ?? this.#plan.nobody
  }

  #next(hash: number | undefined, tried: ReadonlySet<Peer>): Peer | undefined {
    const rotation = this.#current()
    const stayed = hash === undefined ? undefined : this.#stayed?.get(hash)
    if (stayed && !tried.has(stayed)) return stayed
    const peer = rotation.next(tried, this.#stayed ? undefined : hash)
    if (peer) this.last = peer
    return peer
  }

  /** The rotation of the peers that take requests now. */
  #current(): Rotation {
    if (this.#plan.standing?.hasChanged()) this.#rotation = undefined
    return (this.#rotation ??= this.#rotate())
  }

  #rotate(): Rotation {
    const { standing, style, threshold, algorithm, slots, sticky } = this.#plan
    this.#peers = gatherPeers(this.sources, style, this.#peers)
    const all = this.sources.flatMap(({ shares }) => shares.filter(({ weight }) => weight > 0))
    const healthy = standing ? all.filter(({ peer }) => standing.isHealthy(peer)) : all
    const available = isAvailable(all, healthy, threshold) ? healthy : []
    if (sticky) this.#stayed = new Map(available.map(({ peer }) => [sticky.numberOf(peer), peer]))
    return (algorithms[algorithm] ?? roundRobin)(available, { ...this.#tools, last: this.last, slots })
  }

  /** Asks for every name's addresses; returns the answers still awaited, each telling whether it brought addresses. */
  #recheck(): readonly Promise<boolean>[] {
    const awaited: Promise<boolean>[] = []
    for (const source of this.#named) {
      const answer = this.#tools.resolver.lookup(source.host)
      if (answer instanceof Promise) awaited.push(answer.then((late) => this.#adopt(source, late)))
      else this.#adopt(source, answer)
    }
    // While nobody can be picked, every request looks: the resolver remembers failures, too.
    this.#recheckAt = this.sources.some(hasAddresses) ? this.#now() + recheckMs : -Infinity
    return awaited
  }

  /** Asks anew for the names of peers that failed, whatever their time to live: they may have moved. Answers as `#recheck`. */
  #renew(tried: ReadonlySet<Peer>): readonly Promise<boolean>[] {
    return this.#named.flatMap((source) => {
      if (!tried.values().some(({ host }) => host === source.host)) return []
      return this.#tools.resolver.renew(source.host)?.then((late) => this.#adopt(source, late)) ?? []
    })
  }

  #adopt(source: Source, answer: Addresses | Failure): boolean {
    if (source.answer !== answer) this.#rotation = undefined
    source.answer = answer
    return hasAddresses(source)
  }

  #notes(): Balancer['note'] {
    const { standing, algorithm } = this.#plan
    const counts = standing?.note
    if (algorithm !== 'latency') return counts
    return (peer, outcome, tookMs) => {
      const hasFailed = outcome === 'tcp failure' || outcome === 'timeout'
      const countedMs = hasFailed ? Math.max(tookMs, failureMs) : tookMs
      measure(peer.load, countedMs, this.#now())
      counts?.(peer, outcome)
    }
  }
}

/** Resolves when one of the promises has become true, all are known, or the time is over. */
function firstTrue(promises: readonly Promise<boolean>[], patienceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = patienceMs === Infinity ? undefined : setTimeout(resolve, patienceMs)
    let left = promises.length
    for (const promise of promises) {
      void promise.then((yes) => {
        left--
        if (!yes && left > 0) return
        clearTimeout(timer)
        resolve()
      })
    }
  })
}
