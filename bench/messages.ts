/** What goes over the wire in a run. */

import type { Instructions } from './instructions.ts'

const body = JSON.stringify({ message: 'as short as the answers of many services are', padding: 'x'.repeat(60) })

/** The upstream's answer. */
export const upstreamAnswer = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`

/** What the answer of every subject ends with. */
export const answerBody = body

/** A request as curl would send it, with a token. */
export const requestWith = (path: string, [name, value]: readonly [name: string, value: string]): string =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: gibbon-bench\r\nAccept: */*\r\n${name}: ${value}\r\n\r\n`

/** What the load generator is asked for. */
export interface Job {
  /** The gateway's process. */
  readonly pid: number
  readonly port: number
  readonly seconds: number
  /** Time before counting begins. */
  readonly warmUpSeconds: number
  readonly connections: number
  /** Request texts; the connections take them in turn, and keep them. */
  readonly requests: readonly string[]
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
}
