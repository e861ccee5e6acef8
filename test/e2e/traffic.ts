/** Targets that can be made to fail, and clients that keep asking, for tests and benchmarks of what fails. */
import { once } from 'node:events'
import net from 'node:net'

/** What a target does with a request. */
export type Behaviour = (socket: net.Socket, request: string) => void

/** Answers 200 with `ok`. */
export const answer: Behaviour = (socket) => void socket.write(answerText)
const answerText = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** A target whose behaviour a test may change while it runs. */
export class Target {
  behaviour: Behaviour = answer
  requests = 0
  port = 0
  readonly #sockets = new Set<net.Socket>()
  readonly #server = net.createServer((socket) => {
    this.#sockets.add(socket)
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
    socket.on('data', (bytes: Buffer) => {
      this.requests++
      this.behaviour(socket, bytes.toString('latin1'))
    })
  })

  async listen(address = '127.0.0.1', port = 0): Promise<this> {
    this.#server.listen(port, address)
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as net.AddressInfo).port
    return this
  }

  get place(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Connections are cut, and no others taken. */
  die(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }
}

const neverMs = 60_000

/** The ways in which a target fails. */
export const failures: Readonly<Record<string, (target: Target) => void>> = {
  dead: (target) => target.die(),
  slow: (target) => {
    target.behaviour = (socket) => void setTimeout(() => socket.write(answerText), neverMs).unref()
  },
  resetting: (target) => {
    target.behaviour = (socket) => void socket.resetAndDestroy()
  },
  'half-open': (target) => {
    target.behaviour = () => {}
  },
}

export interface Traffic {
  answered: number
  /** What was not a 200, and how it began. */
  readonly failed: string[]
  slowestMs: number
  stop(): Promise<void>
}

/** Clients that ask for a path, each again as soon as it has its answer. */
export function traffic(port: number, path: string, clients = 24, method = 'GET'): Traffic {
  const request = `${method} ${path} HTTP/1.1\r\nHost: a\r\n${method === 'POST' ? 'Content-Length: 2\r\n\r\nhi' : '\r\n'}`
  const result: Traffic = { answered: 0, failed: [], slowestMs: 0, stop }
  let stopping = false
  const ends = Array.from({ length: clients }, () => run())

  async function run(): Promise<void> {
    const socket = net.connect(port, '127.0.0.1').setNoDelay()
    const closed = once(socket, 'close')
    socket.on('error', () => {})
    let text = ''
    let since = performance.now()
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1')
      if (!text.endsWith('ok') && !text.includes('request_id')) return
      result.answered++
      if (!text.startsWith('HTTP/1.1 200')) result.failed.push(text.slice(0, 300))
      result.slowestMs = Math.max(result.slowestMs, performance.now() - since)
      text = ''
      if (stopping) return void socket.destroy()
      since = performance.now()
      socket.write(request)
    })
    socket.write(request)
    await closed
    if (!stopping) result.failed.push('the connection closed')
  }

  async function stop(): Promise<void> {
    stopping = true
    await Promise.all(ends)
  }
  return result
}
