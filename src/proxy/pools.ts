/** Connections to peers that wait for their next request, and the making of new ones. */
import type net from 'node:net'
import type { Log } from '../observe/log.ts'
import type { Peer } from './balancer/peer.ts'
import { now } from './clock.ts'
import type { Deadlines } from './deadlines.ts'
import type { HeadLimits } from './http1/head.ts'
import { connectPlain } from './http1/socket.ts'
import { UpstreamConnection } from './http1/upstream-connection.ts'
import { createStreamPool } from './http2/upstream-pool.ts'
import type { UpstreamStream } from './http2/upstream-stream.ts'
import type { UpstreamTls } from './service-plan.ts'
import { secureConnector } from './upstream-tls.ts'
import { getOrMake, waysTo } from './ways.ts'

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
  readonly log: Pick<Log, 'error' | 'warn'>
}

export interface Pools {
  /** A connection to a peer: one that waits, or a new one that is only being made. `name` is asked for in a TLS handshake. */
  take(peer: Peer, tls: UpstreamTls | undefined, name: string): UpstreamConnection
  /** Always a new one. */
  open(peer: Peer, tls: UpstreamTls | undefined, name: string): UpstreamConnection
  /** A stream of a connection that speaks HTTP/2; of a new one where `fresh`. */
  takeStream(peer: Peer, tls: UpstreamTls | undefined, name: string, fresh: boolean): UpstreamStream
  /** The health of a peer has changed: requests that wait may have a better place to go. */
  peersTurned(): void
  close(): void
}

/** Connections that are spoken to in one way, of which any serves. */
interface Pool {
  readonly idle: UpstreamConnection[]
  /** The TLS session of the last handshake, with which the next one is shorter. */
  session: Buffer | undefined
  readonly waiting: Waiting
}

interface Waiting {
  idle: number
}

export function createPools(settings: PoolSettings): Pools {
  /** Idle connections in all pools of a peer. */
  const waitingAt = new WeakMap<Peer, Waiting>()
  const all = new Set<UpstreamConnection>()
  const connectSecure = secureConnector(settings)
  const streams = createStreamPool(settings, connectSecure)
  const poolOf = waysTo<Pool>(
    (peer) => ({ idle: [], session: undefined, waiting: getOrMake(waitingAt, peer, () => ({ idle: 0 })) }),
    ({ idle }) => {
      // Each takes itself out of the pool.
      while (idle[0]) idle[0].destroy()
    },
  )

  function open(peer: Peer, how: UpstreamTls | undefined, name: string): UpstreamConnection {
    const pool = poolOf(peer, how, name)
    const { waiting } = pool
    const connection = new UpstreamConnection(settings.headLimits, settings.deadlines, {
      release: (idleMs) => {
        if (idleMs === 0 || waiting.idle >= settings.size || connection.isSpent(settings.maxRequests)) return false
        pool.idle.push(connection)
        waiting.idle++
        connection.deadline = now() + Math.min(idleMs, settings.idleMs)
        return true
      },
      closed: () => {
        all.delete(connection)
        const at = pool.idle.indexOf(connection)
        if (at < 0) return
        pool.idle.splice(at, 1)
        waiting.idle--
      },
    })
    connection.attach(
      how === undefined ? connectPlain(peer.address, peer.port, connection) : secure(peer, how, name, pool, connection),
    )
    all.add(connection)
    return connection
  }

  function secure(peer: Peer, how: UpstreamTls, name: string, pool: Pool, connection: UpstreamConnection): net.Socket {
    const { session } = pool
    const socket = connectSecure(peer, how, name, connection, {
      ALPNProtocols: ['http/1.1'],
      failed: () => (pool.session = undefined),
      ...(session && { session }),
    })
    socket.on('session', (fresh: Buffer) => (pool.session = fresh))
    return socket
  }

  return {
    open,
    take(peer, how, name) {
      const { idle, waiting } = poolOf(peer, how, name)
      const connection = idle.pop()
      if (connection === undefined) return open(peer, how, name)
      waiting.idle--
      return connection
    },
    takeStream: (peer, how, name, fresh) => streams.take(peer, how, name, fresh),
    peersTurned: () => {
      streams.peersTurned()
      for (const connection of Array.from(all)) connection.peersTurned()
    },
    close: () => {
      streams.close()
      for (const connection of all) connection.destroy()
    },
  }
}
