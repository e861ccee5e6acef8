/** Talks that last: a WebSocket and a call of gRPC on which a client talks all the time, and hears itself. */
import net from 'node:net'
import { echoClient } from '../../test/e2e/grpc-echo.ts'

export interface Talk {
  readonly said: number
  readonly heard: number
  /** How often it was closed in good order by a gateway that goes away, and opened again. */
  readonly reopened: number
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

const textOf = (count: number): Buffer => Buffer.from(String(count).padStart(frameBytes - 2, '0'))

/** A short text frame as RFC 6455 5.2 has it; a client's is masked, by a mask that does not have to surprise anybody here. */
function frame(count: number, masked: boolean): Buffer {
  const text = textOf(count)
  if (!masked) return Buffer.from([0x81, text.length, ...text])
  return Buffer.from([0x81, 0x80 | text.length, ...mask, ...text.map((byte, at) => byte ^ mask[at & 3]!)])
}

/** RFC 6455 7.4.1: a closing frame with 1001, going away. */
const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9])

const unmasked = (bytes: Buffer): Buffer =>
  Buffer.from([0x81, bytes[1]! & 0x7f, ...bytes.subarray(6).map((byte, at) => byte ^ mask[at & 3]!)])

/** What an upstream does with a socket once both agree: each frame goes back. */
export function echoFrames(socket: net.Socket): void {
  let kept = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    kept = Buffer.concat([kept, bytes])
    for (; kept.length >= frameBytes + 4 && kept[0] === 0x81; kept = kept.subarray(frameBytes + 4))
      socket.write(unmasked(kept.subarray(0, frameBytes + 4)))
    if (kept[0] === 0x88) socket.end()
  })
}

/** Agrees to a handshake that came as this text; whoever asked does not check how. */
export const agreement =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

const handshakeFor = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: steady.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

/** What is said and heard, by number. */
class Said {
  said = 0
  heard = 0
  reopened = 0
  ended: string | undefined
  #timer: NodeJS.Timeout | undefined
  #hasStopped = false

  begin(say: (count: number) => void): void {
    clearInterval(this.#timer)
    // It may have been closed in good order while the last of it was waited for.
    if (this.#hasStopped) return
    this.#timer = setInterval(() => say(this.said++), sayEveryMs)
  }

  /** What was not heard is said again. */
  beginAgain(): void {
    clearInterval(this.#timer)
    this.said = this.heard
    this.reopened++
  }

  hear(bytes: Buffer, wanted: Buffer): void {
    if (bytes.equals(wanted)) this.heard++
    else this.end(`something else than what was said: ${bytes.toString('hex')}`)
  }

  end(why: string): void {
    this.ended ??= why
    clearInterval(this.#timer)
  }

  /** Resolves when everything said is heard, or nothing more will be. */
  async stop(): Promise<void> {
    this.#hasStopped = true
    clearInterval(this.#timer)
    for (let left = patienceMs; this.heard < this.said && this.ended === undefined && left > 0; left -= 10)
      await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Opens a WebSocket and begins to talk; resolves when both agree. It is opened again where the gateway goes away and says so. */
export async function chat(port: number, path: string): Promise<Talk> {
  const said = new Said()
  let socket = await agreed()
  begin()

  function begin(): void {
    let kept = Buffer.alloc(0)
    let isTold = false
    const own = socket
    own.on('data', (bytes: Buffer) => {
      kept = Buffer.concat([kept, bytes])
      for (; kept.length >= frameBytes && kept[0] === 0x81; kept = kept.subarray(frameBytes))
        said.hear(kept.subarray(0, frameBytes), frame(said.heard, false))
      if (!kept.equals(goingAway) || isTold) return
      isTold = true
      own.end()
      said.beginAgain()
      void again()
    })
    own.on('error', (error) => isTold || said.end(error.message))
    own.on('close', () => isTold || said.end('closed'))
    own.resume()
    said.begin((count) => own.write(frame(count, true)))
  }

  async function again(): Promise<void> {
    try {
      socket = await agreed()
      begin()
    } catch (error) {
      said.end((error as Error).message)
    }
  }

  function agreed(): Promise<net.Socket> {
    return new Promise((resolve, reject) => {
      const opened = net.connect({ port, host: '127.0.0.1', noDelay: true })
      const fail = (error?: Error): void => reject(error ?? new Error('closed before it was agreed to'))
      let head = ''
      const read = (bytes: Buffer): void => {
        head += bytes.toString('latin1')
        if (!head.endsWith('\r\n\r\n')) return
        if (!head.startsWith('HTTP/1.1 101')) return fail(new Error(head))
        opened.pause().off('data', read).off('error', fail).off('close', fail)
        resolve(opened)
      }
      opened.on('data', read).on('error', fail).on('close', fail)
      opened.write(handshakeFor(path))
    })
  }

  return Object.assign(said, {
    async close(): Promise<void> {
      await said.stop()
      socket.removeAllListeners('close').destroy()
    },
  })
}

/** Begins a call that streams both ways, to the echo server behind the gateway. */
export function call(port: number): Talk {
  const said = new Said()
  const client = echoClient(port)
  const stream = client.talk()
  stream.on('data', (bytes: Buffer) => said.hear(bytes, textOf(said.heard)))
  stream.on('error', (error) => said.end(error.message))
  stream.on('end', () => said.end('ended'))
  said.begin((count) => stream.write(textOf(count)))
  return Object.assign(said, {
    async close(): Promise<void> {
      await said.stop()
      stream.removeAllListeners('end')
      stream.end()
      client.close()
    },
  })
}
