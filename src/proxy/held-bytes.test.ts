import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HeldBytes, type Holder } from './held-bytes.ts'

function crowd(limit: number) {
  const held = new HeldBytes(limit)
  const gone: string[] = []
  const holders = new Map<string, Holder>()
  const hold = (name: string, bytes: number): boolean => {
    const holder = holders.get(name) ?? { heldBytes: 0, giveUp: () => void gone.push(name) }
    holders.set(name, holder)
    return held.hold(holder, bytes)
  }
  return { held, gone, hold, spare: (name: string) => held.spare(holders.get(name) as Holder) }
}

test('who holds much for longest is given up first, and nobody more than is needed', () => {
  const { held, gone, hold } = crowd(30_000)
  hold('modest', 1000)
  hold('first', 10_000)
  hold('second', 10_000)
  hold('first', 9000)
  assert.deepEqual([held.bytes, gone], [20_000, []])
  assert.equal(hold('third', 15_000), true)
  assert.deepEqual([held.bytes, gone, held.givenUp], [26_000, ['first'], 1])
})

test('those who hold little are given up for others like them only', () => {
  const { held, gone, hold } = crowd(10_000)
  for (const name of ['a', 'b', 'c']) hold(name, 3000)
  assert.equal(hold('greedy', 8000), false)
  assert.deepEqual([held.bytes, gone], [9000, []])
  assert.equal(hold('d', 3000), true)
  assert.deepEqual([held.bytes, gone], [9000, ['a']])
})

test('what is spared counts, and is not given up', () => {
  const { held, gone, hold, spare } = crowd(10_000)
  hold('whole', 9000)
  spare('whole')
  assert.equal(hold('other', 9000), false)
  assert.deepEqual([held.bytes, gone], [9000, []])
  hold('whole', 0)
  assert.equal(hold('other', 9000), true)
})

test('whatever comes and goes, the sum is right and within the limit', () => {
  const step = fc.record({ name: fc.integer({ min: 0, max: 20 }), bytes: fc.nat(12_000) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const held = new HeldBytes(40_000)
      const holders = Array.from({ length: 21 }, (): Holder => ({ heldBytes: 0, giveUp: () => {} }))
      for (const { name, bytes } of steps) {
        held.hold(holders[name] as Holder, bytes)
        assert.equal(
          held.bytes,
          holders.reduce((sum, { heldBytes }) => sum + heldBytes, 0),
        )
        assert.ok(held.bytes <= 40_000)
      }
    }),
  )
})
