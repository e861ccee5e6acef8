/**
 * Plain sockets whose reads all go through one buffer of the worker.
 *
 * Node gives each socket buffers of its own and an event for each read; one shared buffer (`onread`) costs a fifth less for a
 * whole proxied request (design.md, "HTTP/1.1 is ours"). What must outlive the callback has to be copied.
 */
import net from 'node:net'
import { getSystemErrorName } from 'node:util'
import { Reads } from './read-buffers.ts'

/** Takes what happens on a socket. The bytes are only valid during the call. */
export interface SocketEvents {
  onBytes(bytes: Buffer, length: number): void
  /** The peer has finished sending. */
  onEnd(): void
  onDrain(): void
  onClose(): void
}

/** Calls `events` for everything that happens on a socket that was made by Node (TLS, or the fallback). */
export function watch<T extends net.Socket>(socket: T, events: SocketEvents): T {
  socket.on('data', (bytes: Buffer) => events.onBytes(bytes, bytes.length))
  return watchRest(socket, events)
}

function watchRest<T extends net.Socket>(socket: T, events: SocketEvents): T {
  socket.on('end', () => events.onEnd())
  socket.on('drain', () => events.onDrain())
  socket.on('close', () => events.onClose())
  // Every error is followed by 'close', which tells all that the gateway acts on.
  socket.on('error', ignore)
  return socket
}

const ignore = () => {}

/** Connects to an address (an IP address, never a name) without TLS. */
export function connectPlain(address: string, port: number, events: SocketEvents): net.Socket {
  const reads = new Reads(events, () => socket.isPaused())
  const socket: net.Socket = net.connect({
    host: address,
    port,
    noDelay: true,
    allowHalfOpen: true,
    onread: reads,
  })
  reads.takeOver(socket)
  return watchRest(socket, events)
}

interface ListeningHandle {
  onconnection?: (error: number | null, handle: unknown) => void
}

/**
 * Makes a plain server hand out its connections as sockets that read through the shared buffer. Uses one detail that Node
 * does not document (that a `Socket` made from a handle takes `onread`); where it is not as expected, the documented way remains.
 * Call it when the server listens. `refused` is told of connections that could not be taken, as without file descriptors left.
 */
export function acceptPlain(
  server: net.Server,
  accept: (socket: net.Socket) => SocketEvents,
  refused: (error: Error) => void = ignore,
): void {
  const handle = (server as unknown as { _handle?: ListeningHandle })._handle
  if (typeof handle?.onconnection !== 'function' || !sharedReadsWork()) {
    server.on('connection', (socket) => watch(socket, accept(socket)))
    return
  }
  handle.onconnection = (error, client) => {
    if (error || client === undefined) {
      refused(new Error(`accept: ${error ? getSystemErrorName(error) : 'no handle'}`))
      return
    }
    const reads = new Reads(undefined, () => socket.isPaused() || !mayReadLong(socket))
    const options = { handle: client, allowHalfOpen: true, onread: reads }
    const socket = new net.Socket(options as unknown as net.SocketConstructorOpts)
    socket.setNoDelay(true)
    reads.takeOver(socket)
    const events = accept(socket)
    reads.events = events
    watchRest(socket, events)
  }
}

/**
 * Clients' sockets that have had long reads. Each has a buffer for the next one for as long as it says nothing more, so that there is
 * a bound on them; what others send is copied.
 */
const mostLongReaders = 256
const longReaders = new Set<net.Socket>()

function mayReadLong(socket: net.Socket): boolean {
  if (longReaders.has(socket)) return true
  if (longReaders.size >= mostLongReaders) return false
  longReaders.add(socket)
  socket.once('close', () => longReaders.delete(socket))
  return true
}

/** Whether this Node's `Socket` keeps the `onread` that it was made with, tried on one that is never connected. */
function sharedReadsWork(): boolean {
  const probe = new net.Socket({ onread: { buffer: Buffer.alloc(1), callback: () => true } })
  const kept = Object.getOwnPropertySymbols(probe).some(
    (symbol) => symbol.description === 'kBuffer' && (probe as unknown as Record<symbol, unknown>)[symbol] !== null,
  )
  probe.destroy()
  return kept
}
