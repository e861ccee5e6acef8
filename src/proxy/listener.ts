/** Listening for clients: plain and TLS, with a bound on how many there may be. */
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { ClientConnection } from './http1/client-connection.ts'
import { acceptPlain, watch, type SocketEvents } from './http1/socket.ts'
import type { Runtime } from './runtime.ts'

export interface ListenOptions {
  readonly ip: string
  readonly port: number
  readonly backlog: number
  /** Lets several workers listen on the same port, the kernel spreading connections over them. */
  readonly reusePort: boolean
  /** The certificate and key shown to clients; undefined for a plain listener. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined
}

export interface Listener {
  readonly port: number
  /** Takes no more connections, ends idle ones, and resolves when the others have finished their requests. */
  drain(): Promise<void>
  /** Cuts every connection. */
  close(): void
}

/** Listens. Rejects with the system's error, such as EADDRINUSE. */
export async function listen(runtime: Runtime, options: ListenOptions): Promise<Listener> {
  const connections = new Set<ClientConnection>()
  let drained: (() => void) | undefined

  const accept = (socket: net.Socket, scheme: 'http' | 'https'): SocketEvents => {
    if (runtime.stats.active >= runtime.maxConnections) {
      runtime.stats.refused++
      socket.destroy()
      return nothing
    }
    const connection = new ClientConnection(runtime, socket, scheme)
    connections.add(connection)
    socket.once('close', () => {
      connections.delete(connection)
      if (connections.size === 0) drained?.()
    })
    return connection
  }

  const server = options.tls
    ? secureServer(runtime, options.tls, accept)
    : net.createServer({ allowHalfOpen: true, noDelay: true })
  const { ip, port, backlog, reusePort } = options
  server.listen({ host: ip, port, backlog, reusePort })
  await once(server, 'listening')
  server.on('error', (error) => runtime.log.error(`listener ${ip}:${port}: ${error.message}`))
  if (!options.tls) acceptPlain(server, (socket) => accept(socket, 'http'))

  return {
    port: (server.address() as net.AddressInfo).port,
    drain: async () => {
      server.close()
      for (const connection of connections) connection.drain()
      if (connections.size > 0) await new Promise<void>((resolve) => (drained = resolve))
    },
    close: () => {
      server.close()
      for (const connection of connections) connection.destroy()
    },
  }
}

function secureServer(
  runtime: Runtime,
  { cert, key }: NonNullable<ListenOptions['tls']>,
  accept: (socket: net.Socket, scheme: 'https') => SocketEvents,
): tls.Server {
  const server = tls.createServer({
    cert,
    key,
    allowHalfOpen: true,
    noDelay: true,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: runtime.timeouts.headMs,
  })
  server.on('secureConnection', (socket) => {
    const events = accept(socket, 'https')
    if (!socket.destroyed) watch(socket, events)
  })
  server.on('tlsClientError', (error: Error) => runtime.log.info(`TLS handshake failed: ${error.message}`))
  return server
}

const nothing: SocketEvents = { onBytes() {}, onEnd() {}, onDrain() {}, onClose() {} }
