/** A plain connection that may speak HTTP/1.1 or, by prior knowledge, HTTP/2: its first bytes tell (RFC 9113 3.3). */
import type net from 'node:net'
import { look } from '../clock.ts'
import type { Timed } from '../deadlines.ts'
import type { SocketEvents } from '../http1/socket.ts'
import type { Runtime } from '../runtime.ts'
import { preface } from './frames.ts'

/** No request of HTTP/1.1 begins like this, so that no more has to be awaited. */
const telling = Buffer.from(preface.slice(0, 'PRI * HTTP/2'.length), 'latin1')

/** Hands a connection to what `accept` gives, once it is known which of the two it speaks. */
export function afterPreface(
  { deadlines, timeouts }: Pick<Runtime, 'deadlines' | 'timeouts'>,
  socket: net.Socket,
  accept: (speaksHttp2: boolean) => SocketEvents,
): SocketEvents {
  let events: SocketEvents | undefined
  let kept = Buffer.alloc(0)
  const silent: Timed = { deadline: look() + timeouts.headMs, onDeadline: () => void socket.destroy() }
  deadlines.add(silent)

  const lookAt = (bytes: Buffer): void => {
    const length = Math.min(bytes.length, telling.length)
    const isSame = bytes.compare(telling, 0, length, 0, length) === 0
    if (isSame && length < telling.length) {
      kept = Buffer.from(bytes)
      return
    }
    deadlines.delete(silent)
    events = accept(isSame)
    events.onBytes(bytes, bytes.length)
  }
  return {
    onBytes: (bytes, length) => {
      if (events) events.onBytes(bytes, length)
      else lookAt(Buffer.concat([kept, bytes.subarray(0, length)]))
    },
    onEnd: () => (events ? events.onEnd() : void socket.destroy()),
    onDrain: () => events?.onDrain(),
    onClose: () => {
      deadlines.delete(silent)
      events?.onClose()
    },
  }
}
