import assert from 'node:assert/strict'
import { test } from 'node:test'
import { welchT } from './welch.ts'

test('the difference of two means is given in units of its standard error', () => {
  // Means 2 and 4, variances 1 and 4: -2 / sqrt(1/3 + 4/3).
  assert.ok(Math.abs(welchT([1, 2, 3], [2, 4, 6]) - -1.549193) < 1e-6)
  assert.equal(welchT([1, 2, 3], [3, 2, 1]), 0)
  // Of different sizes: means 3 and 1, variances 2.5 and 2/3.
  assert.ok(Math.abs(welchT([1, 2, 3, 4, 5], [0, 1, 1, 2]) - 2 / Math.sqrt(2.5 / 5 + 2 / 3 / 4)) < 1e-12)
})
