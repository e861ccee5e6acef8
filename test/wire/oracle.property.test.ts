/** The parser against a second reading of the RFC, on requests made of its grammar and of what breaks it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readAll } from './oracle.ts'
import { parseAll } from './parse.ts'
import { shown } from './requests.ts'

const odd = fc.constantFrom('\r', '\n', '\r\n', '\0', ' ', '\t', '\x0b', '\x7f', '\xff', ':', ';', '_')
const name = fc.constantFrom('Host', 'content-length', 'Transfer-Encoding', 'Connection', 'Authorization', 'X-A', 'x_b')
const value = fc.oneof(
  fc.constantFrom('a', '', '0', '5', '05', '+5', '5, 5', 'chunked', 'Chunked', 'identity', 'gzip, chunked', 'close'),
  fc.string({ unit: 'binary', maxLength: 6 }),
)
const line = fc
  .tuple(
    name,
    fc.constantFrom(':', ': ', ' :', ':\t', ''),
    value,
    fc.constantFrom('\r\n', '\r\n', '\r\n', '\n', ' \r\n', '\r\n '),
  )
  .map((parts) => parts.join(''))
const first = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'get', ''),
    fc.constantFrom(' ', '  ', '\t'),
    fc.constantFrom('/x', '/a%20b', '*', ''),
    fc.constantFrom(' HTTP/1.1', ' HTTP/1.0', ' HTTP/2.0', ''),
    fc.constantFrom('\r\n', '\r\n', '\n'),
  )
  .map((parts) => parts.join(''))
const size = fc.constantFrom('5', '05', '0', '5;a=b', '5 ', 'g', '', 'ffffffffffffffff')
const chunk = fc
  .tuple(size, fc.constantFrom('\r\n', '\n'), fc.constantFrom('hello', 'hell', ''), fc.constantFrom('\r\n', '', '\n'))
  .map((parts) => parts.join(''))
const body = fc.oneof(
  fc.constantFrom('', 'hello', '0\r\n\r\n', '5\r\nhello\r\n0\r\n\r\n'),
  fc.array(chunk, { maxLength: 3 }).map((chunks) => `${chunks.join('')}0\r\n\r\n`),
)
const request = fc
  .tuple(
    first,
    fc.array(fc.oneof(line, fc.constant('Host: a\r\n')), { maxLength: 4 }),
    fc.constantFrom('\r\n', '\r\n', '\n'),
    body,
  )
  .map(([start, lines, end, rest]) => start + lines.join('') + end + rest)
const texts = fc
  .array(fc.oneof(request, odd), { maxLength: 3 })
  .map((parts) => parts.join('').replaceAll(/[^\x00-\xff]/g, '?'))

test('both readings give the same requests, and refuse the same', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const [mine, other] = [parseAll(Buffer.from(text, 'latin1')), readAll(text)]
      assert.deepEqual(mine.requests, other.requests, shown(text))
      // What cannot become good any more may be refused before it is complete.
      if (!(other.end === 'incomplete' && mine.end === 'refused')) assert.equal(mine.end, other.end, shown(text))
    }),
    { numRuns: 20_000 },
  )
})
