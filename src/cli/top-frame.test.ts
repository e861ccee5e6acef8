import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boundsMs } from '../observe/tally.ts'
import { frameJson, frameOf, frameText, type Counts, type TrafficAnswer } from './top-frame.ts'

/** Counts of `statuses`, all as slow as the bound `ms`. */
function counts(statuses: Record<string, number>, ms = 0): Counts {
  const total = Object.values(statuses).reduce((sum, count) => sum + count, 0)
  const at = boundsMs.indexOf(ms)
  const place = at < 0 ? boundsMs.length : at
  return { statuses, latency_counts: [...boundsMs, Infinity].map((_, index) => (index === place ? total : 0)) }
}

const route = (name: string, answers: Counts) => ({ route: { id: `id-${name}`, name }, service: null, answers })
const target = (address: string, responses: Counts, failures = 0) => ({
  upstream: 'up',
  target: `${address}:80`,
  address,
  in_flight: 0,
  failures,
  responses,
})
const answer = (parts: Partial<TrafficAnswer>): TrafficAnswer => ({
  workers: 2,
  connections_active: 5,
  routes: [],
  unrouted: { answers: counts({}) },
  targets: [],
  ...parts,
})

test('rates are what has come since the answer before, a second', () => {
  const before = answer({ routes: [route('a', counts({ 200: 100 }))], unrouted: { answers: counts({ 404: 3 }) } })
  const after = answer({
    routes: [route('a', counts({ 200: 140, 502: 20 }))],
    unrouted: { answers: counts({ 404: 9 }) },
  })
  const { all, routes } = frameOf(before, after, 2)
  assert.equal(all.perSecond, 33)
  assert.deepEqual(all.classes, { '1xx': 0, '2xx': 20, '3xx': 0, '4xx': 3, '5xx': 10 })
  assert.deepEqual(
    routes.map(({ route: name, perSecond }) => [name, perSecond]),
    [
      ['a', 30],
      ['(no route)', 3],
    ],
  )
})

test('the busiest route comes first, idle ones not at all; a worker that began anew takes nothing off', () => {
  const before = answer({ routes: [route('idle', counts({ 200: 5 })), route('restarted', counts({ 200: 50 }))] })
  const after = answer({
    routes: [
      route('idle', counts({ 200: 5 })),
      route('restarted', counts({ 200: 8 })),
      route('some', counts({ 200: 1 })),
      route('many', counts({ 200: 7 })),
    ],
  })
  const { routes, all } = frameOf(before, after, 1)
  assert.deepEqual(
    routes.map((one) => one.route),
    ['many', 'some'],
  )
  assert.ok(all.perSecond >= 0)
})

test('the upstream that fails comes first, then the slowest', () => {
  const after = answer({
    targets: [
      target('10.0.0.1', counts({ 200: 9 }, 1)),
      target('10.0.0.2', counts({ 200: 9 }, 500)),
      target('10.0.0.3', counts({}), 4),
      target('10.0.0.4', counts({})),
    ],
  })
  assert.deepEqual(
    frameOf(answer({}), after, 1).targets.map((one) => one.target),
    ['10.0.0.3:80', '10.0.0.2:80', '10.0.0.1:80'],
  )
})

test('a frame is a page for people, and no name steers their terminal', () => {
  const after = answer({
    routes: [route('shop\x1b[2J', counts({ 200: 1234 }, 5))],
    targets: [{ ...target('10.0.0.1', counts({ 200: 1234 }, Infinity)), target: 'shop.test:80' }],
  })
  assert.equal(
    frameText(frameOf(answer({}), after, 1), 'title', 10, false),
    `title
1,234 requests/s  p50 5 ms  p99 5 ms  connections 5  workers 2
1xx 0  2xx 1,234  3xx 0  4xx 0  5xx 0  (a second)

busiest routes  service  req/s  p50   p99   4xx/s  5xx/s
shop?[2J                 1,234  5 ms  5 ms  0      0

slowest upstreams  target                   req/s  p50    p99    5xx/s  failed/s  in flight
up                 shop.test:80 (10.0.0.1)  1,234  >60 s  >60 s  0      0         0
`,
  )
})

test('a frame for programs has at most the rows asked for, and null for what is no number', () => {
  const after = answer({
    routes: [route('a', counts({ 200: 2 })), route('b', counts({ 200: 1 }))],
    targets: [target('10.0.0.1', counts({ 200: 1 }, Infinity))],
  })
  const frame = frameJson(frameOf(answer({}), after, 1), 1) as Record<string, object[]>
  assert.deepEqual(
    frame['routes']!.map((one) => (one as { route: string }).route),
    ['a'],
  )
  assert.equal((frame['upstreams']![0] as { p99_ms: null }).p99_ms, null)
})
