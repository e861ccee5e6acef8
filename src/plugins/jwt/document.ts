/** Fetching a small JSON document from an identity provider, with a bound on everything. */
import { get as getHttp, type IncomingMessage } from 'node:http'
import { get as getHttps } from 'node:https'

export interface Document {
  readonly value: unknown
  /** How long it may be used without asking again, in ms; undefined where the answer does not say. */
  readonly maxAgeMs: number | undefined
}

const timeoutMs = 10_000
const longest = 512 * 1024

/** Gets a document. Rejects, saying why in words for the operator, for anything but 200 with JSON; redirections are not followed. */
export function getDocument(url: string, ca: string | undefined): Promise<Document> {
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
  const signal = AbortSignal.timeout(timeoutMs)
  const options = { headers: { Accept: 'application/json' }, agent: false, signal }
  const request = url.startsWith('https:')
    ? getHttps(url, { ...options, ...(ca === undefined ? {} : { ca }) }, answered)
    : getHttp(url, options, answered)
  request.on('error', (error) => reject(signal.aborted ? new Error(`no answer within ${timeoutMs / 1000} s`) : error))
  return promise
}

function maxAgeOf({ headers }: IncomingMessage): number | undefined {
  const [, seconds] = /(?:^|[\s,])max-age=(\d{1,9})/.exec(headers['cache-control'] ?? '') ?? []
  return seconds === undefined ? undefined : Number(seconds) * 1000
}
