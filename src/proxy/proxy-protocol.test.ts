import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { readProxyHeader } from './proxy-protocol.ts'

const textHeader = (text: string) => readProxyHeader(Buffer.from(text, 'latin1'))
const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

function binary(command: number, family: number, content: Buffer, length = content.length): Buffer {
  const head = Buffer.from([command, family, length >> 8, length & 0xff])
  return Buffer.concat([signature, head, content])
}
const ipv4 = Buffer.from([203, 0, 113, 7, 10, 0, 0, 1, 0xdd, 0xd5, 0x01, 0xbb])
const ipv6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from('20010db8000000000000000000000002', 'hex'),
  Buffer.from([0x30, 0x39, 0x01, 0xbb]),
])

test('a line of version 1 names the client', () => {
  assert.deepEqual(textHeader('PROXY TCP4 203.0.113.7 10.0.0.1 56789 443\r\nGET /'), {
    state: 'complete',
    bytes: 43,
    peer: { address: '203.0.113.7', port: 56789 },
  })
  assert.deepEqual(textHeader('PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n'), {
    state: 'complete',
    bytes: 44,
    peer: { address: '2001:db8::1', port: 1 },
  })
})

test('UNKNOWN names nobody, whatever stands behind it', () => {
  for (const line of ['PROXY UNKNOWN\r\n', 'PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n'])
    assert.deepEqual(textHeader(line), { state: 'complete', bytes: line.length, peer: undefined })
})

for (const line of [
  'GET / HTTP/1.1\r\n',
  'proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n',
  'PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n',
  'PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n',
  'PROXY TCP4 ::1 ::1 1 2\r\n',
  'PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n',
  'PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n',
  'PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n',
  'PROXY UNKNOWNX\r\n',
  'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n',
  `PROXY UNKNOWN ${'x'.repeat(200)}\r\n`,
]) {
  test(`the line ${JSON.stringify(line.slice(0, 40))} is refused`, () => {
    const state = textHeader(`${line}${line.endsWith('\r\n') ? '' : 'x'.repeat(107)}`).state
    assert.equal(state, 'invalid')
  })
}

test('a header of version 2 names the client, whatever fields stand behind its addresses', () => {
  assert.deepEqual(readProxyHeader(Buffer.concat([binary(0x21, 0x11, ipv4), Buffer.from('GET /')])), {
    state: 'complete',
    bytes: 28,
    peer: { address: '203.0.113.7', port: 56789 },
  })
  const more = Buffer.concat([ipv6, Buffer.from([0x04, 0x00, 0x02, 0x00, 0x00])])
  assert.deepEqual(readProxyHeader(binary(0x21, 0x21, more)), {
    state: 'complete',
    bytes: 16 + more.length,
    peer: { address: '2001:db8::1', port: 12345 },
  })
})

test('an IPv4 address in IPv6 is told as such, so that ranges of either kind hold it', () => {
  const mapped = Buffer.concat([Buffer.from('00000000000000000000ffffcb007107', 'hex'), ipv6.subarray(16)])
  const header = readProxyHeader(binary(0x21, 0x21, mapped))
  assert.ok(header.state === 'complete')
  assert.equal(header.peer?.address, '203.0.113.7')
})

test('what a balancer sends for itself, or for a socket file, names nobody', () => {
  for (const header of [
    binary(0x20, 0x00, Buffer.alloc(0)),
    binary(0x20, 0x11, ipv4),
    binary(0x21, 0x00, Buffer.alloc(3)),
  ])
    assert.deepEqual(readProxyHeader(header), { state: 'complete', bytes: header.length, peer: undefined })
})

for (const [what, header] of [
  ['version 3', binary(0x31, 0x11, ipv4)],
  ['an unknown command', binary(0x22, 0x11, ipv4)],
  ['UDP', binary(0x21, 0x12, ipv4)],
  ['an unknown family', binary(0x21, 0x41, ipv4)],
  ['addresses that are cut short', binary(0x21, 0x11, ipv4.subarray(0, 11))],
  ['more than 4096 bytes', binary(0x21, 0x11, ipv4, 60_000)],
] as const) {
  test(`a header of version 2 with ${what} is refused`, () => {
    assert.equal(readProxyHeader(header).state, 'invalid')
  })
}

test('a header that comes in pieces is waited for, and read the same however it is cut', () => {
  const whole = [Buffer.from('PROXY TCP4 203.0.113.7 10.0.0.1 56789 443\r\n'), binary(0x21, 0x21, ipv6)]
  for (const header of whole) {
    for (let cut = 0; cut < header.length; cut++)
      assert.equal(readProxyHeader(header.subarray(0, cut)).state, 'partial', `${cut} bytes`)
    assert.equal(readProxyHeader(header).state, 'complete')
  }
})

test('whatever bytes come, the answer is one of three, and never waits for more than 4096', () => {
  const beginning = fc.constantFrom(Buffer.alloc(0), signature, Buffer.from('PROXY '), Buffer.from('PROXY TCP4 '))
  fc.assert(
    fc.property(beginning, fc.uint8Array({ maxLength: 300 }), (begin, rest) => {
      const bytes = Buffer.concat([begin, rest])
      const header = readProxyHeader(bytes)
      if (header.state === 'complete') assert.ok(header.bytes <= bytes.length)
      const long = Buffer.concat([bytes, Buffer.alloc(4096)])
      assert.notEqual(readProxyHeader(long).state, 'partial')
    }),
  )
})
