import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { chanceOf } from './chance.ts'
import { createNewcomers } from './newcomers.ts'

const tokenNumber = (index: number) => chanceOf(`a.b.${createHash('sha256').update(String(index)).digest('base64url')}`)

test('everyone may stay until it is said otherwise', () => {
  const newcomers = createNewcomers()
  assert.equal(newcomers.mayStay(tokenNumber(0)), true)
  newcomers.setStrict(true)
  assert.equal(newcomers.mayStay(tokenNumber(1)), false)
  assert.equal(newcomers.mayStay(tokenNumber(1)), true)
  newcomers.setStrict(false)
  assert.equal(newcomers.mayStay(tokenNumber(2)), true)
})

test('tokens that come once are hardly ever taken for such that came before', () => {
  const newcomers = createNewcomers()
  newcomers.setStrict(true)
  const stayed = Array.from({ length: 200_000 }, (_, index) => newcomers.mayStay(tokenNumber(index)))
  assert.ok(stayed.filter(Boolean).length < 20_000, `${stayed.filter(Boolean).length} stayed`)
})

test('when most tokens come again, none has to', () => {
  const newcomers = createNewcomers()
  newcomers.setStrict(true)
  for (let index = 0; index < 70_000; index++) {
    newcomers.mayStay(tokenNumber(index))
    newcomers.mayStay(tokenNumber(index))
  }
  assert.equal(newcomers.mayStay(tokenNumber(80_000)), true)
})
