/**
 * What an upstream has sent of a response and its client has not taken yet (`response_buffering`): a slow client keeps neither a
 * connection to the upstream nor whatever works there for it. A client that takes what comes pays nothing, and none waits for more to
 * come. Source: Kong's docs, Route `response_buffering`; nginx's `proxy_buffering` and `X-Accel-Buffering`.
 */
import { now } from './clock.ts'
import type { Timed } from './deadlines.ts'
import type { Exchange } from './exchange.ts'
import { breakOff, sendPiece } from './respond.ts'
import type { Spool } from './spool.ts'

/** For how long, all in all, a client may keep its upstream waiting before it counts as slow, in ms. */
const patienceMs = 100

export class ResponseBuffer implements Timed {
  deadline = Infinity
  readonly #exchange: Exchange
  readonly #resume: () => void
  /** Since when the upstream waits for the client; 0 while it does not. */
  #waitsSince = 0
  #waitedMs = 0
  #spool: Spool | undefined
  #end: (() => void) | undefined

  /** `resume` lets more be read from the upstream. */
  constructor(exchange: Exchange, resume: () => void) {
    this.#exchange = exchange
    this.#resume = resume
    exchange.runtime.deadlines.add(this)
  }

  /** Whether there is something that the client gets before anything else. */
  get holds(): boolean {
    return this.#spool !== undefined
  }

  add(bytes: Buffer, from: number, to: number): void {
    this.#spool?.append(bytes, from, to)
  }

  /** The client takes no more for now, or has something to take before: whether more may be read from the upstream. */
  mayRead(): boolean {
    if (this.#spool) return this.#spool.takesMore()
    this.#waitsSince = now()
    this.deadline = this.#waitsSince + patienceMs - this.#waitedMs
    return this.deadline <= this.#waitsSince && this.#begin()
  }

  onDeadline(): void {
    if (this.#begin()) this.#resume()
    // There is no room for what it does not take: that may change.
    else this.deadline = now() + patienceMs
  }

  #begin(): boolean {
    this.#spool = this.#exchange.runtime.spools.open('queue', () => this.#resume())
    if (this.#spool) this.deadline = Infinity
    return this.#spool !== undefined
  }

  /** The client can take more. */
  drain(): void {
    if (this.#spool) {
      this.#give(this.#spool)
      return
    }
    this.deadline = Infinity
    if (this.#waitsSince > 0) this.#waitedMs += now() - this.#waitsSince
    this.#waitsSince = 0
    this.#resume()
  }

  #give(spool: Spool): void {
    if (spool.isEmpty) {
      this.#emptied()
      return
    }
    spool.next((bytes, length) => {
      const exchange = this.#exchange
      if (bytes === undefined) {
        exchange.cancel?.()
        breakOff(exchange)
        return
      }
      sendPiece(exchange, bytes, 0, length)
      if (exchange.downstream.flush()) this.#give(spool)
    })
  }

  /** From here on what comes goes to the client at once. */
  #emptied(): void {
    this.#spool?.close()
    this.#spool = undefined
    if (this.#end) this.#end()
    else this.#resume()
  }

  /** Nothing more comes: calls back when the client has got everything. */
  end(done: () => void): void {
    if (this.#spool) this.#end = done
    else done()
  }

  close(): void {
    this.#exchange.runtime.deadlines.delete(this)
    this.#spool?.close()
    this.#spool = undefined
  }
}
