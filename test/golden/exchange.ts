/** The two ends of a recorded exchange: a client that sends bytes as they were sent, and an upstream that answers as it did. */
import net from 'node:net'

export type Header = readonly [name: string, value: string]

export interface Reply {
  readonly status?: number
  readonly reason?: string
  readonly headers?: readonly Header[]
  readonly body?: string
  readonly bodyB64?: string
  readonly chunked?: boolean
  readonly delayMs?: number
  readonly close?: 'reset' | 'early' | 'partial' | 'silent'
  readonly raw?: string
}

/** A request as the upstream got it; each character of a text is one byte. */
export interface Seen {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly headers: readonly Header[]
  readonly body: string
  /** The body that was sent back. */
  sent: string
}

export interface Upstream {
  readonly port: number
  seen: Seen[]
  replies: readonly Reply[]
  close(): void
}

/** An upstream on a free port; the last of `replies` is given again and again. */
export async function startUpstream(): Promise<Upstream> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
      const request = readRequest(text)
      if (!request) return
      text = ''
      upstream.seen.push(request)
      const reply = upstream.replies[Math.min(upstream.seen.length, upstream.replies.length) - 1] ?? {}
      setTimeout(() => answer(socket, request, reply), reply.delayMs ?? 0)
    })
    socket.on('end', () => socket.end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const upstream: Upstream = {
    port: (server.address() as net.AddressInfo).port,
    seen: [],
    replies: [],
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
  return upstream
}

function readRequest(text: string): Seen | undefined {
  const head = readHead(text)
  if (!head) return undefined
  const body = readBody(head.headers, text.slice(head.end), 0)
  if (!body?.complete) return undefined
  const [, method = '', target = '', version = ''] = /^(\S+) (.*) HTTP\/(\S+)$/.exec(head.first) ?? []
  return { method, target, version, headers: head.headers, body: body.text, sent: '' }
}

function answer(socket: net.Socket, request: Seen, reply: Reply): void {
  if (reply.close === 'silent') return
  if (reply.close === 'reset') return void socket.resetAndDestroy()
  if (reply.close === 'early') return void socket.end()
  if (reply.raw !== undefined) return void socket.end(reply.raw, 'latin1')
  const status = reply.status ?? 200
  const given = reply.bodyB64 === undefined ? reply.body : Buffer.from(reply.bodyB64, 'base64').toString('latin1')
  const body = given ?? JSON.stringify(request)
  request.sent = body
  const headers: Header[] = [...(reply.headers ?? [])]
  if (given === undefined && !reply.headers) headers.push(['Content-Type', 'application/json'], ['X-Echo', '1'])
  if (reply.chunked) headers.push(['Transfer-Encoding', 'chunked'])
  else if (status !== 204) headers.push(['Content-Length', String(body.length + (reply.close === 'partial' ? 50 : 0))])
  headers.push(['Connection', 'close'])
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.write(`HTTP/1.1 ${status} ${reply.reason ?? 'X'}\r\n${lines}\r\n`, 'latin1')
  if (request.method === 'HEAD' || status === 204 || status === 304) return void socket.end()
  if (reply.close === 'partial') return void socket.write(body, 'latin1', () => setTimeout(() => socket.destroy(), 40))
  socket.end(reply.chunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body, 'latin1')
}

export interface Response {
  readonly status: number
  readonly headers: readonly Header[]
  readonly body: string
  readonly complete: boolean
}

export interface Got {
  readonly raw: string
  readonly interim: readonly number[]
  readonly response: Response | undefined
}

/** Sends bytes, piece by piece, and reads one response. */
export function exchange(port: number, parts: readonly string[], isHead: boolean, timeoutMs: number): Promise<Got> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    let raw = ''
    const done = (closed: boolean) => {
      const got = readResponse(raw, isHead, closed)
      if (!closed && !got.response?.complete) return
      clearTimeout(timer)
      socket.destroy()
      resolve({ raw, ...got })
    }
    const timer = setTimeout(() => done(true), timeoutMs)
    socket.on('data', (bytes) => {
      raw += bytes.toString('latin1')
      done(false)
    })
    socket.on('error', () => {}).on('close', () => done(true))
    socket.on('connect', () => {
      parts.forEach((part, at) => setTimeout(() => !socket.destroyed && socket.write(part, 'latin1'), at * 50))
    })
  })
}

function readResponse(text: string, isHead: boolean, closed: boolean): Omit<Got, 'raw'> {
  const interim: number[] = []
  for (;;) {
    const head = readHead(text)
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head?.first ?? '')?.[1])
    if (!head || Number.isNaN(status)) return { interim, response: undefined }
    text = text.slice(head.end)
    if (status < 200) {
      interim.push(status)
      continue
    }
    const bodiless = isHead || status === 204 || status === 304
    const body = bodiless ? { text: '', complete: true } : readBody(head.headers, text, undefined)
    const complete = body.complete ?? closed
    return { interim, response: { status, headers: head.headers, body: body.text, complete } }
  }
}

function readHead(text: string) {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = lines.map((line): Header => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  return { first, headers, end: end + 4 }
}

export const valuesOf = (headers: readonly Header[], name: string): string[] =>
  headers.filter(([other]) => other.toLowerCase() === name.toLowerCase()).map(([, value]) => value)

/** `complete` is undefined where only the connection's end tells. */
function readBody(headers: readonly Header[], text: string, otherwise: number | undefined) {
  if (valuesOf(headers, 'transfer-encoding').length > 0) return readChunks(text)
  const length = valuesOf(headers, 'content-length')[0] ?? otherwise
  if (length === undefined) return { text, complete: undefined }
  return { text: text.slice(0, Number(length)), complete: text.length >= Number(length) }
}

function readChunks(text: string): { text: string; complete: boolean } {
  let body = ''
  for (let at = 0; ; ) {
    const line = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, line), 16)
    if (line < 0 || Number.isNaN(size)) return { text: body, complete: false }
    if (size === 0) return { text: body, complete: text.indexOf('\r\n\r\n', at) >= 0 }
    body += text.slice(line + 2, line + 2 + size)
    at = line + 4 + size
  }
}
