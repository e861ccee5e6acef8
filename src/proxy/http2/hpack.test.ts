import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeField, HeaderDecoder, withoutTable } from './hpack.ts'

const plenty = 1 << 20

function decode(decoder: HeaderDecoder, hex: string, maxBytes = plenty) {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
  return decoder.decode(bytes, 0, bytes.length, maxBytes)
}

/** The fields of a block as lines. */
const lines = (fields: ReturnType<typeof decode>) =>
  fields?.list.flatMap((text, at, all) => (at % 2 === 0 ? [`${text}: ${all[at + 1]}`] : []))

// RFC 7541 C.4 and C.6: the same connection's blocks one after the other, strings coded by Huffman.
const requests = [
  ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', []],
  ['8286 84be 5886 a8eb 1064 9cbf', ['cache-control: no-cache']],
  ['8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf', ['custom-key: custom-value']],
] as const

test('blocks that refer to earlier ones are read, as RFC 7541 has them (C.4)', () => {
  const decoder = new HeaderDecoder()
  const paths = ['/', '/', '/index.html']
  requests.forEach(([hex, more], at) => {
    assert.deepEqual(lines(decode(decoder, hex)), [
      ':method: GET',
      `:scheme: ${at === 2 ? 'https' : 'http'}`,
      `:path: ${paths[at]}`,
      ':authority: www.example.com',
      ...more,
    ])
  })
})

test('the oldest fields leave a table that has become too small (C.6, with a table of 256 bytes)', () => {
  const decoder = new HeaderDecoder()
  // 3f e1 01: the table gets 256 bytes.
  const first =
    '3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 ' +
    '63c7 8f0b 97c8 e9ae 82ae 43d3'
  assert.deepEqual(lines(decode(decoder, first)), [
    ':status: 302',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ])
  assert.deepEqual(lines(decode(decoder, '4883 640e ffc1 c0bf'))?.slice(0, 2), [
    ':status: 307',
    'cache-control: private',
  ])
  // The oldest, `:status: 302`, has gone: the fifth of the table is not there.
  assert.equal(decode(decoder, 'c2'), undefined)
})

test('what is written is read as the same', () => {
  const text = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 300,
  })
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { maxLength: 20 }), (fields) => {
      const block = withoutTable + fields.map(([name, value]) => encodeField(name, value)).join('')
      const bytes = Buffer.from(block, 'latin1')
      assert.deepEqual(new HeaderDecoder().decode(bytes, 0, bytes.length, plenty)?.list, fields.flat())
    }),
  )
})

test('whatever comes is read or refused, and never more of it than allowed', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
      const decoder = new HeaderDecoder()
      for (const block of blocks) {
        const fields = decoder.decode(Buffer.from(block), 0, block.length, 500)
        assert.ok((fields?.list.join('').length ?? 0) <= 500)
      }
    }),
    { numRuns: 2000 },
  )
})

test('a block that names one long field again and again is not unfolded', () => {
  const decoder = new HeaderDecoder()
  const bytes = Buffer.concat([
    Buffer.from([0x40, 1, 0x61, 0x7f, 0xa1, 0x1e]),
    Buffer.alloc(4000, 'x'),
    Buffer.alloc(10_000, 0xbe),
  ])
  const fields = decoder.decode(bytes, 0, bytes.length, 32_768)
  assert.equal(fields?.tooLarge, true)
  assert.ok((fields?.list.join('').length ?? 0) <= 32_768)
  // The table has stayed that of the other end.
  assert.equal(decode(decoder, 'be')?.list[0], 'a')
})

const invalid = {
  'an index of nothing': '80',
  'an index beyond the table': 'be',
  'a number that never ends': 'ff ffff ffff ff7f',
  'a string longer than the block': '40 0561',
  'a string without its value': '40 0161',
  'a new size behind a field': '82 20',
  'a table larger than allowed': '3f e2 1f',
  'padding by zeroes': '40 81 18 00',
  'padding of a whole byte': '40 82 1f ff 00',
  'the end of a string within it': '40 84 ff ff ff ff 00',
} as const

for (const [what, hex] of Object.entries(invalid)) {
  test(`${what} is no block`, () => assert.equal(decode(new HeaderDecoder(), hex), undefined))
}
