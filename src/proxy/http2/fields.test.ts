import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { firstValue } from '../http1/head.ts'
import { HeaderDecoder } from './hpack.ts'
import { encodeLines, encodeRequest, readRequestHead, readResponseHead, readTrailers } from './fields.ts'

const limits = { headBytes: 32_768, lineBytes: 8192, headers: 100 }
const usual = [':method', 'GET', ':scheme', 'https', ':path', '/a?b', ':authority', 'a.test']
const read = (list: readonly string[]) => readRequestHead(list, limits)

test('a request is read as the same one that HTTP/1.1 would have brought', () => {
  const head = read([...usual, 'accept', '*/*', 'cookie', 'a=b', 'x', 'y', 'cookie', 'c=d', 'te', 'trailers'])
  assert.ok(head && !('refused' in head))
  assert.equal(
    head.text,
    'GET /a?b HTTP/1.1\r\nhost: a.test\r\naccept: */*\r\nx: y\r\nte: trailers\r\ncookie: a=b; c=d\r\n\r\n',
  )
  assert.deepEqual([head.method, head.target, head.host], ['GET', '/a?b', 'a.test'])
})

test('Host alone will do, and may repeat the authority', () => {
  const hosts = [
    read([...usual.slice(0, 6), 'host', 'b.test']),
    read([...usual, 'host', 'a.test']),
    read([':method', 'CONNECT', ':authority', 'c.test:443']),
  ].map((head) => head && 'host' in head && head.host)
  assert.deepEqual(hosts, ['b.test', 'a.test', 'c.test:443'])
})

const without = (name: string) => usual.filter((_, at) => usual[at - (at % 2)] !== name)
const withValue = (name: string, value: string) => usual.map((text, at) => (usual[at - 1] === name ? value : text))

/** Each would mean something else, or more than one thing, once it is written as HTTP/1.1. */
const refused: Readonly<Record<string, readonly string[]>> = {
  'a line end in a value': [...usual, 'x', 'a\r\nevil: yes'],
  'a bare LF in a value': [...usual, 'x', 'a\nevil: yes'],
  'a NUL in a value': [...usual, 'x', 'a\0b'],
  'a blank before a value': [...usual, 'x', ' a'],
  'a tab behind a value': [...usual, 'x', 'a\t'],
  'a line end in a name': [...usual, 'x: y\r\nz', 'a'],
  'a colon in a name': [...usual, 'transfer-encoding:', 'chunked'],
  'a blank in a name': [...usual, 'content-length ', '5'],
  'an upper-case name': [...usual, 'X-Y', 'a'],
  'an empty name': [...usual, '', 'a'],
  'a name beyond ASCII': [...usual, 'x\u00e9', 'a'],
  'Transfer-Encoding': [...usual, 'transfer-encoding', 'chunked'],
  Connection: [...usual, 'connection', 'close'],
  'Keep-Alive': [...usual, 'keep-alive', 'timeout=5'],
  'Proxy-Connection': [...usual, 'proxy-connection', 'close'],
  Upgrade: [...usual, 'upgrade', 'websocket'],
  'TE other than trailers': [...usual, 'te', 'trailers, chunked'],
  'two hosts': [...usual.slice(0, 6), 'host', 'a', 'host', 'b'],
  'a Host that is not the authority': [...usual, 'host', 'b.test'],
  'user information': withValue(':authority', 'me@a.test'),
  'no method': without(':method'),
  'no scheme': without(':scheme'),
  'no path': without(':path'),
  'an empty path': withValue(':path', ''),
  'a path with a blank': withValue(':path', '/a HTTP/1.1\r\nevil: yes'),
  'a path with a line end': withValue(':path', '/a\r\nevil: yes'),
  'a path that is a URL': withValue(':path', 'http://b.test/'),
  'a path without a slash': withValue(':path', 'a'),
  'a method with a blank': withValue(':method', 'GET / HTTP/1.1\r\nx: y\r\n\r\nPOST'),
  'a method with a line end': withValue(':method', 'GET\r\n'),
  'a scheme with a blank': withValue(':scheme', 'ht tp'),
  'a path of CONNECT': withValue(':method', 'CONNECT'),
  'CONNECT to nowhere': [':method', 'CONNECT'],
  'two methods': [...usual, ':method', 'POST'],
  'two paths': [':path', '/b', ...usual],
  'an unknown pseudo-header': [...usual, ':protocol', 'websocket'],
  'that of a response': [...usual, ':status', '200'],
  'one behind a field': ['x', 'y', ...usual],
}

for (const [what, list] of Object.entries(refused)) {
  test(`${what} makes no request`, () => assert.equal(read(list), undefined))
}

const answered: Readonly<Record<string, readonly [status: number, list: readonly string[]]>> = {
  'two lengths': [400, [...usual, 'content-length', '5', 'content-length', '5']],
  'a length that is no number': [400, [...usual, 'content-length', '+5']],
  'two Authorization lines': [400, [...usual, 'authorization', 'a', 'authorization', 'b']],
  'no host at all': [400, without(':authority')],
  'a host that is a path': [400, withValue(':authority', 'a/b')],
  'an empty host': [400, withValue(':authority', '')],
  'a control character': [400, [...usual, 'x', 'a\u0001b']],
  'a lower-case method': [400, withValue(':method', 'get')],
  'a path beyond the bound': [414, withValue(':path', `/${'a'.repeat(9000)}`)],
  'more lines than allowed': [494, [...usual, ...Array.from({ length: 101 }, (_, at) => [`x-${at}`, 'y']).flat()]],
}

for (const [what, [status, list]] of Object.entries(answered)) {
  test(`${what} is answered as over HTTP/1.1`, () => {
    const head = read(list)
    assert.ok(head && 'refused' in head)
    assert.equal(head.status, status)
  })
}

test('whatever the fields are, their head has exactly them, or there is none', () => {
  const odd = fc.string({ unit: fc.constantFrom(...'ab:/ \r\n\t\0@?-_AÿGET'.split('')), maxLength: 12 })
  const name = fc.oneof(fc.constantFrom('x', 'cookie', 'content-length', 'transfer-encoding', 'host', 'te'), odd)
  const pseudo = fc.tuple(fc.constantFrom(':method', ':path', ':scheme', ':authority'), odd)
  fc.assert(
    fc.property(fc.array(pseudo, { maxLength: 2 }), fc.array(fc.tuple(name, odd), { maxLength: 6 }), (first, rest) => {
      const given = new Set<string | undefined>(first.map(([name]) => name))
      const list = usual.flatMap((text, at) => (given.has(usual[at - (at % 2)]) ? [] : [text]))
      const head = read([...first.flat(), ...list, ...rest.flat()])
      if (head === undefined || 'refused' in head) return
      const lines = head.text.slice(0, -4).split('\r\n').slice(1)
      const names = new Set(rest.map(([name]) => name)).add('host')
      assert.equal(
        lines.length,
        new Set([...names].filter((name) => name === 'host' || name === 'cookie')).size +
          rest.filter(([name]) => name !== 'host' && name !== 'cookie').length,
      )
      for (const [name, value] of rest) {
        if (name !== 'cookie') assert.ok(lines.includes(`${name}: ${value}`))
        assert.notEqual(firstValue(head, name), undefined)
      }
    }),
    { numRuns: 3000 },
  )
})

test('lines become fields, without those that speak of a connection', () => {
  const lines =
    'Content-Type:  text/plain \r\nConnection: x\r\nTransfer-Encoding: chunked\r\nX-A: \u00e9\u00a0\r\nX-B:\r\n'
  const bytes = Buffer.from(encodeLines(lines), 'latin1')
  const fields = new HeaderDecoder().decode(bytes, 0, bytes.length, 1000)
  assert.deepEqual(fields?.list, ['content-type', 'text/plain', 'x-a', '\u00e9\u00a0', 'x-b', ''])
})

test('trailers that may not trail are left out, and those that are none refused', () => {
  assert.equal(readTrailers(['grpc-status', '0', 'authorization', 'x', 'x-sum', 'a']), 'grpc-status: 0\r\nx-sum: a\r\n')
  for (const list of [
    [':status', '200'],
    ['X', 'y'],
    ['x', 'a\r\nb'],
    ['connection', 'close'],
  ])
    assert.equal(readTrailers(list), undefined)
})

test('a response is read as the same one that HTTP/1.1 would have brought', () => {
  const head = readResponseHead([':status', '200', 'content-type', 'application/grpc', 'x', ''], 100)
  assert.equal(head?.text, 'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\nx: \r\n\r\n')
  for (const list of [
    [],
    ['x', 'y'],
    [':status', '20'],
    [':status', '2000'],
    [':status', '200', ':status', '200'],
    [':status', '200', 'x', 'a\r\nb: c'],
    [':status', '200', 'transfer-encoding', 'chunked'],
    [':status', '200', 'content-length', '5', 'content-length', '6'],
  ])
    assert.equal(readResponseHead(list, 100), undefined, list.join())
})

test('a request to a peer is its head, with the pseudo-headers that it stands for', () => {
  const text = 'POST /a?b HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive\r\nTE: trailers\r\nX-Y: z\r\n\r\n'
  const bytes = Buffer.from(encodeRequest(text, 'https'), 'latin1')
  assert.deepEqual(new HeaderDecoder().decode(bytes, 0, bytes.length, 1000)?.list, [
    ':method',
    'POST',
    ':scheme',
    'https',
    ':path',
    '/a?b',
    ':authority',
    'a.test',
    'te',
    'trailers',
    'x-y',
    'z',
  ])
})
