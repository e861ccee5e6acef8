import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Latencies } from './latencies.ts'

test('quantiles are told to within a hundredth', () => {
  const latencies = new Latencies()
  for (let ms = 1; ms <= 1000; ms++) latencies.add(ms)
  const { p50, p99, p999 } = latencies.quantiles()
  for (const [told, real] of [
    [p50, 500],
    [p99, 990],
    [p999, 999],
  ] as const)
    assert.ok(Math.abs(told / real - 1) <= 0.01, `${told} for ${real}`)
})

test('what was added before it was cleared does not count', () => {
  const latencies = new Latencies()
  latencies.add(1e9)
  latencies.clear()
  assert.ok(Number.isNaN(latencies.quantiles().p50))
  latencies.add(0)
  assert.equal(latencies.quantiles().p999, 0.001)
})
