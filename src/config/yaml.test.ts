import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parse } from 'yaml'
import { parseFullYaml, parseYaml, positionsOf } from './yaml.ts'
import { readPlainYaml } from './yaml-plain.ts'
import { writeYaml } from './yaml-write.ts'

function read(text: string): unknown {
  const parsed = parseYaml(text)
  if (!parsed.ok) assert.fail(JSON.stringify(parsed.mistakes))
  return parsed.value
}

function mistakes(text: string): (readonly [number, number, string])[] {
  const parsed = parseYaml(text)
  assert.equal(parsed.ok, false)
  return parsed.ok ? [] : parsed.mistakes.map(({ line, column, message }) => [line, column, message] as const)
}

test('plain words mean what Kong takes them for', () => {
  const words: Record<string, unknown> = {
    yes: true,
    Off: false,
    NO: false,
    on: true,
    true: true,
    y: 'y',
    n: 'n',
    yEs: 'yEs',
    '~': null,
    null: null,
    Null: null,
    nil: 'nil',
    '0': 0,
    '80': 80,
    '-5': -5,
    '+5': 5,
    '1_000': 1000,
    '0755': 493,
    '08': 8,
    '0x1F': 31,
    '0b101': 5,
    '0o17': '0o17',
    '1.5': 1.5,
    '1e3': 1000,
    '.5': 0.5,
    '1.': 1,
    '1:30': 90,
    '1:30.5': 90.5,
    '127.0.0.1:80': '127.0.0.1:80',
    '2024-01-31': '2024-01-31',
    '2001-12-14t21:59:43.10-05:00': '2001-12-14t21:59:43.10-05:00',
    '1.2.3': '1.2.3',
    '3.0': 3,
    '-': null,
    '1-2': '1-2',
    '.': '.',
    e5: 'e5',
    '=': '=',
    '12e': '12e',
    '1__': 1,
  }
  for (const [word, value] of Object.entries(words)) {
    if (word === '-') continue
    assert.deepEqual(read(`[${word}]`), [value], word)
    assert.deepEqual(read(`a: '${word}'`), { a: word })
  }
})

test('a key is a text, whatever it looks like', () => {
  assert.deepEqual(read('80: a\non: b\n~: c\n"": d'), { 80: 'a', on: 'b', '~': 'c', '': 'd' })
})

test('anchors, aliases and merge keys work, and what a map says itself wins', () => {
  const text = 'base: &b {x: 1, y: 2}\nl:\n- <<: *b\n  y: 3\n- y: 4\n  <<: [*b, {z: 5}]\n- *b'
  assert.deepEqual(read(text), {
    base: { x: 1, y: 2 },
    l: [
      { x: 1, y: 3 },
      { x: 1, y: 4, z: 5 },
      { x: 1, y: 2 },
    ],
  })
})

test('a key that is given twice is told with its place', () => {
  assert.deepEqual(mistakes('a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2'), [
    [5, 3, "the key 'c' is given twice"],
    [6, 1, "the key 'a' is given twice"],
  ])
})

test('what cannot be meant is refused', () => {
  assert.deepEqual(mistakes('a: *nobody'), [[1, 4, "found undefined alias 'nobody'"]])
  assert.deepEqual(mistakes('a: &x\n  b: *x'), [[2, 6, "found undefined alias 'x'"]])
  assert.deepEqual(
    mistakes('a: .inf\nb: 1e999')?.map(([line]) => line),
    [1, 2],
  )
  assert.deepEqual(
    mistakes('---\na: 1\n---\nb: 1').map(([line, , message]) => [line, message]),
    [[3, 'expected a single document']],
  )
  assert.deepEqual(mistakes('? [a]\n: b'), [[1, 3, 'a key must be a text']])
  assert.deepEqual(
    mistakes('a: !!js/function x').map(([, , message]) => message),
    ["unknown tag 'tag:yaml.org,2002:js/function'"],
  )
  assert.deepEqual(
    mistakes('a: !!int x').map(([line]) => line),
    [1],
  )
  assert.deepEqual(
    mistakes('<<: 5').map(([, , message]) => message),
    ["'<<' merges maps only"],
  )
  assert.deepEqual(
    mistakes('a: {b').map(([, , message]) => message),
    ["did not find expected ',' or '}'"],
  )
})

test('an explicit tag decides', () => {
  assert.deepEqual(read('- !!str 80\n- !!int "80"\n- !!float 1.5\n- !!bool yes\n- !!null ""'), [
    '80',
    80,
    1.5,
    true,
    null,
  ])
})

test('positions lead to keys, items and through aliases', () => {
  const text = 'a: &x\n  - b: 1\n    c: {d: 2}\ne: *x\n'
  assert.deepEqual(positionsOf(text, [['a'], ['a', 0, 'c', 'd'], ['a', 0, 'nope'], ['a', 7], ['e', 0, 'b'], []]), [
    { line: 1, column: 1 },
    { line: 3, column: 9 },
    { line: 2, column: 5 },
    { line: 1, column: 1 },
    { line: 2, column: 5 },
    { line: 1, column: 1 },
  ])
})

const words = [
  'yes',
  'n',
  'y',
  '~',
  '',
  '0755',
  '1:30',
  '3.0',
  'a: b',
  '- a',
  '#x',
  'a #b',
  '@x',
  '*x',
  '&x',
  '!x',
  '%x',
  '{',
  'a\nb',
  'a\nb\n',
  ' a\nb',
  'a \nb',
  'a\n\nb\n\n',
  '\ta',
  "'",
  '"',
  '\u2028',
  '\u0085',
  '\ufeff',
  'é',
  '😀',
  '\ud800',
  '__proto__',
  '<<',
  '---',
  '...',
  '2024-01-31',
  'null',
  'a\r\nb',
  'x'.repeat(200),
]
const scalar = fc.oneof(
  fc.constantFrom(...words),
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
)
const key = fc.oneof(fc.constantFrom(...words.filter((word) => word !== '<<')), fc.string())
const data = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(key, tie('any'), { maxKeys: 4 }),
  ),
})).any

test('what is written reads back the same, here and by another reader', () => {
  fc.assert(
    fc.property(data, (value) => {
      const text = writeYaml(value)
      const plain: unknown = JSON.parse(JSON.stringify(value))
      assert.deepEqual(JSON.parse(JSON.stringify(read(text))), plain)
      for (const version of ['1.1', '1.2'] as const) {
        assert.deepEqual(JSON.parse(JSON.stringify(parse(text, { version, merge: false, logLevel: 'silent' }))), plain)
      }
    }),
    { numRuns: 1000 },
  )
})

/** Lines as configurations have them, and others that only look like them. */
const linePieces = [
  'a:',
  'b: 1',
  '- a',
  '- b: x',
  '-',
  '- - a',
  'a: |',
  'a: |-',
  '- |',
  'text here',
  "a: 'x'",
  'a: "y # z"',
  'a: b # c',
  '# note',
  '',
  '   ',
  'a: [x, "y z", 010]',
  'a: [a, ]',
  'a: []',
  'a: {}',
  'a: ~/x',
  'a: - b',
  'a: b: c',
  'a:b',
  'a: b:',
  '"a": b',
  '? a',
  '---',
  '...',
  'a: &x 1',
  'a: *x',
  '<<: 1',
  'a: !!str 5',
  'c: yes',
  'c: -1',
  'c: .inf',
  '1: 2',
  'a: >',
  'd: x ',
  '- a:',
  '- http://x',
  '-  a: b',
  '-   - c',
  'a: "x',
  'a: x\\n',
  'é: ü',
  'a: %x',
  'a: @',
  'e: ---',
  '- #x',
  'a: #x',
  'a:  #x',
  '- ',
  'a: -',
]
const lineOf = fc
  .tuple(fc.constantFrom(0, 0, 0, 2, 2, 4, 1, 3), fc.constantFrom(...linePieces))
  .map(([indent, line]) => ' '.repeat(indent) + line)

test('whatever the plain reader reads, the full one reads the same', () => {
  let plain = 0
  const same = (text: string): void => {
    const read = readPlainYaml(text, 100)
    if (!read) return
    plain++
    assert.deepEqual(parseFullYaml(text), { ok: true, value: read.value }, text)
  }
  fc.assert(
    fc.property(fc.array(lineOf, { maxLength: 7 }), (lines) => same(lines.join('\n'))),
    { numRuns: 20_000 },
  )
  fc.assert(
    fc.property(data, (value) => same(writeYaml(value))),
    { numRuns: 1000 },
  )
  assert.ok(plain > 200, `only ${plain} texts were plain`)
})

test('a usual configuration is plain', () => {
  const howTo = readFileSync(new URL('testdata/jwt-how-to.yaml', import.meta.url), 'utf8')
  assert.deepEqual(parseFullYaml(howTo), { ok: true, value: readPlainYaml(howTo, 100)?.value })
})
