/** Listening for streams: on a plain listener a route is found at once, on one with `ssl` once the client's hello is read. */
import type net from 'node:net'
import { afterProxyHeader, readBeginning } from '../beginning.ts'
import { acceptPlain, type SocketEvents, watch } from '../http1/socket.ts'
import { type ProxiedPeer, readProxyHeader } from '../proxy-protocol.ts'
import { keeping, leavingOf, nothing, openServer, type Place } from '../server.ts'
import { readClientHello } from '../tls/client-hello.ts'
import { createTlsServer, type TlsServer, type TlsSetup, type TlsTools } from '../tls/server.ts'
import { type Arrival, arrivalOf, comparable } from './arrival.ts'
import type { StreamMatch } from './plan.ts'
import { Session, type StreamTools, tell } from './session.ts'

export interface StreamListenOptions extends Place {
  /** Whether every connection begins with a PROXY protocol header. */
  readonly proxyProtocol: boolean
  /** How TLS is terminated; undefined for a plain listener. */
  readonly tls: (TlsTools & { readonly setup: TlsSetup }) | undefined
}

export interface StreamListener {
  readonly port: number
  readonly server: net.Server
  /** Takes no more connections, which another process does on the same socket, and resolves when those that there are have ended. */
  retire(): Promise<void>
  /** The same, where nobody else takes them: those that no route is known for yet are closed. */
  drain(): Promise<void>
  /** Changes what new clients of a TLS listener are shown. */
  setTls(setup: TlsSetup): void
  /** What is under way. */
  sessions(): readonly Session[]
  /** Cuts every connection; `reason` is for the log. */
  close(reason: string): void
}

/** Listens. Rejects with the system's error, such as EADDRINUSE. */
export async function listenForStreams(tools: StreamTools, options: StreamListenOptions): Promise<StreamListener> {
  const { runtime } = tools
  const { proxyProtocol } = options
  const sessions = new Set<Session>()
  /** Those that no route is known for yet. */
  const beginning = new Set<net.Socket>()
  let isDraining = false
  const leaving = leavingOf(() => sessions.size + beginning.size === 0)
  const leave = (): Promise<void> => {
    server.close()
    return leaving.leave()
  }

  const count = (socket: net.Socket): boolean => {
    if (isDraining || runtime.stats.active >= runtime.maxConnections) {
      runtime.stats.refused++
      socket.destroy()
      return false
    }
    runtime.stats.accepted++
    runtime.stats.active++
    beginning.add(socket)
    socket.once('close', () => {
      runtime.stats.active--
      beginning.delete(socket)
      leaving.check()
    })
    return true
  }

  /** Finds the route; without one the connection is over. */
  const matchOf = (socket: net.Socket, arrival: Arrival) => {
    const match = runtime.config.streams.match(arrival)
    if (match) return match
    tell(tools, arrival, { status: 500, reason: 'no Route found with those values' })
    socket.destroy()
    return undefined
  }

  const start = (first: net.Socket, socket: net.Socket, arrival: Arrival, match: StreamMatch): Session => {
    beginning.delete(first)
    const session: Session = new Session(tools, socket, arrival, match, () => {
      sessions.delete(session)
      leaving.check()
    })
    sessions.add(session)
    return session
  }

  // ---- plain

  const beginPlain = (socket: net.Socket, peer?: ProxiedPeer): SocketEvents => {
    const arrival: Arrival = { ...arrivalOf(runtime, socket, peer), scheme: 'tcp', sni: undefined }
    const match = matchOf(socket, arrival)
    if (!match) return nothing
    const session = start(socket, socket, arrival, match)
    session.begin()
    return session
  }
  const acceptOne = (socket: net.Socket): SocketEvents => {
    if (!count(socket)) return nothing
    return proxyProtocol ? afterProxyHeader(runtime, socket, (peer) => beginPlain(socket, peer)) : beginPlain(socket)
  }

  // ---- with TLS

  const beginSecure = (secure: TlsServer, socket: net.Socket, peer?: ProxiedPeer): void => {
    const arrived = arrivalOf(runtime, socket, peer)
    readBeginning(runtime, socket, readClientHello, ({ serverName, isWhole }) => {
      const arrival: Arrival = { ...arrived, scheme: 'tls', sni: comparable(serverName) }
      if (!isWhole) {
        tell(tools, arrival, { status: 400, reason: 'no TLS where it was due' })
        socket.destroy()
        return
      }
      const match = matchOf(socket, arrival)
      if (match?.protocol === 'tls_passthrough') beginWatched(start(socket, socket, arrival, match), socket)
      else if (match) terminate(secure, socket, serverName, arrival, match)
    })
  }
  const terminate = (
    secure: TlsServer,
    socket: net.Socket,
    serverName: string | undefined,
    arrival: Arrival,
    match: StreamMatch,
  ): void => {
    const unfinished = () => tell(tools, arrival, { status: 400, reason: 'the TLS handshake was not finished' })
    socket.once('close', unfinished)
    secure.terminate(socket, serverName, (encrypted) => {
      socket.off('close', unfinished)
      beginWatched(start(socket, encrypted, arrival, match), encrypted)
    })
  }
  const beginWatched = (session: Session, socket: net.Socket): void => {
    session.begin()
    watch(socket, session)
  }
  const acceptSecure = (server: net.Server, secure: TlsServer): void => {
    server.on('connection', (socket) => {
      if (!count(socket)) return
      if (!proxyProtocol) beginSecure(secure, socket)
      else readBeginning(runtime, socket, readProxyHeader, ({ peer }) => beginSecure(secure, socket, peer))
    })
  }

  const { server, port, tell: tellTrouble } = await openServer(options, tools.log)
  const secure = options.tls && createTlsServer(runtime, options.tls, options.tls.setup)
  if (secure) acceptSecure(server, secure)
  else acceptPlain(server, keeping(options, acceptOne), tellTrouble)

  return {
    port,
    server,
    retire: leave,
    drain: async () => {
      isDraining = true
      const left = leave()
      for (const socket of beginning) socket.destroy()
      await left
    },
    setTls: (setup) => secure?.set(setup),
    sessions: () => [...sessions],
    close: (reason) => {
      server.close()
      for (const socket of beginning) socket.destroy()
      for (const session of sessions) session.cut(reason)
    },
  }
}
