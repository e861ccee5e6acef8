import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chart } from './chart.ts'
import { checksOf, type Measurement, summaryOf } from './result.ts'

/** A measurement in which a request took so many µs. */
const took = (subject: string, microseconds: number, variant = ''): Measurement => ({
  section: variant === '' ? 'requests' : 'bodies',
  subject,
  variant,
  outcome: {
    seconds: 2,
    good: 1000,
    refused: 0,
    wrong: 0,
    firstWrong: null,
    cpuSeconds: (microseconds * 1000) / 1e6,
    residentBytesBefore: 0,
    residentBytesAfter: 0,
    instructions: { user: 20_000_000, kernel: 30_000_000 },
    latencyMs: null,
  },
})

const rounds = [
  [
    took('nginx plain', 10),
    took('gibbon HS256', 13),
    took('nginx plain', 100, '1 MB up'),
    took('gibbon HS256', 140, '1 MB up'),
  ],
  [
    took('nginx plain', 20),
    took('gibbon HS256', 24),
    took('nginx plain', 200, '1 MB up'),
    took('gibbon HS256', 300, '1 MB up'),
  ],
  [
    took('nginx plain', 10),
    took('gibbon HS256', 14),
    took('nginx plain', 100, '1 MB up'),
    took('gibbon HS256', 160, '1 MB up'),
  ],
]

test('each row is held against nginx in the same round, with the same bodies', () => {
  const { subjects } = summaryOf(rounds, [], [])
  assert.deepEqual(
    subjects.map(({ name, variant, ratioToNginx }) => [name, variant, ratioToNginx?.median.toFixed(2)]),
    [
      ['nginx plain', '', '1.00'],
      ['gibbon HS256', '', '1.30'],
      ['nginx plain', '1 MB up', '1.00'],
      ['gibbon HS256', '1 MB up', '1.50'],
    ],
  )
  assert.equal(subjects[0]?.userKiloinstructions?.median, 20)
  assert.equal(subjects[0]?.requestsPerSecond.median, 500)
})

test('a promise is met, missed, or cannot be told', () => {
  const idle = [{ protocol: 'HTTP/1.1', connections: 10_000, bytesEach: 9 * 1024 }]
  const checks = new Map(
    checksOf({ ...summaryOf(rounds, [], []), idle }).map(({ what, value, met }) => [what, [value, met]]),
  )
  assert.deepEqual(checks.get('CPU per request, gibbon HS256 to nginx plain'), [1.3, true])
  assert.deepEqual(checks.get('CPU per request, gibbon HS256 to nginx plain, 1 MB up'), [1.5, false])
  assert.deepEqual(checks.get('CPU per request, gibbon RS256 to gibbon HS256'), [null, false])
  assert.deepEqual(checks.get('KiB per idle connection, gibbon, HTTP/1.1'), [9, true])
  assert.deepEqual(checks.get('KiB per idle connection, gibbon, HTTP/2'), [null, false])
})

test('the chart has a bar for each gateway, as long as its ratio', () => {
  const svg = chart({ ...summaryOf(rounds, [], []), machine: { cpu: 'a <CPU>', cores: 2, node: 'v26', pinned: true } })
  const lengths = [...svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)"/g)].map(([, length]) => Number(length))
  assert.equal(lengths.length, 2)
  assert.ok(Math.abs((lengths[1] ?? 0) / (lengths[0] ?? 1) - 1.3) < 0.01)
  assert.match(svg, /a &lt;CPU>/)
})
