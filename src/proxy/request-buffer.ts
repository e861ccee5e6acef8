/**
 * A request's body that is waited for as a whole (`request_buffering`): a slow client keeps neither a connection to the upstream nor
 * whatever works there, and a request with a long body can be sent again. Where there is no room for all of it, what there is goes on
 * and the rest follows as it comes. Source: Kong's docs, Route `request_buffering`; nginx's `proxy_request_buffering`.
 */
import type { Carrier } from './carrier.ts'
import type { RequestBody } from './exchange.ts'
import type { Send } from './forward.ts'
import type { Spool, SpoolSpace } from './spool.ts'

/** Where a body goes at present, and how its pieces are framed there. */
interface Target {
  readonly carrier: Carrier
  readonly send: Send
  readonly finish: (trailers: string) => void
}

export class RequestBuffer {
  readonly #body: RequestBody
  readonly #ready: () => void
  readonly #lost: () => void
  readonly #spool: Spool
  #isReady = false
  /** Whether pieces go on as they come: nothing of it can be sent again. */
  #isDirect = false
  #trailers: string | undefined
  #target: Target | undefined
  #isGiving = false

  /** Undefined where there is no room; `ready` is called when the body may be sent, `lost` where it cannot be read any more. */
  static of(
    body: RequestBody,
    spools: SpoolSpace,
    { ready, lost }: { readonly ready: () => void; readonly lost: () => void },
  ): RequestBuffer | undefined {
    let buffer: RequestBuffer | undefined
    const spool = spools.open('whole', () => buffer?.onRoom())
    if (spool === undefined) return undefined
    return (buffer = new RequestBuffer(body, spool, ready, lost))
  }

  private constructor(body: RequestBody, spool: Spool, ready: () => void, lost: () => void) {
    this.#body = body
    this.#spool = spool
    this.#ready = ready
    this.#lost = lost
    for (const piece of body.waiting) spool.append(piece, 0, piece.length)
    body.pipe(
      (bytes, from, to) => this.#take(bytes, from, to),
      (trailers) => {
        this.#trailers = trailers
        if (this.#isDirect) this.#target?.finish(trailers)
        else if (this.#isReady) this.#give()
        else this.#begin()
      },
    )
  }

  /** Whether it can be sent again. */
  get isKept(): boolean {
    return !this.#isDirect
  }

  /** The bytes of the whole body; undefined where it is not whole, or is followed by trailers, for which it has to be chunked. */
  get length(): number | undefined {
    return this.#trailers === '' && !this.#isDirect ? this.#spool.length : undefined
  }

  #take(bytes: Buffer, from: number, to: number): boolean {
    if (this.#isDirect) {
      this.#target?.send(this.#target.carrier, bytes, from, to)
      return this.#target?.carrier.flush() ?? true
    }
    this.#spool.append(bytes, from, to)
    if (this.#spool.takesMore()) return true
    if (this.#spool.isStuck) this.#begin()
    return false
  }

  /** There is room again, or will be none. */
  onRoom(): void {
    if (this.#spool.isStuck) this.#begin()
    else this.#body.resume()
  }

  #begin(): void {
    if (this.#isReady) return
    this.#isReady = true
    this.#ready()
  }

  /** Sends what there is, from its first byte, and the rest as it comes. */
  sendTo(carrier: Carrier, send: Send, finish: (trailers: string) => void): void {
    this.#target = { carrier, send, finish }
    this.#spool.rewind()
    this.#isGiving = false
    carrier.flush()
    this.#give()
  }

  /** The peer takes more. */
  resume(): void {
    if (this.#isDirect) this.#body.resume()
    else this.#give()
  }

  /** The request is at no peer any more. */
  leave(): void {
    this.#target = undefined
  }

  #give(): void {
    const target = this.#target
    if (target === undefined || this.#isGiving || this.#isDirect) return
    if (this.#spool.isEmpty) {
      if (this.#trailers === undefined) this.#goDirect()
      else {
        this.#target = undefined
        target.finish(this.#trailers)
      }
      return
    }
    this.#isGiving = true
    this.#spool.next((bytes, length) => {
      if (this.#target !== target) return
      this.#isGiving = false
      if (bytes === undefined) {
        this.#lost()
        return
      }
      target.send(target.carrier, bytes, 0, length)
      if (target.carrier.flush()) this.#give()
    })
  }

  #goDirect(): void {
    this.#isDirect = true
    this.#spool.close()
    this.#body.resume()
  }

  close(): void {
    this.#target = undefined
    this.#spool.close()
  }
}
