/** One stream of a connection: what of it is sent, as far as the other end lets it, and what of it is received. */
import { ByteQueue } from './byte-queue.ts'
import { initialWindow, maxPayloadBytes } from './frames.ts'
import type { Fields } from './hpack.ts'
import type { Session } from './session.ts'

export abstract class Stream {
  readonly id: number
  /** Whether the other end, or this one, has sent all that it will. */
  remoteClosed = false
  localClosed = false
  /** Bytes that may be sent; negative where the other end has changed its mind. */
  sendWindow: number
  /** Bytes that the other end may send. */
  receiveWindow: number = initialWindow
  protected readonly session: Session
  #text = ''
  /** What could not be sent yet. */
  #queue: ByteQueue | undefined
  /** The block of trailers to end with when all is sent; the empty string for none. */
  #last: string | undefined
  /** Bytes that were received and have not been given back to the windows. */
  #held = 0
  #returned = 0

  constructor(session: Session, id: number) {
    this.session = session
    this.id = id
    this.sendWindow = session.peerWindow
  }

  // ---- what happens

  /** A header block: a head, or trailers. */
  abstract onFields(fields: Fields, endStream: boolean): void
  abstract onPiece(bytes: Buffer, from: number, to: number): void
  /** The other end has sent the last of its body. */
  abstract onBodyEnd(): void
  /** The stream is no more, and what it carried is not complete. */
  abstract onLost(code: number): void
  /** What waited has gone, or some of it. */
  abstract onProgress(): void
  /** Everything given so far has gone, and there is room for more. */
  abstract onWritable(): void
  /** The connection's window is used up by what its streams hold. */
  abstract onPressure(): void
  /** The stream has ended, whichever way. */
  abstract onGone(): void

  // ---- sending

  protected writeHead(block: string, endStream: boolean): void {
    if (this.localClosed) return
    this.session.sendBlock(this.id, block, endStream)
    if (endStream) this.#closeLocal()
  }

  protected writeBytes(bytes: Buffer, from: number, to: number): void {
    if (this.localClosed) return
    if (to - from <= maxPayloadBytes) this.writeText(bytes.toString('latin1', from, to))
    else {
      this.#pushText()
      this.#push(bytes, from, to)
    }
  }

  protected writeText(text: string): void {
    if (this.localClosed) return
    this.#text += text
    if (this.#text.length > maxPayloadBytes) this.#pushText()
  }

  /** Sends what was given; false where not all of it could go, or there is no room for more: then `onWritable` tells. */
  protected push(): boolean {
    this.#pushText()
    if (this.#queue === undefined && this.session.isWritable) return true
    if (!this.localClosed) this.session.wait(this)
    return this.localClosed
  }

  /** Nothing more is sent but what was given, and these trailers. */
  protected writeEnd(trailers: string): void {
    if (this.localClosed || this.#last !== undefined) return
    this.#last = trailers
    if (this.#queue !== undefined || this.#text.length > this.#room()) {
      this.#pushText()
      return
    }
    const text = this.#text
    this.#text = ''
    if (text !== '' || trailers === '') this.session.sendData(this, text, trailers === '')
    this.#finish()
  }

  #pushText(): void {
    const text = this.#text
    this.#text = ''
    if (text === '') return
    if (text.length <= this.#room()) this.session.sendData(this, text, false)
    else this.#push(Buffer.from(text, 'latin1'), 0, text.length)
  }

  #push(bytes: Buffer, from: number, to: number): void {
    while (from < to) {
      const next = Math.min(to, from + this.#room())
      if (next === from) break
      this.session.sendDataBytes(this, bytes, from, next, false)
      from = next
    }
    if (from === to) return
    this.#queue ??= new ByteQueue()
    this.#queue.append(bytes, from, to)
    this.session.wait(this)
  }

  /** Bytes that one frame may carry now. */
  #room(): number {
    if (this.#queue !== undefined || !this.session.isWritable) return 0
    return Math.max(0, Math.min(maxPayloadBytes, this.sendWindow, this.session.sendWindow))
  }

  /** Sends one frame of what waits, if it may; whether that was so. */
  pump(): boolean {
    const queue = this.#queue
    if (queue === undefined) {
      this.onWritable()
      return true
    }
    const room = Math.min(maxPayloadBytes, this.sendWindow, this.session.sendWindow)
    if (room <= 0) return false
    queue.take(room, (bytes, from, to) => {
      const last = queue.length === 0 && this.#last === ''
      this.session.sendDataBytes(this, bytes, from, to, last)
    })
    this.onProgress()
    if (queue.length > 0) return true
    this.#queue = undefined
    if (this.#last === undefined) this.onWritable()
    else this.#finish()
    return true
  }

  /** Bytes of memory that this takes. */
  protected get queuedBytes(): number {
    return this.#queue?.size ?? 0
  }

  /** Whether there is something that could not be sent yet. */
  get waits(): boolean {
    return this.#queue !== undefined
  }

  #finish(): void {
    if (this.#last) this.session.sendBlock(this.id, this.#last, true)
    this.#closeLocal()
  }

  #closeLocal(): void {
    this.localClosed = true
    this.session.settle(this)
  }

  // ---- receiving

  /** Counts bytes that came; false where there are more than were allowed. */
  receive(bytes: number): boolean {
    this.#held += bytes
    this.receiveWindow -= bytes
    return this.receiveWindow >= 0
  }

  /** These bytes take no memory any more: the other end may send as many again. */
  giveBack(bytes: number): void {
    const given = Math.min(bytes, this.#held)
    this.#held -= given
    this.session.giveBack(given)
    if (this.remoteClosed) return
    this.#returned += given
    if (this.#returned < initialWindow / 2) return
    this.session.openWindow(this.id, this.#returned)
    this.receiveWindow += this.#returned
    this.#returned = 0
  }

  /** The same for all of them: the stream is gone. */
  giveAllBack(): void {
    this.remoteClosed = this.localClosed = true
    this.#queue = undefined
    this.#text = ''
    this.giveBack(this.#held)
  }
}
