import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { equal } from './equal.ts'

test('a JSON value equals itself after a round trip, with its keys in another order', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const turned = JSON.parse(JSON.stringify(value), (_, part: unknown) =>
        typeof part === 'object' && part !== null && !Array.isArray(part)
          ? Object.fromEntries(Object.entries(part).reverse())
          : part,
      ) as unknown
      return equal(JSON.parse(JSON.stringify(value)), turned)
    }),
  )
})

test('values are equal exactly when their sorted texts are', () => {
  const small = fc.jsonValue({ maxDepth: 2 })
  fc.assert(fc.property(small, small, (a, b) => equal(plain(a), plain(b)) === (sortedText(a) === sortedText(b))))
})

test('a missing field differs from null, and is the same as undefined', () => {
  assert.equal(equal({ a: null }, {}), false)
  assert.equal(equal({ a: undefined, b: 1 }, { b: 1 }), true)
  assert.equal(equal({ toString: 1 }, {}), false)
})

test('ignored fields are those of the whole, not of its parts', () => {
  assert.equal(equal({ at: 1, x: { at: 1 } }, { at: 2, x: { at: 1 } }, ['at']), true)
  assert.equal(equal({ at: 1, x: { at: 1 } }, { at: 1, x: { at: 2 } }, ['at']), false)
})

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

function sortedText(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}
