import assert from 'node:assert/strict'
import { test } from 'node:test'
import { luaPattern } from './lua-pattern.ts'

const cases: readonly (readonly [pattern: string, matching: readonly string[], others: readonly string[]])[] = [
  ['^%u+$', ['GET', 'X'], ['get', 'G T', '', 'GET\n']],
  ['^[a-z][a-z%d-]-[a-z%d]+$', ['my-env', 'p2', 'ab'], ['a', '-a', 'a-', 'A b']],
  ['^[%a_-][%a%d_-]*$', ['a', '_1-', '-x'], ['1a', '']],
  ['^[^*]*%*?[^*]*$', ['a.b', '*.b', 'a.*'], ['*.*']],
  ['^%*%.', ['*.x'], ['a.*', '.']],
  ['%.%.', ['1..2'], ['1.2']],
  ['^%d+[%.%d]*%-?.*$', ['3.10.0', '3-x'], ['x3']],
  ['//', ['/a//b'], ['/a/b']],
  ['^[Hh][Oo][Ss][Tt]$', ['HOST', 'host'], ['hosts']],
  ['^%S+$', ['ab'], ['a b']],
  ['a.c', ['abc', 'a\nc'], ['ac']],
]

for (const [pattern, matching, others] of cases) {
  test(`the Lua pattern ${pattern} matches what Lua matches`, () => {
    assert.deepEqual(matching.filter(luaPattern(pattern)), matching)
    assert.deepEqual(others.filter(luaPattern(pattern)), [])
  })
}

test('captures are refused', () => {
  assert.throws(() => luaPattern('(a)'))
})
