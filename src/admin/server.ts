import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Listener } from '../config/settings.ts'
import { type AdminOptions, type Handling, requestHandler } from './handling.ts'
import { refuse, type Unreadable } from './sending.ts'

export type { AdminOptions } from './handling.ts'

export interface RunningAdmin {
  /** The ports listened on, in the order of the listeners. */
  readonly ports: readonly number[]
  /** Stops listening, lets requests under way end, and resolves when all connections are gone. */
  close(): Promise<void>
}

const MAX_CONNECTIONS = 1000
const LIMITS = {
  maxHeaderSize: 32 * 1024,
  headersTimeout: 15_000,
  requestTimeout: 120_000,
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 5_000,
}
const CLOSE_AFTER_MS = 5_000

/** Starts the Admin API on every listener of the settings. Rejects where one cannot be listened on. */
export async function startAdmin(options: AdminOptions): Promise<RunningAdmin> {
  const listeners = options.settings.admin_listen
  const handling = requestHandler(options)
  const servers = listeners.map((listener) => newServer(listener, options, handling))
  try {
    await Promise.all(servers.map((server, index) => listening(server, listeners[index])))
  } catch (error) {
    for (const server of servers) server.close()
    throw error
  }
  return {
    ports: servers.map((server) => (server.address() as AddressInfo).port),
    close: async () => void (await Promise.all(servers.map(closed))),
  }
}

function newServer(
  { ssl, listener }: Listener,
  { tls, log }: AdminOptions,
  { respond, unknownMethod }: Handling,
): Server {
  if (ssl && !tls) throw new Error(`the Admin API has no certificate to listen with on ${listener}`)
  const server = ssl ? createTlsServer({ ...LIMITS, ...tls }, respond) : createServer(LIMITS, respond)
  server.maxConnections = MAX_CONNECTIONS
  server.on('clientError', (error: Unreadable, socket) => refuse(error, socket, unknownMethod))
  // Such as running out of file descriptors: what is connected goes on.
  server.on('error', (error) =>
    log.error('the Admin API cannot accept connections', { listener, error: error.message }),
  )
  return server
}

function listening(server: Server, listener: Listener | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: listener?.ip, port: listener?.port, backlog: listener?.backlog }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_AFTER_MS)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
    server.closeIdleConnections()
  })
}
