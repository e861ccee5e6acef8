/** A client's connection and an upstream's that have become one: bytes pass both ways as they are, until both sides have ended. */
import type net from 'node:net'
import type { Deadlines, Timed } from '../deadlines.ts'
import { Flow } from '../flow.ts'
import type { SocketEvents } from '../http1/socket.ts'

export interface RelayOptions {
  readonly client: net.Socket
  readonly upstream: net.Socket
  /** Without a byte from either side for so long, both are closed. */
  readonly idleMs: number
  /** While one side takes nothing, in ms. */
  readonly sendMs: number
  readonly deadlines: Deadlines
  /** Where bytes from and to clients are counted. */
  readonly stats: { received: number; sent: number }
  /** Told once, when both are closed, of why they are where that was not their own will. */
  readonly done: (reason: string | undefined) => void
}

/** One of the two connections. */
interface Side {
  readonly name: 'client' | 'upstream'
  readonly socket: net.Socket
  /** What comes from it. */
  readonly out: Flow
  closed: boolean
}

export class Relay implements Timed {
  deadline: number
  /** Bytes that came from each side. */
  received = 0
  sent = 0
  readonly client: SocketEvents
  readonly upstream: SocketEvents
  readonly #options: RelayOptions
  readonly #sides: readonly Side[]
  #reason: string | undefined

  constructor(options: RelayOptions) {
    this.#options = options
    const { client, upstream } = options
    const ours: Side = { name: 'client', socket: client, out: new Flow(client, upstream), closed: false }
    const theirs: Side = { name: 'upstream', socket: upstream, out: new Flow(upstream, client), closed: false }
    this.#sides = [ours, theirs]
    this.client = this.#eventsOf(ours, theirs)
    this.upstream = this.#eventsOf(theirs, ours)
    this.deadline = Date.now() + options.idleMs
    options.deadlines.add(this)
  }

  #eventsOf(side: Side, other: Side): SocketEvents {
    return {
      onBytes: (bytes, length) => this.#pass(side, bytes, length),
      // The other way stays open: many protocols end a request by it, and wait for the response.
      onEnd: () => void other.socket.end(),
      onDrain: () => {
        this.deadline = Date.now() + this.#options.idleMs
        other.out.resume()
      },
      onClose: () => this.#closed(side, other),
    }
  }

  #pass({ name, out }: Side, bytes: Buffer, length: number): void {
    const way = name === 'client' ? 'received' : 'sent'
    this[way] += length
    this.#options.stats[way] += length
    out.add(bytes, length)
    out.flush()
    this.deadline = Date.now() + (out.blocked ? this.#options.sendMs : this.#options.idleMs)
  }

  #closed(side: Side, other: Side): void {
    if (side.closed) return
    side.closed = true
    if (other.closed) {
      this.#options.deadlines.delete(this)
      this.#options.done(this.#reason)
      return
    }
    if (side.socket.errored) this.#reason ??= `${side.name} reset`
    this.deadline = Date.now() + this.#options.sendMs
    if (side.socket.errored) breakOff(other.socket)
    else other.socket.destroySoon()
  }

  /** Closes both at once. */
  cut(reason: string): void {
    this.#reason ??= reason
    for (const { socket } of this.#sides) socket.destroy()
  }

  onDeadline(): void {
    this.cut(this.#sides.some(({ out, closed }) => out.blocked || closed) ? 'write timeout' : 'idle timeout')
  }
}

/**
 * Passes a reset on, behind what came before it: an end in good order would tell the other side that it has everything. TLS says
 * the same by closing without its alert.
 */
function breakOff(socket: net.Socket): void {
  if (socket.writableEnded) {
    socket.destroySoon()
    return
  }
  socket.write('', () => {
    if ('encrypted' in socket) socket.destroy()
    else socket.resetAndDestroy()
  })
}
