import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Timing } from './timing.ts'

/** A clock that shows the next of these times each time it is asked. */
const clock = (...times: number[]) => {
  let at = 0
  return () => times[at++] ?? Number.NaN
}

test('parts lie within one another, with times in ms, cut to two decimals', () => {
  const timing = new Timing(clock(0, 1, 2.129, 3.009))
  timing.note('request_id', 'abc')
  timing.during(['access', 'router'], () => timing.note('found', true))
  assert.deepEqual(JSON.parse(timing.json()), {
    request_id: 'abc',
    child: { access: { total_time: 3, child: { router: { total_time: 1.12, found: true } } } },
    total_time_without_upstream: 3,
  })
})

test('a part that comes again adds up, and the upstream is left out of the sum', () => {
  const timing = new Timing(clock(0, 2, 10, 13, 20, 24.5))
  timing.during(['access'], () => undefined)
  timing.during(['access'], () => undefined)
  timing.during(['log'], () => undefined)
  timing.put('upstream', { total_time: 100 })
  const tree = JSON.parse(timing.json()) as { child: { access: object }; total_time_without_upstream: number }
  assert.deepEqual(tree.child.access, { total_time: 5 })
  assert.equal(tree.total_time_without_upstream, 9.5)
})

test('a promise counts until it is settled, whichever way', async () => {
  const timing = new Timing(clock(0, 5, 10, 17))
  await timing.during(['access'], () => Promise.resolve())
  await assert.rejects(
    timing.during(['access'], () => Promise.reject(new Error('no'))),
    /no/,
  )
  assert.equal(timing.timeOf(['access']), 12)
})

test('what throws is measured all the same', () => {
  const timing = new Timing(clock(0, 4))
  assert.throws(() =>
    timing.during(['rewrite'], () => {
      throw new Error('no')
    }),
  )
  assert.equal(timing.timeOf(['rewrite']), 4)
})

test('what is still open when the tree is asked for is ended and marked', () => {
  const timing = new Timing(clock(0, 3))
  void timing.during(['access'], () => new Promise(() => undefined))
  assert.deepEqual(JSON.parse(timing.json()), {
    dangling: true,
    child: { access: { total_time: 3, dangling: true } },
    total_time_without_upstream: 3,
  })
})

test('a name may be any text', () => {
  const timing = new Timing(clock(0, 1))
  timing.during(['__proto__'], () => undefined)
  assert.deepEqual(timing.partsOf([]), ['__proto__'])
  assert.match(timing.json(), /"__proto__":\{"total_time":1\}/)
})
