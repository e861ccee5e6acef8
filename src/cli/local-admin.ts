/** The Admin API of the gateway that runs on a prefix, by the socket that only the prefix's owner reaches. */
import { request as httpRequest } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { adminSocket } from '../config/settings.ts'

export interface LocalAnswer {
  readonly status: number
  /** The body as JSON; empty where there is none. */
  readonly body: Readonly<Record<string, unknown>>
}

// Sealing millions of entities anew takes minutes.
const defaultTimeoutMs = 3_600_000

/** While a gateway starts, or one takes another's place, there may be no socket for a moment. */
const mostTries = 20
const againMs = 100

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

interface AskOptions {
  readonly body?: object
  readonly timeoutMs?: number
}

/** Sends one request; rejects where nobody answers, within `timeoutMs`. */
export async function askLocally(
  prefix: string,
  method: Method,
  path: string,
  options: AskOptions = {},
): Promise<LocalAnswer> {
  for (let triesLeft = mostTries; ; triesLeft--) {
    try {
      return await askOnce(prefix, method, path, options)
    } catch (error) {
      const isAbsent = ['ENOENT', 'ECONNREFUSED'].includes((error as NodeJS.ErrnoException).code ?? '')
      if (!isAbsent || triesLeft === 0) throw error
      await wait(againMs)
    }
  }
}

function askOnce(
  prefix: string,
  method: Method,
  path: string,
  { body, timeoutMs = defaultTimeoutMs }: AskOptions,
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
        resolve({ status: response.statusCode ?? 0, body: bodyOf(answer) })
      })
    })
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)))
    request.on('error', reject)
    request.end(text)
  })
}

/** What the server behind the Admin API says by itself, such as that a request came too slowly, is no JSON. */
function bodyOf(text: string): LocalAnswer['body'] {
  if (text === '') return {}
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return { message: text }
  }
}
