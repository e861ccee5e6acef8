/** Connections of HTTP/2 to peers: requests share them as far as the peers let them. */
import type { Peer } from '../balancer/peer.ts'
import { connectPlain } from '../http1/socket.ts'
import type { UpstreamTls } from '../service-plan.ts'
import type { ConnectSecure } from '../upstream-tls.ts'
import { waysTo } from '../ways.ts'
import { UpstreamSession, type UpstreamSessionSettings } from './upstream-session.ts'
import type { UpstreamStream } from './upstream-stream.ts'

export interface StreamPool {
  /** A stream to a peer, over a connection that may be only being made; over a new one where `fresh`. */
  take(peer: Peer, tls: UpstreamTls | undefined, name: string, fresh: boolean): UpstreamStream
  peersTurned(): void
  close(): void
}

export function createStreamPool(settings: UpstreamSessionSettings, connectSecure: ConnectSecure): StreamPool {
  const all = new Set<UpstreamSession>()

  /** Connections that are spoken to in one way, of which any serves. */
  const sessionsOf = waysTo<Set<UpstreamSession>>(
    () => new Set(),
    (sessions) => {
      // They end once they are idle.
      for (const session of Array.from(sessions)) session.retire()
    },
  )

  function open(peer: Peer, how: UpstreamTls | undefined, name: string, mates: Set<UpstreamSession>): UpstreamSession {
    const session = new UpstreamSession(settings, how === undefined ? 'http' : 'https', () => {
      all.delete(session)
      mates.delete(session)
    })
    all.add(session)
    mates.add(session)
    session.attach(
      how === undefined
        ? connectPlain(peer.address, peer.port, session)
        : connectSecure(peer, how, name, session, { ALPNProtocols: ['h2'] }),
    )
    return session
  }

  return {
    take(peer, how, name, fresh) {
      const mates = sessionsOf(peer, how, name)
      const shared = fresh ? undefined : mates.values().find(({ hasRoom }) => hasRoom)
      return (shared ?? open(peer, how, name, mates)).open()
    },
    peersTurned: () => {
      for (const session of Array.from(all)) session.peersTurned()
    },
    close: () => {
      for (const session of Array.from(all)) session.destroy()
    },
  }
}
