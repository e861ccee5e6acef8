import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errors } from './answers.ts'
import { grpcAnswer, grpcError, timeoutOf } from './grpc.ts'
import { parseRequestHead } from './http1/head.ts'

function timeout(value: string): number {
  const bytes = Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\ngrpc-timeout: ${value}\r\n\r\n`)
  const head = parseRequestHead(bytes, 0, bytes.length, { headBytes: 1000, lineBytes: 1000, headers: 10 })
  assert.ok(!('refused' in head))
  return timeoutOf(head)
}

test('a deadline is read in all of its units, and only where it is one', () => {
  assert.deepEqual(
    ['2H', '3M', '4S', '500m', '5000u', '7000000n'].map(timeout),
    [7_200_000, 180_000, 4000, 500, 5, 7].map((ms) => ms),
  )
  assert.deepEqual(['', '1', 'S', '123456789S', '-1S', '1s', '1 S'].map(timeout), Array(7).fill(Infinity))
})

/** What a call's client is told. */
function told(answer: Parameters<typeof grpcAnswer>[0]) {
  const { status, headers, body } = grpcAnswer(answer)
  const header = (wanted: string) => headers.find(([name]) => name.toLowerCase() === wanted)?.[1]
  return [status, header('grpc-status'), header('grpc-message'), header('content-type'), body]
}

const json = [['Content-Type', 'application/json; charset=utf-8']] as const

test("a plugin's answer is told by its message, else by the name of its status", () => {
  assert.deepEqual(told({ status: 401, headers: json, body: '{"message":"Unauthorized"}' }), [
    401,
    '16',
    'Unauthorized',
    undefined,
    null,
  ])
  assert.deepEqual(told({ status: 403, headers: [], body: 'not 100 % – yet' }), [
    403,
    '7',
    'not 100 %25 %E2%80%93 yet',
    undefined,
    null,
  ])
  assert.deepEqual(told({ status: 418, headers: json, body: '{"a":1}' }), [
    418,
    '3',
    'InvalidArgument',
    undefined,
    null,
  ])
  assert.deepEqual(told({ status: 200, headers: [], body: null }), [200, '0', 'OK', undefined, null])
  assert.deepEqual(told({ status: 302, headers: [], body: null }), [302, '2', 'Unknown', undefined, null])
})

test('an answer that speaks gRPC itself is left as it is', () => {
  const headers = [['Content-Type', 'application/grpc']] as const
  assert.deepEqual(told({ status: 200, headers, body: 'bytes' }), [200, undefined, undefined, headers[0][1], 'bytes'])
  assert.deepEqual(told({ status: 200, headers: [...headers, ['grpc-status', '5']], body: null }), [
    200,
    '5',
    undefined,
    headers[0][1],
    null,
  ])
})

test("the gateway's own errors have Kong's statuses and messages", () => {
  const error = (problem: Parameters<typeof grpcError>[0]) => told(grpcError(problem)).slice(0, 4)
  assert.deepEqual(error(errors.noRoute), [404, '5', 'NotFound', 'application/grpc'])
  assert.deepEqual(error(errors.noPeer), [503, '14', 'Unavailable', 'application/grpc'])
  assert.deepEqual(error(errors.gatewayTimeout), [504, '4', 'The upstream server is timing out', undefined])
  assert.deepEqual(error(errors.payloadTooLarge), [413, '3', 'Payload too large', undefined])
})
