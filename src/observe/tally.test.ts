import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { boundsMs, countOf, noFigures, quantile, Tally, together } from './tally.ts'

const of = (...notes: readonly (readonly [status: number, ms: number])[]) => {
  const tally = new Tally()
  for (const [status, ms] of notes) tally.note(status, ms)
  return tally.figures()
}
const notes = fc.array(fc.tuple(fc.constantFrom(200, 204, 404, 502), fc.integer({ min: -5, max: 100_000 })))

test('requests are counted by status and by latency', () => {
  const figures = of([200, 0], [200, 3], [502, 61_000])
  assert.deepEqual(figures.statuses, [
    [200, 2],
    [502, 1],
  ])
  assert.equal(figures.latencies[boundsMs.indexOf(0)], 1)
  assert.equal(figures.latencies[boundsMs.indexOf(5)], 1)
  assert.equal(figures.latencies[boundsMs.length], 1)
  assert.equal(figures.sumMs, 61_003)
})

test('every latency is counted at the first bound that it does not exceed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 70_000 }), (ms) => {
      const at = of([200, ms]).latencies.indexOf(1)
      assert.ok(ms <= (boundsMs[at] ?? Infinity) && ms > (boundsMs[at - 1] ?? -1))
    }),
  )
})

test('the figures of two workers together are those of one that has served both, and what one adds can be taken off', () => {
  fc.assert(
    fc.property(notes, notes, (one, other) => {
      const both = together(of(...one), of(...other))
      assert.deepEqual(both, of(...one, ...other))
      assert.equal(countOf(both), one.length + other.length)
      assert.deepEqual(new Map(together(both, of(...other), -1).statuses), new Map(of(...one).statuses))
    }),
  )
})

test('a quantile is the bound below which that part of the requests stays', () => {
  const figures = of(...Array.from({ length: 98 }, () => [200, 0] as const), [200, 40], [200, 90_000])
  assert.equal(quantile(figures, 0.5), 0)
  assert.equal(quantile(figures, 0.99), 50)
  assert.equal(quantile(figures, 0.999), Infinity)
  assert.equal(quantile(noFigures, 0.5), undefined)
})
