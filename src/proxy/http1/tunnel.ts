/**
 * Two connections that have become one: bytes pass both ways as they are, at the pace of the slower side.
 * Source: RFC 9110 7.8 (Upgrade), RFC 6455 5 (frames) and 7.4.1 (1001: going away).
 */
import { randomFillSync } from 'node:crypto'
import type net from 'node:net'
import type { Deadlines, Timed } from '../deadlines.ts'
import { Flow } from '../flow.ts'
import { FrameReader } from './frames.ts'
import type { SocketEvents } from './socket.ts'

/** What takes over a connection's events. */
export interface Successor extends SocketEvents {
  /** The gateway stops: the connection is to end in good order, soon. */
  drain(): void
}

export interface TunnelOptions {
  readonly client: net.Socket
  readonly upstream: net.Socket
  /** Without a byte from either side for so long, both are closed. */
  readonly idleMs: number
  /** While one side takes nothing, in ms. */
  readonly sendMs: number
  readonly deadlines: Deadlines
  /** Told of bytes that go to the client. */
  readonly onSent: (bytes: number) => void
}

/** How long both sides may take to answer a closing frame. */
const closingMs = 2000

const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9])

/** RFC 6455 5.3: frames to a server are masked. */
function maskedGoingAway(): Buffer {
  const mask = randomFillSync(Buffer.alloc(4))
  return Buffer.from([0x88, 0x82, ...mask, 0x03 ^ (mask[0] ?? 0), 0xe9 ^ (mask[1] ?? 0)])
}

export class Tunnel implements Timed {
  deadline: number
  readonly client: Successor
  readonly upstream: Successor
  readonly #options: TunnelOptions
  readonly #toClient: Direction
  readonly #toUpstream: Direction

  constructor(options: TunnelOptions) {
    this.#options = options
    this.deadline = Date.now() + options.idleMs
    this.#toClient = new Direction(options.upstream, options.client, goingAway)
    this.#toUpstream = new Direction(options.client, options.upstream, maskedGoingAway())
    this.client = this.#sideOf(this.#toUpstream, this.#toClient)
    this.upstream = this.#sideOf(this.#toClient, this.#toUpstream)
    options.deadlines.add(this)
  }

  /** The events of one side: what comes from it goes `out`, what it can take again comes `in`. */
  #sideOf(out: Direction, into: Direction): Successor {
    return {
      onBytes: (bytes, length) => this.#pass(out, bytes, length),
      onEnd: () => this.close(),
      onDrain: () => {
        this.deadline = Date.now() + this.#options.idleMs
        into.resume()
      },
      onClose: () => this.close(),
      drain: () => this.#drain(),
    }
  }

  #pass(direction: Direction, bytes: Buffer, length: number): void {
    const passed = direction.pass(bytes, length)
    if (direction === this.#toClient) this.#options.onSent(passed)
    if (direction.closing) this.#whenClosing()
    else this.deadline = Date.now() + (direction.blocked ? this.#options.sendMs : this.#options.idleMs)
  }

  /** A closing frame to each side, as soon as a frame is not cut in two by it. */
  #drain(): void {
    for (const direction of [this.#toClient, this.#toUpstream]) direction.drain()
    this.#whenClosing()
  }

  /** Once both sides are told, they have a moment to answer; what they say is read, lest a reset overtakes the frame. */
  #whenClosing(): void {
    const { client, upstream } = this.#options
    this.deadline = Math.min(this.deadline, Date.now() + closingMs)
    if (!this.#toClient.closing || !this.#toUpstream.closing) return
    client.end()
    upstream.end()
  }

  /** Closes both sides, as soon as what is under way has arrived. */
  close(): void {
    const { client, upstream, sendMs } = this.#options
    client.destroySoon()
    upstream.destroySoon()
    this.deadline = Math.min(this.deadline, Date.now() + sendMs)
  }

  onDeadline(): void {
    const { client, upstream, deadlines } = this.#options
    client.destroy()
    upstream.destroy()
    deadlines.delete(this)
  }
}

/** One way through a tunnel, whose frames are followed so that a closing one comes between two. */
class Direction extends Flow {
  /** True once the closing frame is sent: nothing may follow it. */
  closing = false
  readonly #frames = new FrameReader()
  readonly #closingFrame: Buffer
  #draining = false

  constructor(from: net.Socket, to: net.Socket, closingFrame: Buffer) {
    super(from, to)
    this.#closingFrame = closingFrame
  }

  /** Passes bytes on; gives how many. */
  pass(bytes: Buffer, length: number): number {
    if (this.closing) return 0
    const end = this.#draining ? this.#frames.untilBoundary(bytes, length) : this.#frames.read(bytes, length)
    this.add(bytes, end)
    if (this.#draining && this.#frames.atBoundary) this.#sendClosing()
    this.flush()
    return end
  }

  /** What comes once the closing frame is sent is read, whether it is taken or not. */
  override flush(): void {
    super.flush()
    if (this.closing) this.resume()
  }

  drain(): void {
    this.#draining = true
    if (this.closing || !this.#frames.atBoundary) return
    this.#sendClosing()
    this.flush()
  }

  #sendClosing(): void {
    this.closing = true
    this.resume()
    this.add(this.#closingFrame, this.#closingFrame.length)
  }
}
