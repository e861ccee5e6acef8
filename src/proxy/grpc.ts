/**
 * What gRPC adds to HTTP: which requests are calls, how long they may take, and how the gateway's own answers are told.
 * Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md; the statuses and messages are Kong's.
 */
import type { Answer } from '../pdk/kong.ts'
import type { GatewayError } from './answers.ts'
import { idOf } from './http1/fields.ts'
import { firstById, firstValue, type RequestHead } from './http1/head.ts'

const contentType = idOf('content-type')

export const isGrpc = (head: RequestHead): boolean =>
  firstById(head, contentType)?.startsWith('application/grpc') === true

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** How long a call may take by its client's word, in ms; Infinity where it says nothing, or nothing that is valid. */
export function timeoutOf(head: RequestHead): number {
  const [, amount, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(firstValue(head, 'grpc-timeout') ?? '') ?? []
  return amount === undefined ? Infinity : Number(amount) * (unitMs[unit] ?? Infinity)
}

const statuses: Readonly<Record<number, number>> = {
  200: 0,
  400: 3,
  401: 16,
  403: 7,
  404: 5,
  409: 6,
  429: 8,
  499: 1,
  500: 13,
  501: 12,
  503: 14,
  504: 4,
}

const unknown = 2

function statusOf(http: number): number {
  const whole = http >= 200 && http < 300 ? 200 : http >= 400 && http < 500 ? 400 : http >= 500 && http < 600 ? 500 : 0
  return statuses[http] ?? statuses[whole] ?? unknown
}

const names =
  `OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists PermissionDenied ResourceExhausted
  FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable DataLoss Unauthenticated`.split(/\s+/)

/** An answer of the gateway's own as a call's client understands it: all in the head, without a body. */
export function grpcAnswer(answer: Answer): Answer {
  const type = answer.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? ''
  const isSaid = answer.headers.some(([name]) => name.toLowerCase() === 'grpc-status')
  if (type.startsWith('application/grpc') && answer.body !== null && answer.body !== '') return answer
  const status = statusOf(answer.status)
  const message = type.startsWith('application/grpc') ? undefined : messageOf(answer.body)
  const kept = answer.headers.filter(
    ([name]) => !(name.toLowerCase() === 'content-type' && !type.startsWith('application/grpc')),
  )
  const said = isSaid
    ? []
    : ([
        ['grpc-status', String(status)],
        ['grpc-message', encodeMessage(message ?? names[status] ?? '')],
      ] as const)
  return { status: answer.status, headers: [...kept, ...said], body: null }
}

/** An error of the gateway's own before it is told to a call's client: what Kong's router finds has no message but its status. */
export const grpcError = ({ status, message, fallback, headers = [] }: GatewayError): Answer =>
  fallback === 'json'
    ? { status, headers: [['Content-Type', 'application/grpc'], ...headers], body: null }
    : { status, headers, body: JSON.stringify({ message }) }

/** What an answer says in words: its `message` where it is JSON, else its text. */
function messageOf(body: Answer['body']): string | undefined {
  if (body === null || body.length === 0) return undefined
  const text = typeof body === 'string' ? body : Buffer.from(body).toString()
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    return typeof message === 'string' ? message : undefined
  } catch {
    return text
  }
}

/** Bytes beyond visible ASCII, and `%`, are percent-encoded. */
const encodeMessage = (text: string): string =>
  Array.from(Buffer.from(text), (byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x25
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  ).join('')
