import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ChunkedBody } from './body.ts'
import { findHeadEnd, firstValue, parseRequestHead, parseResponseHead, PartialHead } from './head.ts'

const limits = { headBytes: 32_768, lineBytes: 8192, headers: 100 }
const parse = (text: string) => parseRequestHead(Buffer.from(text, 'latin1'), 0, text.length, limits)
const get = (...lines: string[]) => ['GET / HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n')

test('a plain request head is read', () => {
  const head = parse(get('X-One:  1 ', 'x-two:', 'Content-Length: 12', 'Connection: close, X-Hop'))
  assert.ok(!('refused' in head))
  assert.deepEqual([head.method, head.target, head.minor, head.host], ['GET', '/', 1, 'a'])
  assert.deepEqual(
    [head.contentLength, head.chunked, head.persistence, head.nominated],
    [12, false, 'close', ['x-hop']],
  )
  assert.deepEqual(
    ['x-one', 'x-two', 'x-three'].map((name) => firstValue(head, name)),
    ['1', '', undefined],
  )
})

const refused: Readonly<Record<string, readonly [text: string, status: number]>> = {
  'a bare LF': ['GET / HTTP/1.1\nHost: a\r\n\r\n', 400],
  'a bare LF in a header': [get('A: b\nC: d'), 400],
  'a bare CR in a value': [get('A: b\rC: d'), 400],
  'a folded line': [get('A: b', ' c'), 400],
  'a space before the colon': [get('A : b'), 400],
  'an empty name': [get(': b'), 400],
  'a NUL': [get('A: b\0'), 400],
  'no Host': ['GET / HTTP/1.1\r\n\r\n', 400],
  'two Hosts': [get('Host: b'), 400],
  'a Host with a slash': ['GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
  'two Authorizations': [get('Authorization: a', 'Authorization: a'), 400],
  'two lengths': [get('Content-Length: 1', 'Content-Length: 1'), 400],
  'a length with a sign': [get('Content-Length: +1'), 400],
  'a list of lengths': [get('Content-Length: 1, 1'), 400],
  'an empty length': [get('Content-Length:'), 400],
  'a length and a coding': [get('Content-Length: 1', 'Transfer-Encoding: chunked'), 400],
  'two codings': [get('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), 400],
  'a list of codings': [get('Transfer-Encoding: gzip, chunked'), 501],
  'a coding in HTTP/1.0': ['GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
  'HTTP/2.0': ['GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
  'a space in the target': ['GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  'too many headers': [get(...Array.from({ length: 101 }, (_, at) => `A${at}: b`)), 494],
  'a long line': [`GET /${'a'.repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
  'a long head': [get(`A: ${'b'.repeat(40_000)}`), 494],
}

for (const [what, [text, status]] of Object.entries(refused)) {
  test(`a request head with ${what} is refused`, () => {
    const head = parse(text)
    assert.equal('refused' in head ? head.status : 200, status)
  })
}

test('what is wrong with a head is found however it is cut, and as soon as its line is there', () => {
  const names = [
    'a bare LF',
    'a bare LF in a header',
    'HTTP/2.0',
    'a space in the target',
    'a long line',
    'a long head',
  ]
  for (const [text, status] of names.map((name) => refused[name] as readonly [string, number])) {
    const bytes = Buffer.from(text, 'latin1')
    const partial = new PartialHead()
    let refusal
    let read = 0
    while (refusal === undefined && read < bytes.length - 2) refusal = partial.check(bytes, 0, ++read, limits)
    assert.equal(refusal?.status, status, JSON.stringify(text.slice(0, 60)))
  }
})

test('of a head that comes byte by byte each byte is looked at once', () => {
  const text = get(...Array.from({ length: 90 }, (_, at) => `X-${at}: ${'x'.repeat(300)}`)).slice(0, -4)
  const bytes = Buffer.from(text, 'latin1')
  let looked = 0
  const subarray = bytes.subarray.bind(bytes)
  // Where the search begins and what it may see at most tells what it costs.
  bytes.subarray = (from, to) => {
    const part = subarray(from, to)
    const indexOf = part.indexOf.bind(part)
    part.indexOf = ((value: number, at: number) => {
      const found = indexOf(value, at)
      looked += (found < 0 ? part.length : found + 1) - at
      return found
    }) as typeof part.indexOf
    return part
  }
  const partial = new PartialHead()
  for (let end = 1; end <= bytes.length; end++) assert.equal(partial.check(bytes, 0, end, limits), undefined)
  assert.equal(looked, bytes.length)
})

const badResponses: readonly string[] = [
  'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n',
  'HTTP/1.1 2000\r\n\r\n',
  'HTTP/2 200 OK\r\n\r\n',
  'HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n',
]

test('a response head that could be read in two ways is refused', () => {
  for (const text of badResponses) {
    assert.equal(parseResponseHead(Buffer.from(text), 0, text.length, 100), undefined, text)
  }
})

test('no bytes make the parser throw', () => {
  const piece = fc.oneof(
    fc.constantFrom('GET / HTTP/1.1\r\n', 'Host: a\r\n', '\r\n', ': ', 'Content-Length: ', 'HTTP/1.1 200 OK\r\n', '1'),
    fc.string({ unit: 'binary' }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const bytes = Buffer.from(`${pieces.join('')}\r\n\r\n`, 'latin1')
      const end = findHeadEnd(bytes, 0, 0, bytes.length)
      parseRequestHead(bytes, 0, end, limits)
      parseResponseHead(bytes, 0, end, 100)
    }),
    { numRuns: 2000 },
  )
})

function decode(pieces: readonly Buffer[]) {
  const reader = new ChunkedBody()
  let text = ''
  for (const bytes of pieces) {
    reader.read(bytes, 0, bytes.length, (from, start, end) => (text += from.toString('latin1', start, end)))
  }
  return { text, done: reader.done, failed: reader.failed, trailers: reader.trailers }
}

test('a chunked body is the same however it is cut', () => {
  const chunks = fc.array(fc.string({ minLength: 1, maxLength: 40 }), { maxLength: 6 })
  fc.assert(
    fc.property(chunks, fc.array(fc.nat(300)), (parts, cuts) => {
      const encoded = parts.map((part) => {
        const bytes = Buffer.from(part)
        return `${bytes.length.toString(16)};x=y\r\n${bytes.toString('latin1')}\r\n`
      })
      const all = Buffer.from(`${encoded.join('')}0\r\nX-T: 1\r\n\r\n`, 'latin1')
      const places = [0, ...cuts.map((cut) => cut % all.length).toSorted((one, other) => one - other), all.length]
      const pieces = places.slice(1).map((end, at) => all.subarray(places[at], end))
      const whole = Buffer.from(parts.join('')).toString('latin1')
      assert.deepEqual(decode(pieces), { text: whole, done: true, failed: false, trailers: 'X-T: 1\r\n' })
    }),
  )
})

test('a chunked body with anything but CRLF, digits and extensions fails', () => {
  for (const text of [
    '1\na\n0\n\n',
    '\r\n',
    'x\r\n',
    '1\r\nab\r\n',
    '+1\r\na\r\n',
    '0x1\r\na\r\n',
    '11111111111111\r\n',
    '1 \r\na\r\n',
  ]) {
    assert.equal(decode([Buffer.from(text)]).failed, true, JSON.stringify(text))
  }
})
