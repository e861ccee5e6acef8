/**
 * Writes straight to the system, past the queue that each of Node's sockets keeps: most are taken whole at once, and what the queue
 * keeps of them is a twentieth of a request's cost. Where the system takes less than all, the usual way follows.
 */
import type net from 'node:net'
import { streamBinding as binding, streamHandle, type StreamHandle, type WriteRequest } from './stream-binding.ts'

/** Used again and again: only a write that has to wait keeps it. */
let request = binding && new binding.WriteWrap()

/** Direct writes to one socket, in order with those that take the usual way. */
export class DirectWrites {
  readonly #socket: net.Socket
  #isWaiting = false

  constructor(socket: net.Socket) {
    this.#socket = socket
  }

  /** Whether a write waits for the system to take the rest of it; the socket emits 'drain' when it has. */
  get isWaiting(): boolean {
    return this.#isWaiting
  }

  /** Writes a text, one byte a character; false where nothing of it was written, and it has to go the usual way. */
  text(text: string): boolean {
    const handle = this.#handle()
    if (handle === undefined || request === undefined || handle.writeLatin1String(request, text) !== 0) return false
    if (isUnderWay()) this.#wait(handle, request)
    return true
  }

  /** The same with bytes, which must stay as they are until `done` is called. */
  bytes(bytes: Buffer, done: () => void): boolean {
    const handle = this.#handle()
    if (handle === undefined || request === undefined || handle.writeBuffer(request, bytes) !== 0) return false
    if (isUnderWay()) this.#wait(handle, request, { bytes, done })
    else done()
    return true
  }

  /** What can be written to at once. */
  #handle(): StreamHandle | undefined {
    const socket = this.#socket
    if (this.#isWaiting || socket.writableLength > 0 || socket.connecting || socket.writableEnded) return undefined
    return streamHandle(socket)
  }

  #wait(
    handle: StreamHandle,
    waiting: WriteRequest,
    kept?: { readonly bytes: Buffer; readonly done: () => void },
  ): void {
    this.#isWaiting = true
    waiting.handle = handle
    if (kept) waiting.buffer = kept.bytes
    waiting.oncomplete = (status) => {
      this.#isWaiting = false
      kept?.done()
      const socket = this.#socket
      if (status < 0) socket.destroy()
      // What was written since has the last word on when there is room again.
      if (!socket.destroyed && !socket.writableNeedDrain) socket.emit('drain')
    }
    request = binding && new binding.WriteWrap()
  }
}

const isUnderWay = (): boolean => binding !== undefined && binding.streamBaseState[binding.kLastWriteWasAsync] !== 0

/** Direct writes to a socket where there can be any: to one without TLS. */
export const directWrites = (socket: net.Socket): DirectWrites | undefined =>
  binding === undefined || 'encrypted' in socket ? undefined : new DirectWrites(socket)
