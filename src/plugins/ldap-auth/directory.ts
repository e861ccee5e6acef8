/**
 * A directory: whether it takes a name with a password (RFC 4511 4.2, simple bind). Connections are kept for a while and used again,
 * one bind at a time.
 */
import net from 'node:net'
import tls from 'node:tls'
import { element, integer, octets, read, readAll, tag } from './ber.ts'

export interface DirectoryOptions {
  readonly host: string
  readonly port: number
  readonly security: 'none' | 'tls' | 'start tls'
  /** Whether the directory's certificate is verified, with these certificates where they are given. */
  readonly verify: boolean
  readonly ca: string | undefined
  readonly timeoutMs: number
  /** How long an unused connection is kept. */
  readonly keepAliveMs: number
}

export interface Directory {
  /** Resolves whether the password is that of the entry; rejects where the directory cannot be asked. */
  bind(name: string, password: string): Promise<boolean>
}

/** Binds that run at once; more wait, and beyond that many are refused. */
const mostConnections = 64
const mostWaiting = 1024

const operation = { bindRequest: 0x60, bindResponse: 0x61, extendedRequest: 0x77, extendedResponse: 0x78 } as const
const startTls = '1.3.6.1.4.1.1466.20037'
const success = 0

/** A directory, to which nothing is connected yet. */
export function createDirectory(options: DirectoryOptions): Directory {
  const idle: Connection[] = []
  const waiting: (() => void)[] = []
  let busy = 0

  const acquire = async (): Promise<void> => {
    if (busy < mostConnections) {
      busy++
      return
    }
    if (waiting.length >= mostWaiting) throw new Error('too many requests wait for the directory')
    await new Promise<void>((resolve) => waiting.push(resolve))
  }
  const release = (): void => {
    const next = waiting.shift()
    if (next) next()
    else busy--
  }
  const keep = (connection: Connection): void => {
    if (!connection.isOpen || options.keepAliveMs <= 0) return connection.close()
    idle.push(connection)
    connection.rest(options.keepAliveMs, () => {
      const at = idle.indexOf(connection)
      if (at >= 0) idle.splice(at, 1)
    })
  }
  const bindOn = async (connection: Connection, name: string, password: string): Promise<boolean> => {
    try {
      const accepted = await connection.bind(name, password)
      keep(connection)
      return accepted
    } catch (error) {
      connection.close()
      throw error
    }
  }
  return {
    async bind(name, password) {
      await acquire()
      try {
        const rested = idle.pop()
        if (!rested) return await bindOn(await connect(options), name, password)
        rested.wake()
        // One that has waited may just be closing: then a new one is asked.
        return await bindOn(rested, name, password).catch(async () => bindOn(await connect(options), name, password))
      } finally {
        release()
      }
    },
  }
}

async function connect(options: DirectoryOptions): Promise<Connection> {
  const { host, port, security } = options
  if (security === 'tls')
    return new Connection(
      await opened(tls.connect({ host, port, ...tlsOptions(options) }), options, 'secureConnect'),
      options,
    )
  const socket = await opened(net.connect({ host, port }), options, 'connect')
  const plain = new Connection(socket, options)
  if (security === 'none') return plain
  try {
    await plain.startTls()
    plain.leave()
    return new Connection(
      await opened(tls.connect({ socket, ...tlsOptions(options) }), options, 'secureConnect'),
      options,
    )
  } catch (error) {
    socket.destroy()
    throw error
  }
}

const tlsOptions = ({ host, verify, ca }: DirectoryOptions): tls.ConnectionOptions => ({
  rejectUnauthorized: verify,
  ...(net.isIP(host) === 0 && { servername: host }),
  ...(ca !== undefined && { ca }),
})

function opened<T extends net.Socket>(socket: T, { timeoutMs }: DirectoryOptions, event: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error('the directory does not answer')), timeoutMs)
    socket.once('error', reject)
    socket.once('close', () => {
      clearTimeout(timer)
      reject(new Error('the directory closed the connection'))
    })
    socket.once(event, () => {
      clearTimeout(timer)
      socket.removeListener('error', reject)
      resolve(socket)
    })
  })
}

/** Answers of a directory to a bind are short. */
const longestMessage = 64 * 1024

interface Waiting {
  readonly resolve: (result: Result) => void
  readonly reject: (error: Error) => void
  readonly id: number
  readonly tag: number
}

interface Result {
  readonly code: number
  readonly message: string
}

class Connection {
  isOpen = true
  readonly #socket: net.Socket
  readonly #timeoutMs: number
  #received: Buffer = Buffer.alloc(0)
  #lastId = 0
  #waiting: Waiting | undefined
  #resting: NodeJS.Timeout | undefined

  constructor(socket: net.Socket, { timeoutMs }: DirectoryOptions) {
    this.#socket = socket
    this.#timeoutMs = timeoutMs
    socket.setNoDelay(true)
    socket.on('data', this.#onData)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  readonly #onData = (bytes: Buffer): void => this.#receive(bytes)
  readonly #onError = (error: Error): void => this.#fail(error)
  readonly #onClose = (): void => this.#fail(new Error('the directory closed the connection'))

  async bind(name: string, password: string): Promise<boolean> {
    const request = element(operation.bindRequest, integer(3), octets(name), octets(password, 0x80))
    return (await this.#ask(request, operation.bindResponse)).code === success
  }

  async startTls(): Promise<void> {
    const request = element(operation.extendedRequest, octets(startTls, 0x80))
    const { code, message } = await this.#ask(request, operation.extendedResponse)
    if (code !== success) throw new Error(`the directory does not speak TLS: ${code} ${message}`)
  }

  /** Stops listening to the socket, which goes on as the ground of another. */
  leave(): void {
    this.#socket.off('data', this.#onData).off('error', this.#onError).off('close', this.#onClose)
  }

  close(): void {
    this.isOpen = false
    clearTimeout(this.#resting)
    // RFC 4511 4.3: an unbind, [APPLICATION 2] NULL, says that it is over.
    if (this.#socket.writable) this.#socket.end(element(tag.sequence, integer(++this.#lastId), Buffer.from([0x42, 0])))
    this.#socket.unref()
  }

  /** Waits unused, and does not keep the process; `gone` is told when that has been long enough, or the directory closes. */
  rest(ms: number, gone: () => void): void {
    this.#socket.unref()
    this.#resting = setTimeout(() => {
      gone()
      this.close()
    }, ms).unref()
    this.#socket.once('close', gone)
  }

  wake(): void {
    clearTimeout(this.#resting)
    this.#socket.ref()
  }

  #ask(request: Buffer, answerTag: number): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (!this.isOpen) return reject(new Error('the directory closed the connection'))
      const id = ++this.#lastId
      const timer = setTimeout(() => this.#socket.destroy(new Error('the directory does not answer')), this.#timeoutMs)
      const over = () => {
        clearTimeout(timer)
        this.#waiting = undefined
      }
      this.#waiting = {
        id,
        tag: answerTag,
        resolve: (result) => (over(), resolve(result)),
        reject: (error) => (over(), reject(error)),
      }
      this.#socket.write(element(tag.sequence, integer(id), request))
    })
  }

  #receive(bytes: Buffer): void {
    try {
      this.#received = Buffer.concat([this.#received, bytes])
      for (;;) {
        const message = read(this.#received, 0, longestMessage)
        if (!message) return
        this.#received = this.#received.subarray(message.end)
        this.#answered(message.content)
      }
    } catch (error) {
      this.#socket.destroy(error as Error)
    }
  }

  #answered(message: Buffer): void {
    const [id, answer] = readAll(message)
    const waiting = this.#waiting
    if (!waiting || !id || !answer || answer.tag !== waiting.tag || idOf(id.content) !== waiting.id)
      throw new Error('the directory answered what nobody asked')
    const [code, , message_] = readAll(answer.content)
    if (code?.tag !== tag.enumerated) throw new Error('the directory answered without a result')
    waiting.resolve({ code: idOf(code.content), message: message_?.content.toString('utf8') ?? '' })
  }

  #fail(error: Error): void {
    this.isOpen = false
    this.#waiting?.reject(error)
  }
}

const idOf = (content: Buffer): number =>
  content.length === 0 || content.length > 4 ? -1 : content.readIntBE(0, content.length)
