/** Connections to peers that wait for their next request, and the making of new ones. */
import net from 'node:net'
import tls from 'node:tls'
import type { Log } from '../observe/log.ts'
import type { Peer } from './balancer/peer.ts'
import { now } from './clock.ts'
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
  readonly log: Pick<Log, 'error' | 'warn'>
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

/** Connections that are spoken to in one way, of which any serves. */
interface Pool {
  readonly idle: UpstreamConnection[]
  /** The TLS session of the last handshake, with which the next one is shorter. */
  session: Buffer | undefined
}

/** What waits for one peer: by how TLS is spoken to it, since a connection verified in one way must not serve a service that asks for another. */
interface Waiting {
  readonly byTls: WeakMap<object, Map<string, Pool>>
  /** Idle connections in all of its pools. */
  idle: number
}

/** Names asked for in handshakes with one peer; more than that come from clients whose Host is preserved. */
const maxNames = 128
/** Stands for "without TLS". */
const plain = {}

export function createPools(settings: PoolSettings): Pools {
  const peers = new WeakMap<Peer, Waiting>()
  const all = new Set<UpstreamConnection>()

  const waitingFor = (peer: Peer): Waiting =>
    getOrMake(peers, peer, () => ({ byTls: new WeakMap<object, Map<string, Pool>>(), idle: 0 }))

  function poolOf({ byTls }: Waiting, how: UpstreamTls | undefined, name: string): Pool {
    const byName = getOrMake(byTls, how ?? plain, () => new Map<string, Pool>())
    return getOrMake(byName, how === undefined ? '' : name, () => {
      if (byName.size >= maxNames) forgetOldest(byName)
      return { idle: [], session: undefined }
    })
  }

  function open(peer: Peer, how: UpstreamTls | undefined, name: string): UpstreamConnection {
    const waiting = waitingFor(peer)
    const pool = poolOf(waiting, how, name)
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
    const secureContext = contextOf(how)
    if (secureContext === undefined) return watch(new net.Socket().destroy(), connection)
    const socket = tls.connect({
      host: peer.address,
      port: peer.port,
      servername: name,
      secureContext,
      rejectUnauthorized: how.verify ?? false,
      ALPNProtocols: ['http/1.1'],
      ...(pool.session ? { session: pool.session } : {}),
    })
    socket.setNoDelay(true)
    socket.on('session', (session: Buffer) => (pool.session = session))
    const tell = (error: Error) => {
      pool.session = undefined
      settings.log.warn(`no TLS with ${peer.address}:${peer.port} (${name}): ${error.message}`)
    }
    socket.on('error', tell)
    // Node sends what was written meanwhile only after this event's listeners have run.
    socket.once('secureConnect', () => {
      if (how.verify && chainLength(socket) - 2 > (how.depth ?? Infinity))
        socket.destroy(new Error('the certificate chain is longer than tls_verify_depth'))
      else socket.off('error', tell)
    })
    return watch(socket, connection)
  }

  const contexts = new WeakMap<UpstreamTls, tls.SecureContext | undefined>()

  /** The certificates of a way to speak TLS, read once; undefined where they are not usable. */
  function contextOf(how: UpstreamTls): tls.SecureContext | undefined {
    if (contexts.has(how)) return contexts.get(how)
    let context: tls.SecureContext | undefined
    try {
      context = tls.createSecureContext({
        ...(how.ca?.length ? { ca: [...how.ca] } : settings.ca === undefined ? {} : { ca: settings.ca }),
        ...(how.certificate ? { cert: [...how.certificate.cert], key: [...how.certificate.key] } : {}),
      })
    } catch (error) {
      settings.log.error(`a service's certificates cannot be used: ${(error as Error).message}`)
    }
    contexts.set(how, context)
    return context
  }

  return {
    open,
    take(peer, how, name) {
      const waiting = waitingFor(peer)
      const connection = poolOf(waiting, how, name).idle.pop()
      if (connection === undefined) return open(peer, how, name)
      waiting.idle--
      return connection
    },
    peersTurned: () => {
      for (const connection of Array.from(all)) connection.peersTurned()
    },
    close: () => {
      for (const connection of all) connection.destroy()
    },
  }
}

/** Drops the pool that was made first, with what waits in it. */
function forgetOldest(byName: Map<string, Pool>): void {
  for (const [name, pool] of byName) {
    byName.delete(name)
    // Each takes itself out of the pool.
    while (pool.idle[0]) pool.idle[0].destroy()
    return
  }
}

/** How many certificates the peer's chain has, its own and the trusted one included. */
function chainLength(socket: tls.TLSSocket): number {
  let length = 0
  let certificate: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (certificate?.raw && length < 100) {
    length++
    const issuer: tls.DetailedPeerCertificate | undefined = certificate.issuerCertificate
    certificate = issuer === certificate ? undefined : issuer
  }
  return length
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
