import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyHead } from './http1/head.ts'
import { addressSet, clientAddress } from './real-ip.ts'

test('ranges of either family are trusted, and unix: is taken without meaning anything', () => {
  const isTrusted = addressSet(['unix:', '10.0.0.0/8', '2001:db8::/32', '192.0.2.1'])
  for (const address of ['10.1.2.3', '2001:db8::7', '192.0.2.1']) assert.ok(isTrusted(address), address)
  for (const address of ['11.0.0.1', '2001:db9::1', '192.0.2.2', '']) assert.ok(!isTrusted(address), address)
  assert.equal(addressSet(['unix:'])('127.0.0.1'), false)
})

test('whom a PROXY header names is believed of trusted balancers only, and only where the setting says so', () => {
  const proxied = { address: '203.0.113.7', port: 1 }
  const trusting = (realIpHeader: string) => ({
    isTrusted: addressSet(['10.0.0.1']),
    realIpHeader,
    realIpRecursive: false,
  })
  const from = (remoteAddress: string, header: string) =>
    clientAddress(trusting(header), { remoteAddress, proxied }, emptyHead)
  assert.equal(from('10.0.0.1', 'proxy_protocol'), '203.0.113.7')
  assert.equal(from('10.0.0.2', 'proxy_protocol'), '10.0.0.2')
  assert.equal(from('10.0.0.1', 'x-real-ip'), '10.0.0.1')
})
