/** What goes over the wire in a run. */
import type { Instructions } from './instructions.ts'

const body = JSON.stringify({ message: 'as short as the answers of many services are', padding: 'x'.repeat(60) })

const answerWith = (text: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`

/** The upstream's answer where nothing else is asked for. */
export const upstreamAnswer = answerWith(body)

/** What that answer of every subject ends with. */
export const answerBody = body

/** Every answer's last bytes, however long it is. */
export const answerTail = Buffer.from(body.slice(-8), 'latin1')

/** The upstream's answer with a body of so many bytes. */
export const upstreamAnswerOf = (bytes: number): Buffer =>
  Buffer.from(answerWith(answerTail.toString('latin1').padStart(bytes, 'x')), 'latin1')

/** The path below a subject's own that asks for a body of so many bytes. */
export const pathOfSize = (path: string, bytes: number): string =>
  bytes === body.length ? path : `${path}/down/${bytes}`

/** How many bytes a request's head asks for; undefined for the usual answer. */
export function sizeAsked(head: string): number | undefined {
  const size = /^[A-Z]+ \S*\/down\/(\d{1,9}) /.exec(head)?.[1]
  return size === undefined ? undefined : Number(size)
}

/** A request as curl would send it, with a token; with a body of `bytes` the head alone. */
export function requestWith(path: string, [name, value]: readonly [name: string, value: string], bytes = 0): string {
  const framing = bytes > 0 ? `Content-Type: application/octet-stream\r\nContent-Length: ${bytes}\r\n` : ''
  return `${bytes > 0 ? 'POST' : 'GET'} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: gibbon-bench\r\nAccept: */*\r\n${framing}${name}: ${value}\r\n\r\n`
}

/** What the load generator is asked for. */
export interface Job {
  /** The gateway's process. */
  readonly pid: number
  readonly port: number
  readonly seconds: number
  /** Whether instructions are counted. */
  readonly instructions: boolean
  /** Time before counting begins, and how many requests must have been answered meanwhile, in at most `mostWarmUpSeconds`. */
  readonly warmUpSeconds: number
  readonly warmUpRequests?: number
  readonly connections: number
  /** Requests under way at a time on each connection, which then speaks HTTP/2; else one, in HTTP/1.1. */
  readonly streams?: number
  /** Request texts; the connections take them in turn, and keep them. */
  readonly requests: readonly string[]
  /** Bytes of body that follow each request's head. */
  readonly bodyBytes?: number
  readonly tls?: boolean
  /** Requests a second, sent when their time has come, whether answers have or not; else each connection asks again once answered. */
  readonly perSecond?: number
  /** In place of `requests`: each request with another token, in turn. */
  readonly distinct?: Distinct
  readonly flood?: Flood
}

/** Good traffic of many tokens; see `oneOfMany`. */
export interface Distinct {
  readonly path: string
  readonly count: number
  readonly owners: number
  readonly secret: string
}

/** Bad traffic beside the good: every request with a token that was never sent before. */
export interface Flood {
  readonly kind: 'unknown key' | 'bad signature'
  readonly connections: number
  readonly path: string
  readonly algorithm: string
  /** The key (`iss`) of an existing credential, for bad signatures. */
  readonly key: string
  /** A well-formed signature that fits no token. */
  readonly signature: string
}

/** What came of a job. Counts are of the time that was measured. */
export interface Outcome {
  readonly seconds: number
  /** Good requests answered with 200 and the whole body. */
  readonly good: number
  /** Flood requests refused with 401. */
  readonly refused: number
  /** Anything else, with what it was: a run with one of these is worth nothing. */
  readonly wrong: number
  readonly firstWrong: string | null
  readonly cpuSeconds: number
  readonly residentBytesBefore: number
  readonly residentBytesAfter: number
  /** That the gateway's processes ran; null where they could not be counted. */
  readonly instructions: Instructions | null
  /** How long answers took from when their requests were due, in ms; null where requests are sent without a plan. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly p999: number } | null
}
