import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostAndPort, isAddressOrRange, parseHost } from './address.ts'

function normal(text: string): string {
  const parsed = parseHost(text)
  return 'error' in parsed ? parsed.error : `${parsed.type} ${hostAndPort(parsed, 1)}`
}

test('names may have a port and end in a dot', () => {
  assert.equal(normal('h.test'), 'name h.test:1')
  assert.equal(normal('h.test:80'), 'name h.test:80')
  assert.equal(normal('h.test.'), 'name h.test.:1')
  assert.equal(normal('a_b-c.1x'), 'name a_b-c.1x:1')
})

test('what is no name is refused', () => {
  for (const text of ['a b', '', 'a..b', 'a-.b', 'a/b', 'ä.test', 'h:', 'h:x'])
    assert.match(normal(text), /^invalid hostname/, text)
  assert.equal(normal('h:65536'), 'invalid port number')
})

test('IPv4 addresses lose leading zeros', () => {
  assert.equal(normal('001.2.03.4:8'), 'ipv4 1.2.3.4:8')
  for (const text of ['256.1.1.1', '1.2.3', '1.2.3.4:x', '1234', '...:1']) assert.match(normal(text), /^invalid/, text)
})

test('IPv6 addresses are written in full, in brackets', () => {
  assert.equal(normal('::1'), 'ipv6 [0000:0000:0000:0000:0000:0000:0000:0001]:1')
  assert.equal(normal('[2001:DB8::]:8'), 'ipv6 [2001:0db8:0000:0000:0000:0000:0000:0000]:8')
  for (const text of ['1::2::3', '[::1', '[::1]x', '::12345', ':::']) assert.match(normal(text), /^invalid/, text)
})

test('ranges have a prefix that fits the address', () => {
  for (const text of ['10.0.0.0/8', '::/0', '1.2.3.4', '::1']) assert.equal(isAddressOrRange(text), true, text)
  for (const text of ['10.0.0.0/33', '::/129', '1.2.3.4/', '1.2.3.4/01', '/8', 'x', 'fe80::1%eth0'])
    assert.equal(isAddressOrRange(text), false, text)
})
