import assert from 'node:assert/strict'
import { test } from 'node:test'
import { luaText } from './lua-text.ts'

test('an error tree reads as the Lua table that Kong prints, fields sorted', () => {
  const tree = { services: [{ routes: [{ paths: ['no'] }] }], plugins: [{ '@entity': ['a'], name: 'b' }] }
  assert.equal(luaText(tree), '{plugins={{["@entity"]={"a"},name="b"}},services={{routes={{paths={"no"}}}}}}')
})

test('what stands after a hole in an array is named by its index from 1', () => {
  assert.equal(luaText({ consumers: [null, 'twice', null, 'x'] }), '{consumers={[2]="twice",[4]="x"}}')
  assert.equal(luaText(['a', null, 'c']), '{"a",[3]="c"}')
})

test('an empty table is a pair of braces', () => {
  assert.equal(luaText({}), '{}')
})

test('with an indent every entry has its line', () => {
  assert.equal(luaText({ end: ['x'], b: 5 }, '  '), '{\n  b = 5,\n  ["end"] = {\n    "x"\n  }\n}')
})

test('quotes, line breaks, control characters and brackets cannot end a text early', () => {
  assert.equal(luaText('say "a\\b"'), '"say \\"a\\\\b\\""')
  assert.equal(luaText('a\nb'), '[[a\nb]]')
  assert.equal(luaText('a]]b'), '[=[a]]b]=]')
  assert.equal(luaText('x]=]\ny'), '[==[x]=]\ny]==]')
  assert.equal(luaText('a\r\nb\0'), '"a\\r\\\nb\\000"')
})

test('a text that ends in a bracket keeps its end', () => {
  assert.equal(luaText('a]'), '[=[a]]=]')
})
