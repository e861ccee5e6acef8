/** An HTTP/2 connection to a peer, which carries many requests at once. */
import type net from 'node:net'
import type { TLSSocket } from 'node:tls'
import { now } from '../clock.ts'
import type { Deadlines } from '../deadlines.ts'
import type { HeadLimits } from '../http1/head.ts'
import { errorCode, initialWindow, maxWindow, preface, setting } from './frames.ts'
import type { Fields } from './hpack.ts'
import { Session } from './session.ts'
import { UpstreamStream } from './upstream-stream.ts'

export interface UpstreamSessionSettings {
  readonly deadlines: Deadlines
  readonly headLimits: HeadLimits
  /** How long it is kept without a request, in ms. */
  readonly idleMs: number
  /** Requests that it carries in all; 0 for no limit. */
  readonly maxRequests: number
}

/** Requests under way in one connection; the peer may want fewer. */
const maxStreams = 100
const sendMs = 10_000

export class UpstreamSession extends Session {
  connected = false
  readonly scheme: 'http' | 'https'
  readonly deadlines: Deadlines
  readonly maxHeaders: number
  readonly #settings: UpstreamSessionSettings
  readonly #over: () => void
  #peerStreams = maxStreams
  #nextId = 1
  #requests = 0
  /** Whether it takes no more requests. */
  #retired = false
  readonly #touched = new Set<UpstreamStream>()

  constructor(settings: UpstreamSessionSettings, scheme: 'http' | 'https', over: () => void) {
    // What a slow client does not take must not hold up what others wait for: there is room for all streams' windows.
    super({ headBytes: settings.headLimits.headBytes, windowBytes: maxStreams * initialWindow, sendMs }, '')
    this.#settings = settings
    this.#over = over
    this.scheme = scheme
    this.deadlines = settings.deadlines
    this.maxHeaders = settings.headLimits.headers
    this.deadlines.add(this)
  }

  override attach(socket: net.Socket): void {
    super.attach(socket)
    this.write(preface)
    this.greet([
      [setting.enablePush, 0],
      [setting.maxHeaderListSize, this.#settings.headLimits.headBytes],
    ])
    socket.once((socket as TLSSocket).encrypted ? 'secureConnect' : 'connect', () => {
      this.connected = true
      for (const stream of this.streams.values()) (stream as UpstreamStream).onConnected()
    })
  }

  /** Whether it takes one more request now. */
  get hasRoom(): boolean {
    const { maxRequests } = this.#settings
    const isOpen = this.state === 'preface' || this.state === 'open'
    const isSpent = this.#nextId >= maxWindow || (maxRequests > 0 && this.#requests >= maxRequests)
    return isOpen && !this.#retired && !isSpent && this.streams.size < this.#peerStreams
  }

  open(): UpstreamStream {
    const stream = new UpstreamStream(this, this.#nextId, this.#requests++ > 0)
    this.#nextId += 2
    this.streams.set(stream.id, stream)
    this.deadline = Infinity
    return stream
  }

  /** Takes no more requests; those under way are finished. */
  retire(): void {
    this.#retired = true
    if (this.streams.size === 0) this.#leave()
  }

  #leave(): void {
    this.sendGoAway(0, errorCode.none)
    this.end()
  }

  /** Notes that a stream's client has been given something. */
  touch(stream: UpstreamStream): void {
    this.#touched.add(stream)
  }

  peersTurned(): void {
    for (const stream of Array.from(this.streams.values())) (stream as UpstreamStream).peersTurned()
  }

  protected onRead(): void {
    for (const stream of this.#touched) stream.onReadDone()
    this.#touched.clear()
  }

  protected isUnused(id: number): boolean {
    return id >= this.#nextId || id % 2 === 0
  }

  protected onOpen(id: number, _fields: Fields): void {
    if (this.isUnused(id)) this.fail(errorCode.protocol, 'HEADERS of a stream that was never open')
    else this.spend()
  }

  protected onAnswered(): void {
    // The request is complete: now the response is awaited.
  }

  protected onGone(): void {
    if (this.streams.size > 0 || this.state === 'closing' || this.state === 'closed') return
    if (!this.connected) this.destroy()
    else if (this.#retired || !this.hasRoom) this.#leave()
    else this.deadline = now() + this.#settings.idleMs
  }

  protected onGoAway(lastId: number): void {
    this.#retired = true
    for (const stream of Array.from(this.streams.values()))
      if (stream.id > lastId) this.drop(stream, errorCode.refusedStream)
    if (this.streams.size === 0) this.end()
  }

  protected onSettings(id: number, value: number): void {
    if (id === setting.maxConcurrentStreams) this.#peerStreams = Math.min(value, maxStreams)
  }

  protected onPong(): void {
    this.spend()
  }

  protected onLate(): void {
    if (this.streams.size === 0) this.#leave()
  }

  protected onOver(): void {
    this.deadlines.delete(this)
    this.#over()
  }
}
