import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Allowance } from './allowance.ts'

test('a thousand frames that lead to nothing are borne, then some thirty a second', () => {
  let now = 0
  const allowance = new Allowance(() => now)
  for (let count = 0; count < 1000; count++) assert.ok(allowance.spend())
  assert.equal(allowance.spend(), false)
  now = 10_000
  let borne = 0
  while (allowance.spend()) borne++
  assert.ok(borne > 300 && borne < 350, String(borne))
})

test('real work pays for such frames, but not in advance', () => {
  const allowance = new Allowance(() => 0)
  allowance.earn(10_000)
  for (let count = 0; count < 1000; count++) assert.ok(allowance.spend())
  for (let count = 0; count < 500; count++) {
    allowance.earn(2)
    assert.ok(allowance.spend() && allowance.spend())
  }
  assert.equal(allowance.spend(), false)
})
