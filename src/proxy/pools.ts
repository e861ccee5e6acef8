/** Connections to peers that wait for their next request, and the making of new ones. */
import tls from 'node:tls'
import type { Peer } from './balancer/peer.ts'
import type { Deadlines } from './deadlines.ts'
import type { HeadLimits } from './http1/head.ts'
import { connectPlain, watch } from './http1/socket.ts'
import { UpstreamConnection } from './http1/upstream-connection.ts'
import type { UpstreamTls } from './service-plan.ts'

export interface PoolSettings {
  /** Idle connections kept for one peer. */
  readonly size: number
  /** Requests that a connection carries before it is closed; 0 for no limit. */
  readonly maxRequests: number
  readonly idleMs: number
  readonly headLimits: HeadLimits
  readonly deadlines: Deadlines
  /** Certificates that upstreams are verified with where a service names none; undefined for Node's own. */
  readonly ca: string | undefined
}

export interface Pools {
  /** A connection to a peer: one that waits, or a new one that is only being made. `name` is asked for in a TLS handshake. */
  take(peer: Peer, tls: UpstreamTls | undefined, name: string): UpstreamConnection
  /** Always a new one. */
  open(peer: Peer, tls: UpstreamTls | undefined, name: string): UpstreamConnection
  /** The health of a peer has changed: requests that wait may have a better place to go. */
  peersTurned(): void
  close(): void
}

interface Pool {
  readonly idle: UpstreamConnection[]
  /** The TLS session of the last handshake, with which the next one is shorter. */
  session: Buffer | undefined
}

export function createPools(settings: PoolSettings): Pools {
  // By peer, then by how TLS is spoken to it: a connection verified in one way must not serve a service that asks for another.
  const pools = new WeakMap<Peer, Map<UpstreamTls | undefined, Map<string, Pool>>>()
  const all = new Set<UpstreamConnection>()

  function poolOf(peer: Peer, how: UpstreamTls | undefined, name: string): Pool {
    const byTls = getOrMake(pools, peer, () => new Map<UpstreamTls | undefined, Map<string, Pool>>())
    const byName = getOrMake(byTls, how, () => new Map<string, Pool>())
    return getOrMake(byName, how === undefined ? '' : name, () => ({ idle: [], session: undefined }))
  }

  function open(peer: Peer, how: UpstreamTls | undefined, name: string): UpstreamConnection {
    const pool = poolOf(peer, how, name)
    const connection = new UpstreamConnection(settings.headLimits, settings.deadlines, {
      release: () => {
        if (pool.idle.length >= settings.size || connection.isSpent(settings.maxRequests)) return false
        pool.idle.push(connection)
        connection.deadline = Date.now() + settings.idleMs
        return true
      },
      closed: () => {
        all.delete(connection)
        const at = pool.idle.indexOf(connection)
        if (at >= 0) pool.idle.splice(at, 1)
      },
    })
    connection.attach(
      how === undefined ? connectPlain(peer.address, peer.port, connection) : secure(peer, how, name, pool, connection),
    )
    all.add(connection)
    return connection
  }

  function secure(peer: Peer, how: UpstreamTls, name: string, pool: Pool, connection: UpstreamConnection) {
    const socket = tls.connect({
      host: peer.address,
      port: peer.port,
      servername: name,
      rejectUnauthorized: how.verify ?? false,
      ALPNProtocols: ['http/1.1'],
      ...(how.ca?.length ? { ca: [...how.ca] } : settings.ca === undefined ? {} : { ca: settings.ca }),
      ...how.certificate,
      ...(pool.session ? { session: pool.session } : {}),
    })
    socket.setNoDelay(true)
    socket.on('session', (session: Buffer) => (pool.session = session))
    return watch(socket, connection)
  }

  return {
    open,
    take: (peer, how, name) => poolOf(peer, how, name).idle.pop() ?? open(peer, how, name),
    peersTurned: () => {
      for (const connection of Array.from(all)) connection.peersTurned()
    },
    close: () => {
      for (const connection of all) connection.destroy()
    },
  }
}

interface Lookup<K, V> {
  get(key: K): V | undefined
  set(key: K, value: V): unknown
}

function getOrMake<K, V>(map: Lookup<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
