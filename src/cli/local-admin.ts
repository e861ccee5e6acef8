/** The Admin API of the gateway that runs on a prefix, by the socket that only the prefix's owner reaches. */
import { request as httpRequest } from 'node:http'
import { adminSocket } from '../config/settings.ts'

export interface LocalAnswer {
  readonly status: number
  /** The body as JSON; empty where there is none. */
  readonly body: Readonly<Record<string, unknown>>
}

// Sealing millions of entities anew takes minutes.
const defaultTimeoutMs = 3_600_000

/** Sends one request; rejects where nobody answers, within `timeoutMs`. */
export function askLocally(
  prefix: string,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  { body, timeoutMs = defaultTimeoutMs }: { readonly body?: object; readonly timeoutMs?: number } = {},
): Promise<LocalAnswer> {
  const text = body === undefined ? '' : JSON.stringify(body)
  const headers = {
    Host: 'localhost',
    'Content-Length': Buffer.byteLength(text),
    ...(body && { 'Content-Type': 'application/json' }),
  }
  return new Promise((resolve, reject) => {
    const options = { socketPath: adminSocket(prefix), method, path, headers, timeout: timeoutMs, agent: false }
    const request = httpRequest(options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const answer = Buffer.concat(chunks).toString('utf8')
        const parsed = answer === '' ? {} : (JSON.parse(answer) as Record<string, unknown>)
        resolve({ status: response.statusCode ?? 0, body: parsed })
      })
    })
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)))
    request.on('error', reject)
    request.end(text)
  })
}
