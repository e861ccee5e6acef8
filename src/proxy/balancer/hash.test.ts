import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileHash, type HashFields, type HashInput, hashText } from './hash.ts'

const request = (changes: Partial<HashInput> = {}, headers: Record<string, readonly string[]> = {}): HashInput => ({
  clientIp: '192.0.2.1',
  path: '/users/7',
  rawQuery: '',
  identity: undefined,
  match: undefined,
  header: (name) => headers[name],
  balancerCookie: undefined,
  ...changes,
})

function hashed(fields: HashFields, input: HashInput): number | undefined {
  return compileHash(fields, () => 'a-new-id')?.(input)
}

test('nothing is hashed on where hash_on is none', () => {
  assert.equal(compileHash({ hash_on: 'none' }), undefined)
  assert.equal(compileHash({}), undefined)
})

test('a request is told apart by its consumer, or the credential that has none', () => {
  const consumer = { consumer: { id: 'anna' }, credential: { id: 'key' } }
  assert.equal(hashed({ hash_on: 'consumer' }, request({ identity: consumer })), hashText('anna'))
  const credential = { consumer: null, credential: { id: 'key' } }
  assert.equal(hashed({ hash_on: 'consumer' }, request({ identity: credential })), hashText('key'))
  assert.equal(hashed({ hash_on: 'consumer' }, request()), undefined)
})

test('a request is told apart by address, path, header, argument or capture', () => {
  assert.equal(hashed({ hash_on: 'ip' }, request()), hashText('192.0.2.1'))
  assert.equal(hashed({ hash_on: 'path' }, request()), hashText('/users/7'))
  const header = { hash_on: 'header', hash_on_header: 'X-Tenant' }
  assert.equal(hashed(header, request({}, { 'x-tenant': ['a', 'b'] })), hashText('a, b'))
  assert.equal(hashed(header, request()), undefined)
  const argument = { hash_on: 'query_arg', hash_on_query_arg: 'u' }
  assert.equal(hashed(argument, request({ rawQuery: 'x=1&u=b&u=a%20c' })), hashText('a c,b'))
  assert.equal(hashed(argument, request({ rawQuery: 'x=1' })), undefined)
  const captures = new Map<string | number, string>([
    [1, 'first'],
    ['tenant', 'named'],
  ])
  const match = { captures }
  assert.equal(hashed({ hash_on: 'uri_capture', hash_on_uri_capture: 'tenant' }, request({ match })), hashText('named'))
  assert.equal(hashed({ hash_on: 'uri_capture', hash_on_uri_capture: '1' }, request({ match })), hashText('first'))
  assert.equal(hashed({ hash_on: 'uri_capture', hash_on_uri_capture: 'tenant' }, request()), undefined)
})

test('the fallback is asked where the first has nothing', () => {
  const fields = {
    hash_on: 'header',
    hash_on_header: 'X-A',
    hash_fallback: 'header',
    hash_fallback_header: 'X-B',
  }
  assert.equal(hashed(fields, request({}, { 'x-a': ['1'], 'x-b': ['2'] })), hashText('1'))
  assert.equal(hashed(fields, request({}, { 'x-b': ['2'] })), hashText('2'))
  assert.equal(hashed(fields, request()), undefined)
})

test('a client without the cookie is given one, and keeps the peer that it leads to', () => {
  const fields = { hash_on: 'cookie', hash_on_cookie: 'seat', hash_on_cookie_path: '/shop' }
  const first = request()
  assert.equal(hashed(fields, first), hashText('a-new-id'))
  assert.equal(first.balancerCookie, 'seat=a-new-id; Path=/shop; Same-Site=Lax; HttpOnly')
  const second = request({}, { cookie: ['other=1; seat=a-new-id', 'more=2'] })
  assert.equal(hashed(fields, second), hashText('a-new-id'))
  assert.equal(second.balancerCookie, undefined)
})

test('a cookie is made only when it is what the request is told apart by', () => {
  const fields = { hash_on: 'ip', hash_fallback: 'cookie', hash_on_cookie: 'seat' }
  const asked = request()
  hashed(fields, asked)
  assert.equal(asked.balancerCookie, undefined)
})
