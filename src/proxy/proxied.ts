/** Connections that begin with a PROXY protocol header: it is read off before anything else may see the connection. */
import type net from 'node:net'
import type { Timed } from './deadlines.ts'
import type { SocketEvents } from './http1/socket.ts'
import { readProxyHeader, type ProxiedPeer } from './proxy-protocol.ts'
import type { Runtime } from './runtime.ts'

type Watching = Pick<Runtime, 'deadlines' | 'timeouts' | 'log'>
type Peer = ProxiedPeer | undefined

/** Reads a plain connection's header, and hands what follows to what `accept` gives. A wrong or late header ends the connection. */
export function afterProxyHeader(
  runtime: Watching,
  socket: net.Socket,
  accept: (peer: Peer) => SocketEvents,
): SocketEvents {
  let events: SocketEvents | undefined
  const header = new HeaderReader(runtime, socket, (peer, rest) => {
    events = accept(peer)
    if (rest.length > 0) events.onBytes(rest, rest.length)
  })
  return {
    onBytes: (bytes, length) => (events ? events.onBytes(bytes, length) : header.take(bytes.subarray(0, length))),
    onEnd: () => (events ? events.onEnd() : void socket.destroy()),
    onDrain: () => events?.onDrain(),
    onClose: () => {
      header.close()
      events?.onClose()
    },
  }
}

/** The same for a connection that Node is to read on itself: what came behind the header is put back. */
export function stripProxyHeader(runtime: Watching, socket: net.Socket, accept: (peer: Peer) => void): void {
  const header = new HeaderReader(runtime, socket, (peer, rest) => {
    socket.off('data', take)
    socket.off('error', ignore)
    socket.pause()
    if (rest.length > 0) socket.unshift(rest)
    accept(peer)
  })
  const take = (bytes: Buffer): void => header.take(bytes)
  socket.on('data', take)
  socket.on('error', ignore)
  socket.once('close', () => header.close())
}

// 'close' follows, which is all that matters.
const ignore = (): void => {}

class HeaderReader implements Timed {
  deadline: number
  readonly #runtime: Watching
  readonly #socket: net.Socket
  readonly #done: (peer: Peer, rest: Buffer) => void
  #kept: Buffer | undefined

  constructor(runtime: Watching, socket: net.Socket, done: (peer: Peer, rest: Buffer) => void) {
    this.#runtime = runtime
    this.#socket = socket
    this.#done = done
    this.deadline = Date.now() + runtime.timeouts.headMs
    runtime.deadlines.add(this)
  }

  take(bytes: Buffer): void {
    if (this.#socket.destroyed) return
    const all = this.#kept ? Buffer.concat([this.#kept, bytes]) : bytes
    const header = readProxyHeader(all)
    if (header.state === 'partial') this.#kept = Buffer.from(all)
    else if (header.state === 'invalid') {
      this.#runtime.log.info(`a connection is refused: ${header.why}`)
      this.#socket.destroy()
    } else {
      this.close()
      this.#done(header.peer, all.subarray(header.bytes))
    }
  }

  onDeadline(): void {
    this.#socket.destroy()
  }

  close(): void {
    this.#kept = undefined
    this.#runtime.deadlines.delete(this)
  }
}
