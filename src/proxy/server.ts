/** What listeners share: a socket that takes connections. */
import { once } from 'node:events'
import net from 'node:net'
import type { KeepAlive } from '../config/settings.ts'
import type { Log } from '../observe/log.ts'
import type { SocketEvents } from './http1/socket.ts'

export interface Place {
  /** A socket that is listened on already, in place of an address of one's own. */
  readonly fd?: number | undefined
  readonly ip: string
  readonly port: number
  /** Whether an IPv6 address such as :: takes no IPv4 connections. */
  readonly ipv6Only?: boolean
  readonly backlog: number
  /** Lets several workers listen on the same port, the kernel spreading connections over them. */
  readonly reusePort: boolean
  /** Whether and how TCP asks whether clients are still there. */
  readonly keepAlive?: KeepAlive | undefined
}

export interface Listening {
  readonly server: net.Server
  readonly port: number
  /** Tells of connections that could not be taken. */
  readonly tell: (error: Error) => void
}

/** Listens. Rejects with the system's error, such as EADDRINUSE. */
export async function openServer(place: Place, log: Pick<Log, 'error'>): Promise<Listening> {
  const { fd, ip, port, ipv6Only = false, backlog, reusePort, keepAlive } = place
  const server = net.createServer({ allowHalfOpen: true, noDelay: true })
  if (fd === undefined) server.listen({ host: ip, port, ipv6Only, backlog, reusePort })
  else server.listen({ fd }, backlog)
  await once(server, 'listening')
  const tell = atMostOncePerSecond((error) => log.error(`listener ${ip}:${port}: ${error.message}`))
  server.on('error', tell)
  if (keepAlive) server.on('connection', (socket) => keep(socket, keepAlive))
  return { server, port: (server.address() as net.AddressInfo).port, tell }
}

/** Connections that cannot be taken come by the thousand: one line a second says it. */
function atMostOncePerSecond(tell: (error: Error) => void): (error: Error) => void {
  let toldAt = -Infinity
  return (error) => {
    const now = performance.now()
    if (now - toldAt < 1000) return
    toldAt = now
    tell(error)
  }
}

function keep(socket: net.Socket, { idleMs, intervalMs, probes }: KeepAlive): void {
  socket.setKeepAlive(true, idleMs, intervalMs, probes)
}

/** For a server whose connections come past Node's own event: see `acceptPlain`. */
export const keeping = (
  { keepAlive }: Pick<Place, 'keepAlive'>,
  accept: (socket: net.Socket) => SocketEvents,
): ((socket: net.Socket) => SocketEvents) =>
  keepAlive === undefined
    ? accept
    : (socket) => {
        keep(socket, keepAlive)
        return accept(socket)
      }

/** The end of a listener, which comes when it has been left and nothing of it is there any more. */
export interface Leaving {
  /** Resolves when all is gone. */
  leave(): Promise<void>
  /** Something is gone. */
  check(): void
}

export function leavingOf(isEmpty: () => boolean): Leaving {
  const { promise, resolve } = Promise.withResolvers<void>()
  let hasLeft = false
  const check = (): void => {
    if (hasLeft && isEmpty()) resolve()
  }
  return {
    check,
    leave: () => {
      hasLeft = true
      check()
      return promise
    },
  }
}

/** For a connection that nobody listens to. */
export const nothing: SocketEvents = { onBytes() {}, onEnd() {}, onDrain() {}, onClose() {} }
