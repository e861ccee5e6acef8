import assert from 'node:assert/strict'
import { test } from 'node:test'
import { timeErrors, timeFault, timesOf } from './times.ts'

const now = 1_000_000

const errorsOf = (claims: object, { exp = false, nbf = false, maximum = 0, leeway = 0 }) => {
  const policy = { exp, nbf, maximumExpiration: maximum, leeway, any: true }
  return timeErrors[timeFault(policy, timesOf(claims as never), now)]
}

test('a token is expired from the second on that exp names', () => {
  assert.deepEqual(errorsOf({ exp: now }, { exp: true }), { exp: 'token expired' })
  assert.deepEqual(errorsOf({ exp: now - 1 }, { exp: true }), { exp: 'token expired' })
  assert.equal(errorsOf({ exp: now + 1 }, { exp: true }), undefined)
  assert.equal(errorsOf({ exp: now + 0.5 }, { exp: true }), undefined)
})

test('a token is valid from the second on that nbf names', () => {
  assert.equal(errorsOf({ nbf: now }, { nbf: true }), undefined)
  assert.deepEqual(errorsOf({ nbf: now + 1 }, { nbf: true }), { nbf: 'token not valid yet' })
  assert.deepEqual(errorsOf({ nbf: now + 0.5 }, { nbf: true }), { nbf: 'token not valid yet' })
})

test('clocks may differ by the leeway, in both directions', () => {
  const asked = { exp: true, nbf: true, leeway: 30 }
  assert.equal(errorsOf({ exp: now - 29, nbf: now + 30 }, asked), undefined)
  assert.deepEqual(errorsOf({ exp: now - 30, nbf: now + 31 }, asked), {
    exp: 'token expired',
    nbf: 'token not valid yet',
  })
  assert.equal(errorsOf({ exp: now + 130 }, { exp: true, maximum: 100, leeway: 30 }), undefined)
})

test('times that are asked for must be finite numbers', () => {
  for (const value of [
    '1000001',
    null,
    true,
    [now + 1],
    { valueOf: 1 },
    JSON.parse('1e400'),
    JSON.parse('-1e400'),
    undefined,
  ]) {
    assert.deepEqual(errorsOf({ exp: value, nbf: value }, { exp: true }), { exp: 'must be a number' })
    assert.deepEqual(errorsOf({ exp: value, nbf: value }, { nbf: true }), { nbf: 'must be a number' })
  }
  assert.deepEqual(errorsOf(JSON.parse('{"__proto__":{"exp":9e9}}'), { exp: true }), { exp: 'must be a number' })
})

test('both may be wrong at once', () => {
  assert.deepEqual(errorsOf({ exp: 0, nbf: 9e9 }, { exp: true, nbf: true }), {
    exp: 'token expired',
    nbf: 'token not valid yet',
  })
  assert.deepEqual(errorsOf({}, { exp: true, nbf: true }), { exp: 'must be a number', nbf: 'must be a number' })
  assert.deepEqual(errorsOf({ exp: -1 }, { exp: true, nbf: true }), { exp: 'token expired', nbf: 'must be a number' })
})

test('times that are not asked for may be anything', () => {
  assert.equal(errorsOf({ exp: 0, nbf: 9e9 }, {}), undefined)
  assert.equal(errorsOf({ exp: 'never' }, {}), undefined)
})

test('exp may lie as far ahead as maximum_expiration says, and must be there', () => {
  const exceeds = { exp: 'exceeds maximum allowed expiration' }
  assert.equal(errorsOf({ exp: now + 300 }, { exp: true, maximum: 300 }), undefined)
  assert.deepEqual(errorsOf({ exp: now + 301 }, { exp: true, maximum: 300 }), exceeds)
  assert.deepEqual(errorsOf({}, { maximum: 300 }), exceeds)
  assert.deepEqual(errorsOf({ exp: 'soon' }, { maximum: 300 }), exceeds)
  assert.equal(errorsOf({ exp: 1 }, { maximum: 300 }), undefined)
  assert.deepEqual(errorsOf({ exp: now }, { exp: true, maximum: 300 }), { exp: 'token expired' })
  assert.deepEqual(errorsOf({ exp: 9e9 }, { exp: true, nbf: true, maximum: 300 }), { nbf: 'must be a number' })
})
