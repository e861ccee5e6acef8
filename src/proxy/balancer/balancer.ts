/** Where requests go: the targets of an upstream, or the one host of a service, as peers that take turns. */
import { type Address, type Addresses, type Failure, isFailure, literal } from '../dns/address.ts'
import type { Resolver } from '../dns/resolver.ts'
import { algorithmOf } from './algorithms.ts'
import { type Peer, type PickFailure, type Scheme, hostHeaderOf, noAddress, noPeer, serverNameOf } from './peer.ts'
import type { Rotation, Share } from './round-robin.ts'

export interface Balancer {
  /**
   * The peer for the next try; one not in `tried` where there is one. A promise only while the first answer about a name
   * is still awaited. Never throws or rejects.
   */
  pick(tried?: ReadonlySet<Peer>): Peer | PickFailure | Promise<Peer | PickFailure>
  /** What it was made of: equal for equal configurations. */
  readonly key: string
  /** Every peer it knows, by what tells them apart. */
  readonly peers: ReadonlyMap<string, Peer>
}

export interface BalancerTools {
  readonly resolver: Pick<Resolver, 'lookup'>
  /** The present time in ms. */
  readonly now?: () => number
}

/** The fields of an upstream that matter here. */
export interface UpstreamFields {
  readonly algorithm?: string | null
  readonly host_header?: string | null
  readonly use_srv_name?: boolean | null
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

/** A balancer of an upstream's targets, for services of one scheme. `previous` is given back when nothing has changed, and its peers live on. */
export function compileTargets(
  tools: BalancerTools,
  scheme: Scheme,
  upstream: UpstreamFields,
  targets: readonly TargetFields[],
  previous?: Balancer,
): Balancer {
  const style = {
    scheme,
    hostHeader: upstream.host_header ?? undefined,
    useSrvName: upstream.use_srv_name ?? false,
    nobody: noPeer,
    algorithm: upstream.algorithm ?? 'round-robin',
  }
  const places = targets
    .filter(({ weight }) => weight > 0)
    .toSorted(byAge)
    .map(placeOf)
  return compile(tools, style, places, previous)
}

/** A balancer of a service's own host and port, where no upstream has the host's name. */
export function compileHost(
  tools: BalancerTools,
  scheme: Scheme,
  host: string,
  port: number,
  previous?: Balancer,
): Balancer {
  const style = { scheme, hostHeader: undefined, useSrvName: false, nobody: noAddress, algorithm: 'round-robin' }
  return compile(tools, style, [{ host, port, weight: 1, target: null }], previous)
}

interface Style {
  readonly scheme: Scheme
  readonly hostHeader: string | undefined
  readonly useSrvName: boolean
  readonly nobody: PickFailure
  readonly algorithm: string
}

interface Place {
  readonly host: string
  readonly port: number
  readonly weight: number
  readonly target: string | null
}

/** A place and what is known of its addresses: undefined until the first answer. */
interface Source extends Place {
  addresses: Addresses | Failure | undefined
  readonly named: boolean
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
// Names are looked up anew this often at most, so that a pick costs the same however many names there are.
const recheckMs = 250

function compile(
  tools: BalancerTools,
  style: Style,
  places: readonly Place[],
  previous: Balancer | undefined,
): Balancer {
  const key = JSON.stringify([style, places])
  if (previous?.key === key) return previous
  const { resolver, now = Date.now } = tools
  const sources = places.map(sourceOf)
  const named = sources.filter((source) => source.named)
  const algorithm = algorithmOf(style.algorithm)
  let peers: ReadonlyMap<string, Peer> = previous?.peers ?? new Map<string, Peer>()
  let rotation: Rotation | undefined
  let recheckAt = -Infinity

  function pick(tried = nothing): Peer | PickFailure | Promise<Peer | PickFailure> {
    if (named.length === 0 || now() < recheckAt) return choose(tried)
    const awaited = recheck()
    const chosen = choose(tried)
    if (chosen.failed === undefined || awaited.length === 0) return chosen
    return firstTrue(awaited).then(() => choose(tried))
  }

  /** Asks for every name's addresses; returns the answers still awaited, each telling whether it brought addresses. */
  function recheck(): readonly Promise<boolean>[] {
    const awaited: Promise<boolean>[] = []
    for (const source of named) {
      const answer = resolver.lookup(source.host)
      if (answer instanceof Promise) awaited.push(answer.then((late) => adopt(source, late)))
      else adopt(source, answer)
    }
    // While nobody can be picked, every request looks: the resolver remembers failures, too.
    recheckAt = sources.some(hasAddresses) ? now() + recheckMs : -Infinity
    return awaited
  }

  function adopt(source: Source, addresses: Addresses | Failure): boolean {
    if (source.addresses !== addresses) rotation = undefined
    source.addresses = addresses
    return hasAddresses(source)
  }

  function choose(tried: ReadonlySet<Peer>): Peer | PickFailure {
    rotation ??= rebuild()
    return rotation.next(tried) ?? (tried.size > 0 ? rotation.next(nothing) : undefined) ?? style.nobody
  }

  function rebuild(): Rotation {
    const known = new Map<string, Peer>()
    const shares = sources.flatMap((source) => sharesOf(source, style, peers, known))
    peers = known
    return algorithm(shares)
  }

  return {
    pick,
    key,
    get peers() {
      return peers
    },
  }
}

function sourceOf(place: Place): Source {
  const address = literal(place.host)
  return { ...place, addresses: address && [address], named: address === undefined }
}

const hasAddresses = ({ addresses }: Source): boolean => addresses !== undefined && !isFailure(addresses)

// Each of a name's addresses gets the whole weight of its target, as Kong's docs, "Targets", say; a weight from DNS goes first.
function sharesOf(
  { addresses, ...place }: Source,
  style: Style,
  before: ReadonlyMap<string, Peer>,
  known: Map<string, Peer>,
): readonly Share[] {
  if (addresses === undefined || isFailure(addresses)) return []
  return addresses.map((address) => {
    const made = peerOf(place, address, style)
    const name = [style.scheme, made.target, made.address, made.port, made.hostHeader].join(' ')
    const peer = known.get(name) ?? before.get(name) ?? made
    known.set(name, peer)
    return { peer, weight: address.weight ?? place.weight }
  })
}

function peerOf(place: Place, { address, family, port: ownPort, name }: Address, style: Style): Peer {
  const port = ownPort ?? place.port
  const host = style.hostHeader ?? (style.useSrvName && name ? name : place.host)
  const hostHeader = hostHeaderOf(host, port, style.scheme)
  return {
    address,
    family,
    port,
    hostHeader,
    serverName: serverNameOf(hostHeader),
    target: place.target,
    healthy: true,
  }
}

/** Resolves when one of the promises has become true, or all are known. */
function firstTrue(promises: readonly Promise<boolean>[]): Promise<void> {
  return new Promise((resolve) => {
    let left = promises.length
    for (const promise of promises) {
      void promise.then((yes) => {
        left--
        if (yes || left === 0) resolve()
      })
    }
  })
}
