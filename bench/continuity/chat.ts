/** A WebSocket on which a client talks all the time, and hears itself. */
import net from 'node:net'

export interface Chat {
  readonly said: number
  readonly heard: number
  /** Why it ended; undefined while it lives. */
  readonly ended: string | undefined
  /** Says no more, and closes it when everything is heard. */
  close(): Promise<void>
}

const sayEveryMs = 50
/** What is not heard for so long is lost. */
const patienceMs = 20_000
const frameBytes = 10
const mask = [1, 2, 3, 4] as const

/** A short text frame as RFC 6455 5.2 has it; a client's is masked, by a mask that does not have to surprise anybody here. */
function frame(count: number, masked: boolean): Buffer {
  const text = Buffer.from(String(count).padStart(frameBytes - 2, '0'))
  if (!masked) return Buffer.from([0x81, text.length, ...text])
  return Buffer.from([0x81, 0x80 | text.length, ...mask, ...text.map((byte, at) => byte ^ mask[at & 3]!)])
}

const unmasked = (bytes: Buffer): Buffer =>
  Buffer.from([0x81, bytes[1]! & 0x7f, ...bytes.subarray(6).map((byte, at) => byte ^ mask[at & 3]!)])

/** What an upstream does with a socket once both agree: each frame goes back. */
export function echoFrames(socket: net.Socket): void {
  let kept = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    kept = Buffer.concat([kept, bytes])
    for (; kept.length >= frameBytes + 4; kept = kept.subarray(frameBytes + 4))
      socket.write(unmasked(kept.subarray(0, frameBytes + 4)))
  })
}

/** Agrees to a handshake that came as this text; whoever asked does not check how. */
export const agreement =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

/** Opens one and begins to talk; resolves when both agree. */
export async function chat(port: number, path: string): Promise<Chat> {
  const agreed = Promise.withResolvers<void>()
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  let kept = Buffer.alloc(0)
  let isOpen = false
  let timer: NodeJS.Timeout | undefined
  const close = async (): Promise<void> => {
    clearInterval(timer)
    for (let left = patienceMs; state.heard < state.said && state.ended === undefined && left > 0; left -= 10)
      await new Promise((resolve) => setTimeout(resolve, 10))
    socket.off('close', lose).destroy()
  }
  const lose = (): void => {
    state.ended ??= 'closed'
    clearInterval(timer)
    agreed.reject(new Error(state.ended))
  }
  const state = { said: 0, heard: 0, ended: undefined as string | undefined, close }
  const hear = (): void => {
    for (; kept.length >= frameBytes; kept = kept.subarray(frameBytes)) {
      const isNext = kept.subarray(0, frameBytes).equals(frame(state.heard, false))
      if (isNext) state.heard++
      else state.ended ??= `something else than what was said: ${kept.toString('hex')}`
    }
  }
  socket.on('data', (bytes: Buffer) => {
    kept = Buffer.concat([kept, bytes])
    const end = kept.indexOf('\r\n\r\n')
    if (!isOpen && end >= 0) {
      if (!kept.toString('latin1').startsWith('HTTP/1.1 101')) agreed.reject(new Error(kept.toString('latin1')))
      isOpen = true
      kept = kept.subarray(end + 4)
      timer = setInterval(() => socket.write(frame(state.said++, true)), sayEveryMs)
      agreed.resolve()
    }
    if (isOpen) hear()
  })
  socket.on('error', (error) => (state.ended ??= error.message))
  socket.on('close', lose)
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: steady.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  await agreed.promise
  return state
}
