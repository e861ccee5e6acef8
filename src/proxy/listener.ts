/** Listening for clients: plain and TLS, with a bound on how many there may be. */
import type net from 'node:net'
import { afterProxyHeader, readBeginning } from './beginning.ts'
import type { Exchange } from './exchange.ts'
import { ClientConnection } from './http1/client-connection.ts'
import { acceptPlain, watch, type SocketEvents } from './http1/socket.ts'
import { ClientSession } from './http2/client-session.ts'
import { afterPreface } from './http2/preface.ts'
import { readProxyHeader, type ProxiedPeer } from './proxy-protocol.ts'
import type { Runtime } from './runtime.ts'
import { keeping, leavingOf, nothing, openServer, type Place } from './server.ts'
import { createTlsServer, type TlsServer, type TlsSetup, type TlsTools } from './tls/server.ts'

export interface ListenOptions extends Place {
  /** Whether every connection begins with a PROXY protocol header. */
  readonly proxyProtocol: boolean
  /** Whether clients may speak HTTP/2: agreed on in the handshake of TLS, or by prior knowledge where it is plain. */
  readonly http2?: boolean
  /** How TLS is spoken; undefined for a plain listener. */
  readonly tls: (TlsTools & { readonly setup: TlsSetup }) | undefined
}

export interface Listener {
  readonly port: number
  readonly server: net.Server
  /**
   * Takes no more connections, which another process does on the same socket, and resolves when those that are there have ended.
   * None is ended for this: an idle one may have a request under way to us.
   */
  retire(): Promise<void>
  /**
   * Takes no more connections, ends idle ones, and resolves when the others have finished their requests. One whose handshake is
   * under way may finish it, and ask once.
   */
  drain(): Promise<void>
  /** Changes what new clients of a TLS listener are shown. */
  setTls(setup: TlsSetup): void
  /** What is under way. */
  exchanges(): readonly Exchange[]
  /** Cuts every connection. */
  close(): void
}

/** How long a connection of which no request can be read yet is waited for when the gateway stops. */
const beginningMs = 5000

/** Listens. Rejects with the system's error, such as EADDRINUSE. */
export async function listen(runtime: Runtime, options: ListenOptions): Promise<Listener> {
  const { proxyProtocol, http2 = false } = options
  const connections = new Set<ClientConnection | ClientSession>()
  /** Those of which no request can be read yet: their header or their handshake is under way. */
  const beginning = new Set<net.Socket>()
  const leaving = leavingOf(() => connections.size + beginning.size === 0)
  let isDraining = false

  const isFull = () => runtime.stats.active + beginning.size >= runtime.maxConnections
  const refuse = (socket: net.Socket) => {
    runtime.stats.refused++
    socket.destroy()
    return nothing
  }
  const begin = (socket: net.Socket) => {
    beginning.add(socket)
    socket.once('close', () => {
      beginning.delete(socket)
      leaving.check()
    })
  }
  const accept = (
    socket: net.Socket,
    scheme: 'http' | 'https',
    peer: ProxiedPeer | undefined,
    Connection: typeof ClientConnection | typeof ClientSession,
  ): SocketEvents => {
    if (isFull()) return refuse(socket)
    const connection = new Connection(runtime, socket, scheme, peer)
    connections.add(connection)
    socket.once('close', () => {
      connections.delete(connection)
      leaving.check()
    })
    if (isDraining) connection.drain()
    return connection
  }
  const acceptPlainly = (socket: net.Socket, peer?: ProxiedPeer): SocketEvents => {
    if (!http2) return accept(socket, 'http', peer, ClientConnection)
    if (isFull()) return refuse(socket)
    begin(socket)
    return afterPreface(runtime, socket, (speaksHttp2) => {
      beginning.delete(socket)
      return accept(socket, 'http', peer, speaksHttp2 ? ClientSession : ClientConnection)
    })
  }
  const acceptProxied = (socket: net.Socket): SocketEvents => {
    if (isFull()) return refuse(socket)
    begin(socket)
    return afterProxyHeader(runtime, socket, (peer) => {
      beginning.delete(socket)
      return acceptPlainly(socket, peer)
    })
  }

  const { server, port, tell } = await openServer(options, runtime.log)
  const secure =
    options.tls && createTlsServer(runtime, options.tls, options.tls.setup, http2 ? ['h2', 'http/1.1'] : ['http/1.1'])
  if (secure) acceptSecure(server, secure)
  else acceptPlain(server, keeping(options, proxyProtocol ? acceptProxied : (socket) => acceptPlainly(socket)), tell)

  function acceptSecure(server: net.Server, secure: TlsServer): void {
    const shakeHands = (socket: net.Socket, peer?: ProxiedPeer) => {
      secure.accept(socket, (encrypted) => {
        beginning.delete(socket)
        const events = accept(
          encrypted,
          'https',
          peer,
          encrypted.alpnProtocol === 'h2' ? ClientSession : ClientConnection,
        )
        watch(encrypted, events)
      })
    }
    server.on('connection', (socket) => {
      if (isFull()) return void refuse(socket)
      begin(socket)
      if (!proxyProtocol) return shakeHands(socket)
      readBeginning(runtime, socket, readProxyHeader, ({ peer }) => shakeHands(socket, peer))
    })
  }

  return {
    port,
    server,
    retire: () => {
      server.close()
      return leaving.leave()
    },
    drain: async () => {
      if (server.listening) {
        // Who waits in the socket's queue would be reset: those that are in it now are taken first.
        await aTurnOfTheLoop()
        await aTurnOfTheLoop()
        server.close()
      }
      isDraining = true
      for (const connection of connections) connection.drain()
      const late = setTimeout(() => beginning.forEach((socket) => socket.destroy()), beginningMs)
      await leaving.leave()
      clearTimeout(late)
    },
    setTls: (setup) => secure?.set(setup),
    exchanges: () => [...connections].flatMap(({ exchanges }) => exchanges),
    close: () => {
      server.close()
      for (const connection of connections) connection.destroy()
      for (const socket of beginning) socket.destroy()
    },
  }
}

const aTurnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
