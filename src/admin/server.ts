import { rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import { Server as TlsServer, type TlsOptions } from 'node:tls'
import { addressOf, keepAliveOf, type Listener } from '../config/settings.ts'
import { type AdminOptions, type Handling, requestHandler } from './handling.ts'
import type { Log } from '../observe/log.ts'
import { type AnswerToPath, refuse, type Unreadable } from './sending.ts'

export type { AdminOptions } from './handling.ts'

export interface RunningAdmin {
  /** The ports listened on, in the order of the listeners, and the servers. */
  readonly ports: readonly number[]
  readonly servers: readonly Server[]
  /** Changes what new clients of listeners with `ssl` are shown. */
  setTls(tls: ServerTls): void
  /**
   * Stops listening, which another process does on the same sockets, and resolves when all connections have ended, each with the
   * answer to its next request or by itself.
   */
  retire(): Promise<void>
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
  /** For each listener, a socket that is listened on already, where there is one. */
  readonly inherited?: readonly (number | undefined)[]
  readonly log: Log
  /** For listeners with `ssl`. */
  readonly tls?: ServerTls
}

/** Starts the Admin API on every listener of the settings. Rejects where one cannot be listened on. */
export async function startAdmin(options: AdminOptions): Promise<RunningAdmin> {
  const { settings, log, tls, inherited, socketIsFree } = options
  const handling = requestHandler(options)
  let isLeaving = false
  /** The owner's socket, once it is open or about to be. */
  let socket: ReturnType<typeof ownersSocket> | undefined
  const open = () => (socket = isLeaving ? undefined : ownersSocket(options, handling))
  if (socketIsFree) void socketIsFree.then(open)
  else await open()
  const name = 'the Admin API'
  const listeners = settings.admin_listen
  const given = { ...handling, name, listeners, log, ...(tls && { tls }), ...(inherited && { inherited }) }
  const running = await startListening(given).catch(async (error: unknown) => {
    isLeaving = true
    ;(await socket)?.close()
    throw error
  })
  const leave = async (others: Promise<void>, end: (server: Server) => Promise<void>): Promise<void> => {
    isLeaving = true
    const server = await socket
    await Promise.all([others, server && end(server)])
  }
  return {
    ...running,
    retire: () => leave(running.retire(), retired),
    close: () => leave(running.close(), closed),
  }
}

/** Serves on every listener. Rejects where one cannot be listened on, with none of them left open. */
export async function startListening(options: ListenOptions): Promise<RunningAdmin> {
  const { listeners, inherited } = options
  const servers = listeners.map((listener) => newServer(listener, options))
  try {
    await Promise.all(servers.map((server, index) => listening(server, listeners[index], inherited?.[index])))
  } catch (error) {
    for (const server of servers) server.close()
    throw error
  }
  return {
    ports: servers.map((server) => (server.address() as AddressInfo).port),
    servers,
    setTls: (tls) => {
      for (const server of servers) if (server instanceof TlsServer) server.setSecureContext(tlsOptions(tls))
    },
    retire: async () => void (await Promise.all(servers.map(retired))),
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

function listening(server: Server, listener: Listener | undefined, fd: number | undefined): Promise<void> {
  const where = fd === undefined ? { ...(listener && addressOf(listener)), backlog: listener?.backlog } : { fd }
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_AFTER_MS)
    stopListening(server, () => {
      clearTimeout(timer)
      resolve()
    })
    server.closeIdleConnections()
  })
}

function retired(server: Server): Promise<void> {
  // The next answer on each connection is its last.
  server.maxRequestsPerSocket = 1
  return new Promise((resolve) => stopListening(server, resolve))
}

/** Of an HTTP server's own `close`, which ends idle connections, too, only the part that stops listening. */
function stopListening(server: Server, gone: () => void): void {
  if (server.listening) {
    NetServer.prototype.close.call(server, gone)
    return
  }
  server.once('close', gone)
  server.getConnections((_error, count) => count === 0 && gone())
}
