/** The two ends of a wire for tests: clients and upstreams that say exactly the bytes they are told to. */
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'

export interface Client {
  readonly socket: net.Socket
  readonly send: (bytes: string | Uint8Array) => void
  /** What came so far, one character a byte. */
  readonly text: () => string
  readonly until: (pattern: RegExp) => Promise<void>
  /** Resolves when the gateway has ended the connection, whichever way. */
  readonly closed: () => Promise<void>
}

/** A client's connection that gathers what it is sent. */
export const client = (port: number): Client => gathering(net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }))

/** The same over TLS. */
export const secureClient = (port: number, options: tls.ConnectionOptions = {}): Client =>
  gathering(tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }))

function gathering(socket: net.Socket): Client {
  let text = ''
  socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1'))).on('error', () => {})
  return {
    socket,
    send: (bytes) => void (typeof bytes === 'string' ? socket.write(bytes, 'latin1') : socket.write(bytes)),
    text: () => text,
    until: (pattern) =>
      until(
        () => pattern.test(text),
        () => `${pattern} in ${JSON.stringify(text.slice(-400))}`,
      ),
    closed: () =>
      until(
        () => socket.destroyed || socket.readableEnded,
        () => 'the connection to close',
      ),
  }
}

/** Waits until something is so; a machine that is busy with other tests may take its time. */
export async function until(isSo: () => boolean, what: () => string): Promise<void> {
  for (let left = 4000; !isSo(); left--) {
    if (left === 0) throw new Error(`waited in vain for ${what()}`)
    await pause(5)
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** What an upstream does with a connection. */
export type Serve = (socket: Duplex) => void

export interface Upstream {
  readonly port: number
  /** What is done with new connections; each test sets its own. */
  serve: Serve
  /** How many connections were made so far. */
  connections: number
  /** Those that are open. */
  readonly sockets: ReadonlySet<net.Socket>
  /** Cuts every connection, so that none that waits in a pool serves as an earlier test wanted. */
  cut(): void
  close(): void
}

/** An upstream on a free port of 127.0.0.1; with TLS where options for it are given. */
export async function startUpstream(secure?: tls.TlsOptions): Promise<Upstream> {
  const sockets = new Set<net.Socket>()
  const accept = (socket: net.Socket) => {
    sockets.add(socket)
    upstream.connections++
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    upstream.serve(socket)
  }
  const server = secure
    ? tls.createServer({ allowHalfOpen: true, ...secure }, accept)
    : net.createServer({ allowHalfOpen: true }, accept)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const upstream: Upstream & { connections: number } = {
    port: (server.address() as net.AddressInfo).port,
    serve: () => {},
    connections: 0,
    sockets,
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    close() {
      server.close()
      this.cut()
    },
  }
  return upstream
}

/** A request as it came on the wire; each character of a text is one byte. */
export interface Received {
  /** The head up to and including the empty line. */
  readonly head: string
  readonly body: string
  /** Trailer lines of a chunked body. */
  readonly trailers: string
}

/** Calls back for each request on a connection, read one after the other; ends the connection when the peer does. */
export function onRequests(answer: (request: Received, socket: Duplex) => void): Serve {
  return (socket) => {
    let text = ''
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1')
      for (let request = readRequest(text); request; request = readRequest(text)) {
        text = text.slice(request.length)
        answer(request, socket)
      }
    })
    socket.on('end', () => socket.end())
  }
}

function readRequest(text: string): (Received & { length: number }) | undefined {
  const end = text.indexOf('\r\n\r\n') + 4
  if (end < 4) return undefined
  const head = text.slice(0, end)
  if (/\r\ntransfer-encoding: chunked\r\n/i.test(head)) return readChunked(text, head)
  const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1] ?? 0)
  if (text.length < end + length) return undefined
  return { head, body: text.slice(end, end + length), trailers: '', length: end + length }
}

function readChunked(text: string, head: string): (Received & { length: number }) | undefined {
  let body = ''
  for (let at = head.length; ;) {
    const line = text.indexOf('\r\n', at)
    if (line < 0) return undefined
    if (!/^[0-9a-f]+$/.test(text.slice(at, line))) throw new Error(`not a chunk: ${text.slice(at, at + 80)}`)
    const size = Number.parseInt(text.slice(at, line), 16)
    if (size === 0) {
      const end = text.indexOf('\r\n\r\n', line)
      if (end < 0) return undefined
      return { head, body, trailers: text.slice(line + 2, Math.max(line + 2, end + 2)), length: end + 4 }
    }
    if (text.length < line + 4 + size) return undefined
    body += text.slice(line + 2, line + 2 + size)
    at = line + 4 + size
  }
}

/** The text of a request for `path`. */
export const request = (path: string, ...lines: readonly string[]): string =>
  [`GET ${path} HTTP/1.1`, 'Host: a.test', ...lines, '', ''].join('\r\n')

/** A whole response with a body. */
export const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`

/** Answers each request with its own target. */
export const echoTargets: Serve = onRequests(({ head }, socket) => {
  socket.write(ok(head.split(' ')[1] ?? ''))
})

/** Files of this process that have no name any more, below a folder. */
export const unnamedFiles = (folder: string): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`)
      return path.startsWith(folder) && path.endsWith('(deleted)')
    } catch {
      return false
    }
  }).length
