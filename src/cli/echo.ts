/** `gibbon echo`: a small server that tells what it was sent, for trying a gateway without the internet. Its answers have the shape of httpbin.org's. */
import { once } from 'node:events'
import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import { type AddressInfo, isIPv6 } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { type Command, exitStatus } from './command.ts'

/** A running echo server. */
export interface Echo {
  readonly port: number
  /** `http://host:port`, without a final slash. */
  readonly url: string
  /** Ends it and every connection to it. */
  close(): Promise<void>
}

/** Starts an echo server; port 0 takes a free one. Rejects when it cannot listen. */
export async function startEcho({ port = 0, host = '127.0.0.1' } = {}): Promise<Echo> {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  // Longer than a gateway keeps an idle connection, so that it never sends a request into one that is closing.
  server.keepAliveTimeout = 120_000
  server.listen(port, host)
  await once(server, 'listening')
  const { port: boundPort } = server.address() as AddressInfo
  const close = async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  return { port: boundPort, url: `http://${isIPv6(host) ? `[${host}]` : host}:${boundPort}`, close }
}

export const command: Command = {
  name: 'echo',
  summary: 'Run a small HTTP server that answers with what it was sent',
  usage: `echo [options]

/anything[/...]  the request as JSON: method, url, args, headers, origin, data, form, json
/get /post /put /patch /delete  the same, for that method only
/headers  the request's headers
/status/CODE  an empty answer with that status, 200 to 599
/delay/SECONDS  as /anything, after up to 10 seconds
/stream/N  N lines of JSON, chunked, 100 at most
/bytes/N  N bytes; /stream-bytes/N the same, chunked`,
  options: {
    port: { type: 'string', help: 'port to listen on (default 8080, 0 takes a free one)', value: 'PORT' },
    host: { type: 'string', help: 'address to listen on (default 127.0.0.1)', value: 'ADDRESS' },
  },
  async run({ values, stdout, stderr, json }) {
    const port = String(values['port'] ?? '8080')
    if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
      stderr.write(`gibbon echo: --port must be a number from 0 to 65535, not "${port}"\n`)
      return exitStatus.usage
    }
    try {
      const echo = await startEcho({ port: Number(port), host: String(values['host'] ?? '127.0.0.1') })
      stdout.write(json ? `${JSON.stringify({ url: echo.url, port: echo.port })}\n` : `listening on ${echo.url}\n`)
      await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
      await echo.close()
      return exitStatus.done
    } catch (error) {
      stderr.write(`gibbon echo: ${(error as Error).message}\n`)
      return exitStatus.failed
    }
  },
}

interface Visit {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
  /** What stands behind the first segment of the path, decoded by nobody. */
  readonly rest: string
}

const mostDelaySeconds = 10
const mostLines = 100
const mostBytes = 100 * 2 ** 30
const mostEchoedBytes = 10 * 2 ** 20

type Handler = (visit: Visit) => Promise<void> | void

const handlers: Readonly<Record<string, Handler>> = {
  '': ({ response }) => sendJson(response, 200, { gibbon: 'echo', paths: Object.keys(handlers).slice(1) }),
  anything: sendAccount,
  get: only('GET'),
  post: only('POST'),
  put: only('PUT'),
  patch: only('PATCH'),
  delete: only('DELETE'),
  headers: ({ request, response }) => sendJson(response, 200, { headers: headersOf(request) }),
  status: sendStatus,
  delay: sendLate,
  stream: sendLines,
  bytes: (visit) => sendBytes(visit, true),
  'stream-bytes': (visit) => sendBytes(visit, false),
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.on('error', () => {})
  const target = request.url ?? '/'
  const mark = target.indexOf('?')
  const path = (mark === -1 ? target : target.slice(0, mark)).replace(/^https?:\/\/[^/]*/, '')
  const [, first = '', rest = ''] = /^\/+([^/]*)\/?(.*)$/.exec(path) ?? []
  const query = new URLSearchParams(mark === -1 ? '' : target.slice(mark + 1))
  const handler = Object.hasOwn(handlers, first) ? handlers[first] : undefined
  if (!handler) return sendJson(response, 404, { message: 'Not found' })
  await handler({ request, response, query, rest })
}

function only(method: string): Handler {
  return (visit) => {
    if (visit.request.method === method) return sendAccount(visit)
    visit.response.setHeader('Allow', method)
    sendJson(visit.response, 405, { message: 'Method not allowed' })
  }
}

async function sendAccount({ request, response, query }: Visit): Promise<void> {
  const body = await readBody(request)
  if (!body) return sendJson(response, 413, { message: 'Body too large to be echoed' })
  const isForm = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false
  sendJson(response, 200, {
    args: grouped(query),
    data: isForm ? '' : textOf(body),
    files: {},
    form: isForm ? grouped(new URLSearchParams(body.toString('utf8'))) : {},
    headers: headersOf(request),
    json: parsed(body),
    method: request.method,
    origin: first(request.headers, 'x-forwarded-for') ?? request.socket.remoteAddress,
    url: urlOf(request),
  })
}

function sendStatus({ request, response, rest }: Visit): void {
  request.resume()
  const status = Number(rest)
  if (!/^[2-5]\d\d$/.test(rest)) return sendJson(response, 400, { message: 'Status must be 200 to 599' })
  response.writeHead(status, status === 204 || status === 304 ? {} : { 'Content-Length': 0 }).end()
}

async function sendLate(visit: Visit): Promise<void> {
  const seconds = Number(visit.rest)
  if (!/^\d+(\.\d+)?$/.test(visit.rest)) return sendJson(visit.response, 400, { message: 'Delay must be a number' })
  const gone = new AbortController()
  visit.response.on('close', () => gone.abort())
  await wait(Math.min(seconds, mostDelaySeconds) * 1000, undefined, { signal: gone.signal })
  await sendAccount(visit)
}

async function sendLines({ request, response, rest }: Visit): Promise<void> {
  request.resume()
  const lines = Math.min(wholeNumber(rest || '10') ?? 10, mostLines)
  const account = { url: urlOf(request), headers: headersOf(request) }
  response.setHeader('Content-Type', 'application/json')
  await pipeline(
    Readable.from(Array.from({ length: lines }, (_, id) => `${JSON.stringify({ id, ...account })}\n`)),
    response,
  )
}

async function sendBytes({ request, response, rest }: Visit, withLength: boolean): Promise<void> {
  request.resume()
  const bytes = wholeNumber(rest)
  if (bytes === undefined || bytes > mostBytes) {
    return sendJson(response, 400, { message: `Bytes must be a number up to ${mostBytes}` })
  }
  response.setHeader('Content-Type', 'application/octet-stream')
  if (withLength) response.setHeader('Content-Length', bytes)
  if (request.method === 'HEAD') return void response.end()
  await pipeline(Readable.from(pieces(bytes), { objectMode: false }), response)
}

// The same bytes each time, so that a test can tell that none was lost or moved.
const pattern = Buffer.from(Array.from({ length: 65_536 }, (_, index) => (index * 31 + (index >> 8)) & 0xff))

function* pieces(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= pattern.length)
    yield left < pattern.length ? pattern.subarray(0, left) : pattern
}

/** The request's body; undefined when it is too large, with the rest of it read and dropped. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length
    if (size <= mostEchoedBytes) pieces.push(piece)
    else pieces.length = 0
  }
  return size <= mostEchoedBytes ? Buffer.concat(pieces) : undefined
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = `${JSON.stringify(value, null, 2)}\n`
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

// Spelled as received, since how a gateway spells them is worth seeing.
function headersOf(request: IncomingMessage): Record<string, string> {
  const headers = new Map<string, string>()
  const spelling = new Map<string, string>()
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const [name = '', value = ''] = request.rawHeaders.slice(index, index + 2)
    const spelled = spelling.get(name.toLowerCase()) ?? name
    spelling.set(name.toLowerCase(), spelled)
    const before = headers.get(spelled)
    headers.set(spelled, before === undefined ? value : `${before},${value}`)
  }
  return Object.fromEntries(headers)
}

function grouped(pairs: URLSearchParams): Record<string, string | string[]> {
  const names = [...new Set(pairs.keys())]
  return Object.fromEntries(
    names.map((name) => {
      const values = pairs.getAll(name)
      return [name, values.length === 1 ? (values[0] ?? '') : values]
    }),
  )
}

function textOf(body: Buffer): string {
  const text = body.toString('utf8')
  return Buffer.from(text, 'utf8').equals(body)
    ? text
    : `data:application/octet-stream;base64,${body.toString('base64')}`
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch {
    return null
  }
}

function urlOf(request: IncomingMessage): string {
  const scheme = first(request.headers, 'x-forwarded-proto') ?? 'http'
  return `${scheme}://${request.headers.host ?? ''}${request.url ?? ''}`
}

function first(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

const wholeNumber = (text: string): number | undefined => (/^\d{1,15}$/.test(text) ? Number(text) : undefined)
