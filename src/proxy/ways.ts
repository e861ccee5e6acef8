/**
 * The ways to speak to peers. What is kept for one, as connections are, serves no other: one that was verified as one service asks
 * for it must not serve a service that asks for something else, nor one under another name.
 */
import type { Peer } from './balancer/peer.ts'
import type { UpstreamTls } from './service-plan.ts'

/** Names asked for in handshakes with one peer; more than that come from clients whose Host is preserved. */
const maxNames = 128
/** Stands for "without TLS". */
const plain = {}

/** Gives what is kept for a way, which `make` makes when it is first asked for. `forget` is told of what makes room for a new name. */
export function waysTo<T extends object>(
  make: (peer: Peer) => T,
  forget: (kept: T) => void,
): (peer: Peer, how: UpstreamTls | undefined, name: string) => T {
  const peers = new WeakMap<Peer, WeakMap<object, Map<string, T>>>()

  const dropOldest = (byName: Map<string, T>): void => {
    for (const [name, kept] of byName) {
      byName.delete(name)
      forget(kept)
      return
    }
  }

  return (peer, how, name) => {
    const byTls = getOrMake(peers, peer, () => new WeakMap<object, Map<string, T>>())
    const byName = getOrMake(byTls, how ?? plain, () => new Map<string, T>())
    return getOrMake(byName, how === undefined ? '' : name, () => {
      if (byName.size >= maxNames) dropOldest(byName)
      return make(peer)
    })
  }
}

interface Lookup<K, V> {
  get(key: K): V | undefined
  set(key: K, value: V): unknown
}

export function getOrMake<K, V>(map: Lookup<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
