/** Fetching a small JSON document from an identity provider, with a bound on everything. */
import { type Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { type Agent as HttpsAgent, request as requestHttps } from 'node:https'

export interface Document {
  readonly value: unknown
  /** How long it may be used without asking again, in ms; undefined where the answer does not say. */
  readonly maxAgeMs: number | undefined
}

export interface FetchOptions {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** The authorities (PEM) that the server's certificate is checked against; undefined for Node's own. */
  readonly ca: string | undefined
  /** The connections to use; new ones where it is left out. */
  readonly agent?: HttpAgent | HttpsAgent
  readonly timeoutMs?: number
  /** Calls the request off. */
  readonly signal?: AbortSignal
  /** The most bytes that are read. */
  readonly longest?: number
}

const usualTimeoutMs = 10_000
const usualLongest = 512 * 1024

/** Gets a document. Rejects, saying why in words for the operator, for anything but 200 with JSON; redirections are not followed. */
export const getDocument = (url: string, ca: string | undefined): Promise<Document> => fetchDocument(url, { ca })

/** The same with whatever request. */
export function fetchDocument(
  url: string,
  {
    method = 'GET',
    headers,
    body,
    ca,
    agent,
    timeoutMs = usualTimeoutMs,
    signal: off,
    longest = usualLongest,
  }: FetchOptions,
): Promise<Document> {
  const { promise, resolve, reject } = Promise.withResolvers<Document>()
  const answered = (response: IncomingMessage): void => {
    const chunks: Buffer[] = []
    let size = 0
    response.on('error', reject)
    response.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > longest) response.destroy(new Error(`it is longer than ${longest / 1024} KiB`))
      else chunks.push(chunk)
    })
    response.on('end', () => {
      if (response.statusCode !== 200) return reject(new Error(`it answers ${response.statusCode}`))
      try {
        resolve({ value: JSON.parse(Buffer.concat(chunks).toString('utf8')), maxAgeMs: maxAgeOf(response) })
      } catch {
        reject(new Error('it is no JSON'))
      }
    })
  }
  const late = AbortSignal.timeout(timeoutMs)
  const signal = off ? AbortSignal.any([late, off]) : late
  const options = { method, headers: { Accept: 'application/json', ...headers }, agent: agent ?? false, signal }
  const request = url.startsWith('https:')
    ? requestHttps(url, { ...options, ...(ca === undefined ? {} : { ca }) }, answered)
    : requestHttp(url, options, answered)
  request.on('error', (error) => reject(late.aborted ? new Error(`no answer within ${timeoutMs / 1000} s`) : error))
  request.end(body)
  return promise
}

function maxAgeOf({ headers }: IncomingMessage): number | undefined {
  const [, seconds] = /(?:^|[\s,])max-age=(\d{1,9})/.exec(headers['cache-control'] ?? '') ?? []
  return seconds === undefined ? undefined : Number(seconds) * 1000
}
