/** Clients' connections, as a steady load needs them: what is asked on each, and what became of it. */
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'

export const protocols = ['HTTP/1.1', 'HTTP/2', 'HTTP/2 over TLS'] as const
export type Protocol = (typeof protocols)[number]

export type Outcome =
  | { readonly lost: string }
  /** This end has not sent it, since the other one had just gone away. */
  | 'unsent'
  /** It has not been taken, or may be repeated and nothing of an answer came. A client asks again. */
  | 'untaken'
  | { readonly status: number; readonly body: string }

export interface Connection {
  /** Whether a request can be sent now. */
  readonly isFree: boolean
  /** Asks for a path; where that is the last request, the connection is ended with it. */
  ask(path: string, isLast: boolean, done: (outcome: Outcome) => void): void
  close(): void
}

/** What a connection tells of itself. */
export interface Events {
  readonly onClose: () => void
  /** The handshake of TLS is over, with the common name of the certificate that was shown. */
  readonly onHandshake: (commonName: string) => void
}

/** The name that clients ask for. */
export const host = 'steady.test'

export const connect: Readonly<Record<Protocol, (port: number, events: Events) => Connection>> = {
  'HTTP/1.1': (port, { onClose }) => new Http1Connection(port, onClose),
  'HTTP/2': (port, { onClose }) => new Http2Connection(http2.connect(`http://127.0.0.1:${port}`), onClose),
  'HTTP/2 over TLS': (port, { onClose, onHandshake }) => {
    const options = { port, host: '127.0.0.1', servername: host, rejectUnauthorized: false, ALPNProtocols: ['h2'] }
    const socket = tls
      .connect(options)
      .on('secureConnect', () => onHandshake(String(socket.getPeerCertificate().subject.CN)))
    return new Http2Connection(http2.connect(`https://${host}`, { createConnection: () => socket }), onClose)
  },
}

const reasonOf = (error: NodeJS.ErrnoException): string => error.code ?? error.message

/** One request under way at a time. */
class Http1Connection implements Connection {
  readonly #socket: net.Socket
  #text = ''
  #done: ((outcome: Outcome) => void) | undefined
  #wasUsed = false
  #isOver = false

  constructor(port: number, onClose: () => void) {
    let reason = 'the connection ended'
    this.#socket = net
      .connect({ port, host: '127.0.0.1', noDelay: true })
      .on('data', (bytes: Buffer) => this.#read(bytes.toString('latin1')))
      .on('end', () => (this.#isOver = true))
      .on('error', (error) => (reason = reasonOf(error)))
      .on('close', () => {
        this.#isOver = true
        onClose()
        const isBegun = this.#text !== ''
        // RFC 9110 9.2.2: a kept connection may be closed just as a request is sent, and this one may be repeated.
        this.#finish(this.#wasUsed && !isBegun ? 'untaken' : { lost: `${reason}${isBegun ? ' within an answer' : ''}` })
      })
  }

  get isFree(): boolean {
    return !this.#isOver && this.#done === undefined
  }

  ask(path: string, isLast: boolean, done: (outcome: Outcome) => void): void {
    this.#done = done
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${isLast ? 'Connection: close\r\n' : ''}\r\n`,
      'latin1',
    )
  }

  #read(text: string): void {
    this.#text += text
    const head = this.#text.indexOf('\r\n\r\n')
    if (head < 0) return
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(this.#text)?.[1])
    if (this.#text.length < head + 4 + length) return
    const status = Number(this.#text.slice(9, 12))
    if (/\r\nconnection: close\r\n/i.test(this.#text)) this.close()
    const body = this.#text.slice(head + 4)
    this.#text = ''
    this.#wasUsed = true
    this.#finish({ status, body })
  }

  #finish(outcome: Outcome): void {
    const done = this.#done
    this.#done = undefined
    done?.(outcome)
  }

  close(): void {
    this.#isOver = true
    this.#socket.end()
  }
}

/** Fewer than a gateway takes, so that none waits here. */
const mostStreams = 64

/** Many requests under way at a time. One that is told to go away finishes what it has. */
class Http2Connection implements Connection {
  readonly #session: http2.ClientHttp2Session
  #underWay = 0
  #reason = ''

  constructor(session: http2.ClientHttp2Session, onClose: () => void) {
    this.#session = session
      .on('error', (error) => (this.#reason = `, ${reasonOf(error)}`))
      // The other end may end the connection, or begin to, before its last words are read.
      .on('goaway', (code) => (this.#reason = `, told to go away with ${code}`))
      .on('close', onClose)
  }

  get isFree(): boolean {
    return !this.#session.closed && !this.#session.destroyed && this.#underWay < mostStreams
  }

  ask(path: string, isLast: boolean, done: (outcome: Outcome) => void): void {
    this.#underWay++
    let status = 0
    let body = ''
    let isWhole = false
    let isSent = true
    const stream = this.#session.request({ ':path': path, ':authority': host })
    stream
      .setEncoding('latin1')
      .on('response', (headers) => (status = Number(headers[':status'])))
      .on('data', (text: string) => (body += text))
      .on('end', () => (isWhole = true))
      .on('error', () => {})
      .on('frameError', () => (isSent = false))
      .on('close', () => {
        this.#underWay--
        if (isLast) this.close()
        if (isWhole && status > 0) done({ status, body })
        else if (!isSent) done('unsent')
        // RFC 9113 8.7: it has not been processed.
        else if (stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM) done('untaken')
        else done({ lost: `the stream ended with ${stream.rstCode}${this.#reason}` })
      })
  }

  close(): void {
    this.#session.close()
  }
}
