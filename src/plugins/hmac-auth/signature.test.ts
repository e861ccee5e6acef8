import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseSignature } from './signature.ts'

/** Kong's pattern; in an engine that backtracks, which is why the plugin does not use it. */
const pattern = /\s*[Hh]mac\s*username="(.+)",\s*algorithm="(.+)",\s*headers="(.+)",\s*signature="(.+)"/

function expected(header: string) {
  const [, username = '', algorithm = '', headers = '', signature = ''] = pattern.exec(header) ?? []
  return username === '' ? undefined : { username, algorithm, headers: headers.split(' '), signature }
}

const pieces = [
  'hmac ',
  'Hmac',
  'username="',
  'algorithm="',
  'headers="',
  'signature="',
  '", ',
  '",',
  '"',
  ',',
  ' ',
  'a',
  'hmac username="a", algorithm="b", headers="c d", signature="e"',
]

test('a header is read as Kong reads it', () => {
  const anyHeader = fc.array(fc.constantFrom(...pieces), { maxLength: 24 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(anyHeader, (header) => assert.deepEqual(parseSignature(header), expected(header))),
    { numRuns: 3000 },
  )
})

test('a long hostile header is read in one pass', () => {
  const hostile = 'hmac username="'.repeat(300) + '", algorithm="'.repeat(300) + '", headers="'.repeat(300)
  assert.equal(parseSignature(hostile.repeat(3)), undefined)
})
