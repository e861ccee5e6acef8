/** Texts that are read piece by piece say what they say when they are read as a whole, and no others are read so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type DeclarativeOptions, parseDeclarative } from './declarative.ts'
import { InOnePiece, inPieces, Items } from './declarative-pieces.ts'
import { readText, type TextFormat, textLimits } from './declarative-text.ts'
import { writeYaml } from './yaml-write.ts'

const names = new Set(['services', 'consumers', 'a'])

/** What comes of a text in pieces; undefined where it is to be read as a whole. */
function gathered(text: string, format: TextFormat, limits = textLimits): unknown {
  const file = inPieces(text, format, limits, names)
  if (!file) return undefined
  try {
    return Object.fromEntries(
      Object.entries(file).map(([name, value]) => [name, value instanceof Items ? [...value] : value]),
    )
  } catch (error) {
    if (error instanceof InOnePiece) return undefined
    throw error
  }
}

const words = [null, true, 0, -1.5, 'x', 'a-b', '/path', '']
const odd = [1e21, 'a: b', '- a', '"', '\\', '\\"', ']', '}{', 'é\n', '#']

/** Files whose texts are among these. */
const fileOf = (texts: readonly unknown[], keys: readonly string[]) => {
  const { any } = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(...texts),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...keys), tie('any'), { maxKeys: 3 }),
    ),
  }))
  const top = fc.oneof(fc.array(any, { maxLength: 4 }), any)
  return fc.dictionary(fc.constantFrom(...names, '_comment', 'other'), top, { minKeys: 1 })
}
const plainFile = fileOf(words, ['name', 'a', 'paths'])
// No key that needs an escape: V8 14 takes one for another, where that has a backslash and objects of its shape were read before.
const anyFile = fileOf([...words, ...odd], ['name', 'a', 'b c', 'é', 'paths'])

/** A change of a text by which it may be no configuration any more. */
const mutated = (text: string, at: number, insert: string, cut: number): string => {
  const place = Math.floor(at * text.length)
  return text.slice(0, place) + insert + text.slice(place + cut)
}
const mutation = fc.tuple(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.constantFrom(
    '',
    ',',
    ']',
    '[',
    '{',
    '}',
    '"',
    '\\',
    ' ',
    '\n',
    ':',
    '- ',
    '\n- x',
    '\nservices:',
    '1',
    '\uFEFF',
    'x',
  ),
  fc.constantFrom(0, 0, 1, 2, 7),
)

const ways = [
  { name: 'JSON', format: 'json', file: anyFile, write: (data: unknown) => JSON.stringify(data) },
  { name: 'JSON with breaks', format: 'json', file: anyFile, write: (data: unknown) => JSON.stringify(data, null, 2) },
  { name: 'YAML', format: 'yaml', file: anyFile, write: (data: unknown) => writeYaml(data) },
  { name: 'plain YAML', format: 'yaml', file: plainFile, write: (data: unknown) => writeYaml(data) },
] as const
for (const { name, format, file, write } of ways) {
  test(`a text of ${name} says the same piece by piece, however it is broken`, () => {
    let inPieces = 0
    fc.assert(
      fc.property(file, fc.option(mutation), (data, change) => {
        const text = change ? mutated(write(data), ...change) : write(data)
        const pieces = gathered(text, format)
        if (pieces === undefined) return
        inPieces++
        assert.deepEqual({ ok: true, value: pieces }, readText(text, format, textLimits), text)
      }),
      { numRuns: 3000 },
    )
    assert.ok(inPieces > (file === plainFile ? 100 : 20), `only ${inPieces} were read in pieces`)
  })
}

test('usual texts are read in pieces, and those too deep, too long, or with a key twice as a whole', () => {
  const usual = { _format_version: '3.0', services: [{ name: 's', routes: [{ paths: ['/'] }] }], consumers: [] }
  for (const text of [JSON.stringify(usual), ` ${JSON.stringify(usual, null, 2)}\n`]) {
    assert.deepEqual(gathered(text, 'json'), usual)
    assert.deepEqual(gathered(text, 'auto'), usual)
  }
  assert.deepEqual(gathered(`---\n# a comment\n${writeYaml(usual)}`, 'auto'), usual)
  assert.deepEqual(gathered('services:\n- name: s\n  url: u\n- name: t', 'yaml'), {
    services: [{ name: 's', url: 'u' }, { name: 't' }],
  })
  assert.equal(gathered('services: []\nservices: []', 'yaml'), undefined)
  assert.equal(gathered('services:\n- a\nother: &x 1', 'yaml'), undefined)
  assert.equal(gathered('{"services": [1], }', 'json'), undefined)
  assert.equal(gathered('{"services": [1 2]}', 'json'), undefined)
  const text = JSON.stringify(usual)
  assert.deepEqual(gathered(text, 'json', { ...textLimits, depth: 6 }), usual)
  assert.equal(gathered(text, 'json', { ...textLimits, depth: 5 }), undefined)
  assert.equal(readText(text, 'json', { ...textLimits, depth: 5 }).ok, false)
  assert.equal(gathered(text, 'json', { ...textLimits, length: text.length - 1 }), undefined)
})

test('every mistake is told at once, wherever it stands, and the same as of data that is given as a whole', () => {
  const data = {
    _format_version: '3.0',
    nonsense: 1,
    services: [
      { name: 's', url: 'http://a.test', routes: [{ name: 'r', paths: ['x'] }, 5] },
      { name: 's', url: 'http://a.test', retries: 'x' },
    ],
    routes: [{ name: 'other', paths: ['/'], service: 'nowhere' }],
    consumers: [{ username: 'c' }, 'no record', { username: 'c' }],
  }
  for (const flatten of [false, true]) {
    const options: DeclarativeOptions = { flatten, context: { now: () => 0, uuid: () => 'u', randomText: () => 't' } }
    const whole = parseDeclarative(data, options)
    assert.ok(!whole.ok)
    for (const text of [JSON.stringify(data), writeYaml(data)]) {
      const read = parseDeclarative(text, options)
      assert.ok(!read.ok)
      assert.deepEqual([read.message, read.fields, read.flattened], [whole.message, whole.fields, whole.flattened])
      const told = ({ path, message }: { path: readonly (string | number)[]; message: string }) =>
        `${path.join('.')}: ${message}`
      assert.deepEqual(read.places().map(told).toSorted(), whole.places().map(told).toSorted())
      assert.ok(whole.places().length >= 8)
    }
  }
})
