/** Connections of which something has to be read before what they are about: a PROXY protocol header, a TLS client's hello. */
import type net from 'node:net'
import type { Timed } from './deadlines.ts'
import type { SocketEvents } from './http1/socket.ts'
import { readProxyHeader, type ProxiedPeer } from './proxy-protocol.ts'
import type { Runtime } from './runtime.ts'

type Watching = Pick<Runtime, 'deadlines' | 'timeouts' | 'log'>
type Peer = ProxiedPeer | undefined

/** Looks at what a connection sent so far: whether that is enough, and how many bytes of it are done with. */
type Look<Found> = (bytes: Buffer) => Found | { readonly state: 'partial' } | Invalid

interface Complete {
  readonly state: 'complete'
  readonly bytes: number
}

interface Invalid {
  readonly state: 'invalid'
  readonly why: string
}

/** Reads a plain connection's PROXY header, and hands what follows to what `accept` gives. A wrong or late header ends the connection. */
export function afterProxyHeader(
  runtime: Watching,
  socket: net.Socket,
  accept: (peer: Peer) => SocketEvents,
): SocketEvents {
  let events: SocketEvents | undefined
  const header = new Beginning(runtime, socket, readProxyHeader, ({ peer }, rest) => {
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

/** Reads the beginning of a connection that Node is to read on itself: what is not done with is put back. */
export function readBeginning<Found extends Complete>(
  runtime: Watching,
  socket: net.Socket,
  look: Look<Found>,
  done: (found: Found) => void,
): void {
  const beginning = new Beginning(runtime, socket, look, (found, rest) => {
    socket.off('data', take)
    socket.off('end', leave)
    socket.off('error', ignore)
    socket.pause()
    if (rest.length > 0) socket.unshift(rest)
    done(found)
  })
  const take = (bytes: Buffer): void => beginning.take(bytes)
  // Who has nothing more to say will not be understood.
  const leave = (): void => void socket.destroy()
  socket.on('data', take)
  socket.on('end', leave)
  socket.on('error', ignore)
  socket.once('close', () => beginning.close())
  socket.resume()
}

// 'close' follows, which is all that matters.
const ignore = (): void => {}

class Beginning<Found extends Complete> implements Timed {
  deadline: number
  readonly #runtime: Watching
  readonly #socket: net.Socket
  readonly #look: Look<Found>
  readonly #done: (found: Found, rest: Buffer) => void
  #kept: Buffer | undefined

  constructor(runtime: Watching, socket: net.Socket, look: Look<Found>, done: (found: Found, rest: Buffer) => void) {
    this.#runtime = runtime
    this.#socket = socket
    this.#look = look
    this.#done = done
    this.deadline = Date.now() + runtime.timeouts.headMs
    runtime.deadlines.add(this)
  }

  take(bytes: Buffer): void {
    if (this.#socket.destroyed) return
    const all = this.#kept ? Buffer.concat([this.#kept, bytes]) : bytes
    const found = this.#look(all)
    if (found.state === 'partial') this.#kept = Buffer.from(all)
    else if (found.state === 'invalid') {
      this.#runtime.log.info(`a connection is refused: ${found.why}`)
      this.#socket.destroy()
    } else {
      this.close()
      this.#done(found, all.subarray(found.bytes))
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
