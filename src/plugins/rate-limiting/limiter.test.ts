import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countMemory, CountTable } from '../../pdk/counts.ts'
import { Limiter, type Limit } from './limiter.ts'
import { windowAt } from './windows.ts'

/** 2026-03-31T23:59:50Z */
const moment = Date.UTC(2026, 2, 31, 23, 59, 50) / 1000

function limiting(limits: readonly Limit[], table = new CountTable(countMemory()), scope = {}) {
  const limiter = new Limiter({ limits, scope, table })
  return (identifier: string, now = moment) => [...limiter.count(identifier, now).used]
}

test('windows are those of the calendar', () => {
  const at = (...date: [number, number, number?, number?, number?, number?]) => Date.UTC(...date) / 1000
  assert.deepEqual(windowAt('second', moment), { start: moment, end: moment + 1 })
  assert.deepEqual(windowAt('minute', moment), { start: at(2026, 2, 31, 23, 59), end: at(2026, 3, 1) })
  assert.deepEqual(windowAt('hour', moment), { start: at(2026, 2, 31, 23), end: at(2026, 3, 1) })
  assert.deepEqual(windowAt('day', moment), { start: at(2026, 2, 31), end: at(2026, 3, 1) })
  assert.deepEqual(windowAt('month', moment), { start: at(2026, 2, 1), end: at(2026, 3, 1) })
  assert.deepEqual(windowAt('year', moment), { start: at(2026, 0, 1), end: at(2027, 0, 1) })
  assert.deepEqual(windowAt('month', at(2024, 11, 5)), { start: at(2024, 11, 1), end: at(2025, 0, 1) })
})

test('requests are counted in each window, and again from nothing in the next', () => {
  const count = limiting([
    { period: 'minute', most: 2 },
    { period: 'month', most: 9 },
    { period: 'year', most: 10 },
  ])
  assert.deepEqual(
    [count('a'), count('a')],
    [
      [0, 0, 0],
      [1, 1, 1],
    ],
  )
  assert.deepEqual(count('a', moment + 10), [0, 0, 2])
  assert.deepEqual(count('a', moment + 20), [1, 1, 3])
})

test('a request that is refused is counted in no window', () => {
  const count = limiting([
    { period: 'minute', most: 1 },
    { period: 'day', most: 3 },
  ])
  assert.deepEqual(
    [count('a'), count('a'), count('a'), count('a')],
    [
      [0, 0],
      [1, 1],
      [1, 1],
      [1, 1],
    ],
  )
})

test('workers, and configs of one scope, count together; other scopes and identifiers do not', () => {
  const table = new CountTable(countMemory())
  const limits = [{ period: 'hour', most: 5 }] as const
  const [one, other] = [limiting(limits, table, { route: 'r' }), limiting(limits, table, { route: 'r' })]
  const elsewhere = limiting(limits, table, { route: 'other' })
  assert.deepEqual([one('a'), other('a'), one('b'), elsewhere('a'), one('a')], [[0], [1], [0], [0], [2]])
})

test('so many identifiers that they are not all remembered are counted all the same', () => {
  const count = limiting([{ period: 'day', most: 5 }])
  const names = Array.from({ length: 40_000 }, (_, index) => `name-${index}`)
  for (const round of [0, 1, 2]) assert.ok(names.every((name) => count(name)[0] === round))
  const long = 'x'.repeat(5000)
  assert.deepEqual([count(long), count(long)], [[0], [1]])
})
