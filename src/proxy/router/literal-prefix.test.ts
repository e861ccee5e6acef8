import assert from 'node:assert/strict'
import { test } from 'node:test'
import { literalPrefix } from './literal-prefix.ts'

const examples: Record<string, string> = {
  '/re/\\d+': '/re/',
  '/a\\.b\\-c/': '/a.b-c/',
  '/a/b*': '/a/',
  '/a/b?c': '/a/',
  '/a/b{0,2}': '/a/',
  '/a/b+c': '/a/b',
  '/exact$': '/exact',
  '/(?i)ci': '/',
  '(?i)/ci': '',
  '/a|/b': '',
  '/(a|b)/c': '/',
  '/[(]|/b': '',
  '/a\\|b': '/a|b',
  '/[|]x': '/',
  '/\\Qa': '/',
  '/\u{1f600}*': '/',
  '': '',
}

for (const [pattern, prefix] of Object.entries(examples)) {
  test(`${JSON.stringify(pattern)} matches only what begins with ${JSON.stringify(prefix)}`, () =>
    assert.equal(literalPrefix(pattern), prefix))
}
