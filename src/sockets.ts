/**
 * Listening sockets that pass from a process to the one that takes its place. A connection waits in the queue of its socket
 * until some process takes it, so that none is lost as long as one holds the socket.
 */
import net from 'node:net'
import type { Listener } from './config/settings.ts'

/** A socket that is listened on. */
export interface ListeningSocket {
  /** Which listener of the settings it is of: see `keysOf`. */
  readonly key: string
  readonly port: number
  readonly fd: number
  /** Who listens on it, where that is this thread. */
  readonly server?: net.Server
}

/** The sockets of one listener that were handed down; several where several workers shared its port. */
export interface Inherited {
  readonly port: number
  readonly fds: readonly number[]
}

/** What was handed down, by key. */
export type Inheritance = ReadonlyMap<string, Inherited>

export const nothingInherited: Inheritance = new Map()

type ListenSetting = 'proxy_listen' | 'stream_listen' | 'admin_listen' | 'status_listen'

/** What names each listener of a setting over a change of the settings: its address, counted where one is given twice. */
export function keysOf(setting: ListenSetting, listeners: readonly Pick<Listener, 'ip' | 'port'>[]): string[] {
  const counts = new Map<string, number>()
  return listeners.map(({ ip, port }) => {
    const address = `${setting} ${ip}:${port}`
    const count = counts.get(address) ?? 0
    counts.set(address, count + 1)
    return count === 0 ? address : `${address} ${count}`
  })
}

const variable = 'GIBBON_INHERITED'
/** Those of a process with a channel to its parent: stdin, stdout, stderr, the channel. */
const firstFd = 4

/** What a process is to be spawned with, beside what it has on its first four file descriptors, to inherit sockets. */
export function bequeath(sockets: readonly ListeningSocket[]) {
  const list = sockets.map(({ key, port }, index) => ({ key, port, fd: firstFd + index }))
  return { stdio: sockets.map(({ fd }) => fd), env: { [variable]: JSON.stringify(list) } }
}

/** What this process inherited; undefined for one that takes nobody's place. The variable is taken out of the environment. */
export function takeInheritance(env: NodeJS.ProcessEnv): Inheritance | undefined {
  const text = env[variable]
  delete env[variable]
  if (text === undefined) return undefined
  const byKey = Map.groupBy(JSON.parse(text) as ListeningSocket[], ({ key }) => key)
  return new Map(
    [...byKey].map(([key, sockets]) => [key, { port: sockets[0]?.port ?? 0, fds: sockets.map(({ fd }) => fd) }]),
  )
}

interface Handle {
  readonly fd: number
  close(): void
}

/** What Node keeps of an open socket; it does not document where. */
function handleOf(of: net.Server | net.Socket): Handle {
  const { _handle: handle } = of as unknown as { readonly _handle?: Handle | null }
  if (typeof handle?.fd !== 'number') throw new Error('this Node does not tell the file descriptor of a socket')
  return handle
}

/** The file descriptor that a server listens on. */
export const fdOf = (server: net.Server): number => handleOf(server).fd

/**
 * Gives what `process.send` takes along so that the receiver gets a descriptor of its own for the socket. It must never be
 * closed here: the descriptor belongs to who listens on it, which may be another thread.
 */
export function handleToSend({ fd, server }: ListeningSocket): unknown {
  if (server) return handleOf(server)
  const known = handles.get(fd) ?? handleOf(new net.Socket({ fd, readable: false, writable: false }))
  handles.set(fd, known)
  return known
}

const handles = new Map<number, Handle>()

/** A socket that was received by way of `handleToSend`, and is closed when it has been passed on. */
export const received = (key: string, port: number, handle: unknown): ListeningSocket & { close(): void } => {
  const { fd } = handle as Handle
  return { key, port, fd, close: () => (handle as Handle).close() }
}
