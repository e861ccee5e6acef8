import { rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { Server as TlsServer, type TlsOptions } from 'node:tls'
import { addressOf, keepAliveOf, type Listener } from '../config/settings.ts'
import { type AdminOptions, type Handling, requestHandler } from './handling.ts'
import type { Log } from '../observe/log.ts'
import { type AnswerToPath, refuse, type Unreadable } from './sending.ts'

export type { AdminOptions } from './handling.ts'

export interface RunningAdmin {
  /** The ports listened on, in the order of the listeners. */
  readonly ports: readonly number[]
  /** Changes what new clients of listeners with `ssl` are shown. */
  setTls(tls: ServerTls): void
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
const HANDSHAKE_TIMEOUT_MS = 15_000
const CLOSE_AFTER_MS = 5_000

/** A certificate with its key; with `clientCa`, clients must show one of these authorities. */
export type ServerTls = NonNullable<AdminOptions['tls']>

export interface ListenOptions extends Pick<Handling, 'respond' | 'unknownMethod'> {
  /** What people call it, such as `the Admin API`. */
  readonly name: string
  readonly listeners: readonly Listener[]
  readonly log: Log
  /** For listeners with `ssl`. */
  readonly tls?: ServerTls
}

/** Starts the Admin API on every listener of the settings. Rejects where one cannot be listened on. */
export async function startAdmin(options: AdminOptions): Promise<RunningAdmin> {
  const { settings, log, tls } = options
  const handling = requestHandler(options)
  const socket = await ownersSocket(options, handling)
  try {
    const name = 'the Admin API'
    const running = await startListening({
      ...handling,
      name,
      listeners: settings.admin_listen,
      log,
      ...(tls && { tls }),
    })
    if (!socket) return running
    return { ...running, close: async () => void (await Promise.all([running.close(), closed(socket)])) }
  } catch (error) {
    socket?.close()
    throw error
  }
}

/** Serves on every listener. Rejects where one cannot be listened on, with none of them left open. */
export async function startListening(options: ListenOptions): Promise<RunningAdmin> {
  const { listeners } = options
  const servers = listeners.map((listener) => newServer(listener, options))
  try {
    await Promise.all(servers.map((server, index) => listening(server, listeners[index])))
  } catch (error) {
    for (const server of servers) server.close()
    throw error
  }
  return {
    ports: servers.map((server) => (server.address() as AddressInfo).port),
    setTls: (tls) => {
      for (const server of servers) if (server instanceof TlsServer) server.setSecureContext(tlsOptions(tls))
    },
    close: async () => void (await Promise.all(servers.map(closed))),
  }
}

/** A listener that only the owner of its folder reaches. Without one the Admin API goes on: a path may be too long for it. */
async function ownersSocket(
  { socket: path, log }: AdminOptions,
  { respondToOwner, unknownMethod }: Handling,
): Promise<Server | undefined> {
  if (path === undefined) return undefined
  const server = serving(createServer(LIMITS, respondToOwner), {
    name: "the owner's socket",
    listener: path,
    log,
    unknownMethod,
  })
  try {
    // One that is left of a process that was killed: the prefix is locked, so that nobody listens there now.
    rmSync(path, { force: true })
    await listeningPrivately(server, path)
    return server
  } catch (error) {
    log.warn('gibbon admin-token and the like cannot reach this gateway: its socket cannot be opened', {
      socket: path,
      error: (error as Error).message,
    })
    return undefined
  }
}

/** With a socket file that is its owner's alone from the first moment. */
function listeningPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const usual = process.umask(0o177)
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
    process.umask(usual)
  })
}

function newServer(place: Listener, { name, tls, log, respond, unknownMethod }: ListenOptions): Server {
  const { ssl, listener } = place
  if (ssl && !tls) throw new Error(`${name} has no certificate to listen with on ${listener}`)
  const server = ssl ? createTlsServer({ ...LIMITS, ...tlsOptions(tls!) }, respond) : createServer(LIMITS, respond)
  const keepAlive = keepAliveOf(place)
  if (keepAlive) {
    const { idleMs, intervalMs, probes } = keepAlive
    server.on('connection', (socket: Socket) => socket.setKeepAlive(true, idleMs, intervalMs, probes))
  }
  return serving(server, { name, listener, log, unknownMethod })
}

function tlsOptions({ cert, key, clientCa }: ServerTls): TlsOptions {
  const verifying = clientCa && { ca: [...clientCa], requestCert: true, rejectUnauthorized: true }
  return { cert, key, handshakeTimeout: HANDSHAKE_TIMEOUT_MS, ...verifying }
}

interface Serving {
  readonly name: string
  readonly listener: string
  readonly log: Log
  readonly unknownMethod: AnswerToPath
}

function serving(server: Server, { name, listener, log, unknownMethod }: Serving): Server {
  server.maxConnections = MAX_CONNECTIONS
  server.on('clientError', (error: Unreadable, socket) => refuse(error, socket, unknownMethod))
  // Such as running out of file descriptors: what is connected goes on.
  server.on('error', (error) => log.error(`${name} cannot accept connections`, { listener, error: error.message }))
  return server
}

function listening(server: Server, listener: Listener | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ ...(listener && addressOf(listener)), backlog: listener?.backlog }, () => {
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
