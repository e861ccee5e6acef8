import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileRegex } from './regex.ts'

function match(pattern: string, text: string): string | undefined {
  const compiled = compileRegex(pattern)
  assert.ok(compiled.ok, compiled.ok ? '' : compiled.error)
  return compiled.regex.matchStart(text)?.groups[0]
}

function errorOf(pattern: string): string | undefined {
  const compiled = compileRegex(pattern)
  return compiled.ok ? undefined : compiled.error
}

test('groups are found by number and by name, in both spellings', () => {
  const compiled = compileRegex('/(?P<a>\\d+)/(?<b>x)?(y)?')
  assert.ok(compiled.ok)
  const found = compiled.regex.matchStart('/12/y/rest')
  assert.deepEqual(found?.groups, ['/12/y', '12', undefined, 'y'])
  assert.deepEqual({ ...found?.named }, { a: '12' })
  assert.equal(found?.end, 5)
})

test('a match is looked for at the start, or anywhere', () => {
  const compiled = compileRegex('b+')
  assert.ok(compiled.ok)
  assert.equal(compiled.regex.matchStart('abb'), undefined)
  assert.equal(compiled.regex.test('abb'), true)
})

test('\\d, \\w and \\s know all of Unicode, unless they are told not to', () => {
  assert.equal(match('\\w+', 'größe1_!'), 'größe1_')
  assert.equal(match('\\d+', '1٣x'), '1٣')
  assert.equal(match('\\s+', ' \u3000x'), ' \u3000')
  assert.equal(match('[\\w-]+', 'é-é/'), 'é-é')
  assert.equal(match('[\\S]+', 'é x'), 'é')
  assert.equal(match('\\W', 'é'), undefined)
  assert.equal(match('(?-u:\\w)+', 'ab\u00e9'), 'ab')
})

test('flags hold until their group ends', () => {
  assert.equal(match('(?i)ab', 'AB'), 'AB')
  assert.equal(match('(?:(?i)a)b', 'AB'), undefined)
  assert.equal(match('(?i:a)b', 'Ab'), 'Ab')
  assert.equal(match('(?s).', '\n'), '\n')
  assert.equal(match('(?x) a b # comment\n c', 'abc'), 'abc')
  assert.equal(match('(?x: a b )c d', 'abc d'), 'abc d')
})

test('escapes of Rust are understood', () => {
  assert.equal(match('\\Aab\\z', 'ab'), 'ab')
  assert.equal(match('\\u{e9}\\x41\\u0042\\U00000043\\x{44}', 'éABCD'), 'éABCD')
  assert.equal(match('\\p{Greek}+', 'αβγ'), 'αβγ')
  assert.equal(match('\\/\\.\\-\\}}', '/.-}}'), '/.-}}')
  assert.equal(match('[[:alpha:]]+', 'abc1'), 'abc')
  assert.equal(match('[]a]+', ']a'), ']a')
})

test('look-around and back-references are refused by name', () => {
  for (const pattern of ['(?=a)', '(?!a)', '(?<=a)', '(?<!a)']) assert.match(errorOf(pattern) ?? '', /look-around/)
  assert.equal(errorOf('(a)\\1'), 'backreferences are not supported')
})

test('what Rust does not know is refused, though RE2 would take it', () => {
  for (const pattern of [
    '\\Q.\\E',
    '\\C',
    'a{',
    '{1}',
    'a{,3}',
    '\\h',
    '\\Z',
    '\\<',
    '(?>a)',
    '(?#x)',
    '\\é',
    'a\\',
    '(?)',
    '(?z)a',
  ]) {
    assert.notEqual(errorOf(pattern), undefined, pattern)
  }
})

test('mistakes have their common names', () => {
  assert.equal(errorOf('/a('), 'missing closing parenthesis')
  assert.equal(errorOf('/a)'), 'unmatched closing parenthesis')
  assert.equal(errorOf('/['), 'missing terminating ] for character class')
})

test('set operations and nested classes are refused rather than read otherwise', () => {
  for (const pattern of ['[a-z&&[^b]]', '[a--b]', '[a~~b]', '[a[bc]]', '[^\\W]'])
    assert.notEqual(errorOf(pattern), undefined, pattern)
})

test('patterns that backtracking engines choke on take linear time', () => {
  const started = performance.now()
  assert.equal(match('(a+)+$', `${'a'.repeat(20_000)}!`), undefined)
  assert.equal(match('(.*)*x', 'a'.repeat(20_000)), undefined)
  assert.ok(performance.now() - started < 2000)
})

test('patterns that would compile to very much are refused', () => {
  assert.notEqual(errorOf('((a{100}){100}){100}'), undefined)
  assert.notEqual(errorOf('a'.repeat(10_000)), undefined)
  assert.notEqual(errorOf('('.repeat(5000) + ')'.repeat(5000)), undefined)
})
