/** Where a balancer's peers come from: the hosts and ports that are configured, and the addresses that DNS gives them. */
import { type Address, type Addresses, type Failure, isFailure, literal } from '../dns/address.ts'
import { hostHeaderOf, type Load, newLoad, type Peer, serverNameOf } from './peer.ts'
import type { Share } from './rotation.ts'

/** A host and port as configured. */
export interface Place {
  readonly host: string
  readonly port: number
  /** 0 takes no requests. */
  readonly weight: number
  /** The id of the target entity. */
  readonly target: string | null
}

/** A place and what is known of its addresses. */
export interface Source extends Place {
  /** Whether DNS is asked for its addresses. */
  readonly named: boolean
  /** Undefined until the first answer. */
  answer: Addresses | Failure | undefined
  /** Its peers with their weights, which are 0 where its own is. */
  shares: readonly Share[]
}

/** How peers are spoken to, whatever place they come from. */
export interface Style {
  /** In place of a place's own name. */
  readonly hostHeader: string | undefined
  /** Whether the name that an SRV record gave stands in Host. */
  readonly useSrvName: boolean
}

export function sourceOf(place: Place): Source {
  const address = literal(place.host)
  return { ...place, answer: address && [address], named: address === undefined, shares: [] }
}

export const hasAddresses = ({ answer }: Source): boolean => answer !== undefined && !isFailure(answer)

/**
 * Gives every source its shares, and returns all peers by what tells them apart. A peer that was there before stays the same;
 * one that is spoken to in another way now keeps its load.
 */
export function gatherPeers(
  sources: readonly Source[],
  style: Style,
  before: ReadonlyMap<string, Peer>,
): ReadonlyMap<string, Peer> {
  const known = new Map<string, Peer>()
  const peerAt = (source: Source, address: Address): Peer => {
    const port = address.port ?? source.port
    const name = `${source.target} ${source.host} ${address.address} ${port}`
    const old = known.get(name) ?? before.get(name)
    const made = peerOf(source, address, port, style, old?.load ?? newLoad())
    const peer = old && sameHost(old, made) ? old : made
    known.set(name, peer)
    return peer
  }
  for (const source of sources) {
    const { answer, weight } = source
    source.shares =
      answer === undefined || isFailure(answer)
        ? []
        : answer.map((address) => ({ peer: peerAt(source, address), weight: shareOf(weight, address) }))
  }
  return known
}

// Each of a name's addresses gets the whole weight of its target, as Kong's docs, "Targets", say; a weight from DNS goes first.
const shareOf = (weight: number, address: Address): number => (weight === 0 ? 0 : (address.weight ?? weight))

const sameHost = (one: Peer, other: Peer): boolean =>
  one.hostHeaders.http === other.hostHeaders.http && one.hostHeaders.https === other.hostHeaders.https

function peerOf(place: Place, { address, family, name }: Address, port: number, style: Style, load: Load): Peer {
  const host = style.hostHeader ?? (style.useSrvName && name ? name : place.host)
  const hostHeaders = { http: hostHeaderOf(host, port, 'http'), https: hostHeaderOf(host, port, 'https') }
  const serverName = serverNameOf(hostHeaders.https)
  return { address, family, port, hostHeaders, serverName, host: place.host, target: place.target, load }
}
