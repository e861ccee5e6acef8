import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { element, integer, octets, read, readAll } from './ber.ts'
import { escapeValue } from './dn.ts'

test('a bind is written as RFC 4511 has it', () => {
  const bind = element(0x30, integer(1), element(0x60, integer(3), octets('cn=a'), octets('pw', 0x80)))
  assert.equal(bind.toString('hex'), '3012020101600d0201030404636e3d6180027077')
})

test('numbers are as short as can be, and never negative', () => {
  const hex = (value: number) => integer(value).toString('hex')
  assert.deepEqual([0, 127, 128, 256, 65_535].map(hex), ['020100', '02017f', '02020080', '02020100', '020300ffff'])
})

test('what is written is read again, whatever its length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000 }), (bytes) => {
      const written = element(4, Buffer.from(bytes))
      assert.deepEqual(read(written, 0, 1e6)?.content, Buffer.from(bytes))
      assert.equal(read(written.subarray(0, -1), 0, 1e6), undefined)
    }),
    { numRuns: 50 },
  )
})

test('lengths that LDAP does not know, too long elements and cut off ones are refused', () => {
  for (const bytes of [
    [4, 0x80],
    [4, 0x85, 1, 1, 1, 1, 1],
    [4, 0x82, 0xff, 0xff],
  ]) {
    assert.throws(() => read(Buffer.from(bytes), 0, 1000), RangeError)
  }
  assert.throws(() => readAll(Buffer.from([4, 2, 1])), RangeError)
})

test('whatever comes is read or refused, in no time', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        readAll(Buffer.from(bytes))
      } catch (error) {
        assert.ok(error instanceof RangeError)
      }
    }),
  )
})

for (const [value, escaped] of [
  ['alice', 'alice'],
  ['a,b+c"d\\e<f>g;h=i', 'a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h\\=i'],
  [' a ', '\\ a\\ '],
  ['#a', '\\#a'],
  [' ', '\\ '],
  ['a\0b', 'a\\00b'],
] as const) {
  test(`${JSON.stringify(value)} is written ${escaped} in a name`, () => assert.equal(escapeValue(value), escaped))
}
