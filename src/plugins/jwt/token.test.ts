import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decodeBase64url, decodeToken, limitTokens, parsePart, type Token } from './token.ts'

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const header = encode({ alg: 'HS256' })
const claims = encode({ iss: 'someone' })
const good = `${header}.${claims}.c2ln`

test('a token is taken apart into header, claims, what is signed, and the signature', () => {
  const token = decodeToken(good) as Token
  assert.deepEqual(token, {
    alg: 'HS256',
    header: { alg: 'HS256' },
    claims: { iss: 'someone' },
    signed: `${header}.${claims}`,
    signature: Buffer.from('sig'),
  })
})

const refused: Readonly<Record<string, readonly [text: string, refusal: string]>> = {
  'an empty text': ['', 'not JSON'],
  'two parts': [`${header}.${claims}`, 'not JSON'],
  'dots alone': ['..', 'not JSON'],
  'four parts': [`${good}.x`, 'bad signature text'],
  'padding in the header': [`${encode('{"alg":"HS256"} ')}==.${claims}.c2ln`, 'not JSON'],
  'padding in the signature': [`${header}.${claims}.c2lnbg==`, 'bad signature text'],
  'the other base64 alphabet': [`${header}.${claims}.++//`, 'bad signature text'],
  'left-over bits in the signature': [`${header}.${claims}.c2lnbh`, 'bad signature text'],
  'a lone last character': [`${header}.${claims}.c2lnb`, 'bad signature text'],
  'white space in the signature': [`${header}.${claims}.c2 ln`, 'bad signature text'],
  'a character beyond ASCII': [`${header}.${claims}.c2ln\u0100`, 'bad signature text'],
  'text behind the token': [`${good} and more`, 'bad signature text'],
  'a header that is no JSON': [`${encode('{alg')}.${claims}.c2ln`, 'not JSON'],
  'claims that are no JSON': [`${header}.${encode('{')}.c2ln`, 'not JSON'],
  'claims that are not UTF-8': [`${header}.${Buffer.of(0x22, 0xff, 0x22).toString('base64url')}.c2ln`, 'not JSON'],
  'a byte order mark': [`${encode('\ufeff{"alg":"HS256"}')}.${claims}.c2ln`, 'not JSON'],
  'a header that is null': [`${encode('null')}.${claims}.c2ln`, 'bad alg'],
  'a header that is an array': [`${encode('["alg"]')}.${claims}.c2ln`, 'bad alg'],
  'a header that is a text': [`${encode('"HS256"')}.${claims}.c2ln`, 'bad alg'],
  'claims that are false': [`${header}.${encode('false')}.!!!`, 'no claims'],
  'no alg': [`${encode({ typ: 'JWT' })}.${claims}.c2ln`, 'bad alg'],
  'an alg that is a number': [`${encode({ alg: 256 })}.${claims}.c2ln`, 'bad alg'],
  'an alg that is an array': [`${encode({ alg: ['HS256'] })}.${claims}.c2ln`, 'bad alg'],
  'an alg in lower case': [`${encode({ alg: 'hs256' })}.${claims}.c2ln`, 'bad alg'],
  'an alg only in the prototype': [`${encode('{"__proto__":{"alg":"HS256"}}')}.${claims}.c2ln`, 'bad alg'],
  'an alg named as a method': [`${encode({ alg: 'constructor' })}.${claims}.c2ln`, 'bad alg'],
  'critical extensions': [`${encode({ alg: 'HS256', crit: ['exp'], exp: 1 })}.${claims}.c2ln`, 'critical extension'],
  'an empty list of critical extensions': [
    `${encode({ alg: 'HS256', crit: [] })}.${claims}.c2ln`,
    'critical extension',
  ],
}

for (const [what, [text, refusal]] of Object.entries(refused)) {
  test(`${what}: ${refusal}`, () => assert.equal(decodeToken(text), refusal))
}

test('none is refused in every spelling', () => {
  for (const alg of ['none', 'None', 'NONE', 'nOnE', ' none', 'none ', 'none\u0000', '']) {
    assert.equal(decodeToken(`${encode({ alg })}.${claims}.`), 'bad alg')
  }
})

test('of a member written twice the last one counts, for the algorithm as for the claims', () => {
  const token = decodeToken(`${encode('{"alg":"none","alg":"HS256"}')}.${encode('{"iss":"a","iss":"b"}')}.`) as Token
  assert.equal(token.alg, 'HS256')
  assert.equal(token.claims['iss'], 'b')
  assert.equal(decodeToken(`${encode('{"alg":"HS256","alg":"none"}')}.${claims}.`), 'bad alg')
})

test('claims that are JSON but no object hold nothing', () => {
  for (const payload of ['null', '1', 'true', '"text"', '["iss","someone"]']) {
    assert.deepEqual((decodeToken(`${header}.${encode(payload)}.`) as Token).claims, {})
  }
})

test('nothing that a token holds reaches a prototype', () => {
  const token = decodeToken(`${header}.${encode('{"__proto__":{"iss":"admin"}}')}.`) as Token
  assert.equal(Object.hasOwn(token.claims, 'iss'), false)
  assert.equal(({} as Record<string, unknown>)['iss'], undefined)
})

test('nesting as deep as a token can hold is read or refused, and ends', () => {
  for (const payload of ['['.repeat(6000), '['.repeat(6000) + ']'.repeat(6000), '{"a":'.repeat(2300)]) {
    const token = decodeToken(`${header}.${encode(payload)}.`)
    assert.ok(token === 'not JSON' || token === 'too long' || Object.keys((token as Token).claims).length === 0)
  }
})

test('a token longer than the limit is refused unread', () => {
  const long = `${header}.${encode({ iss: 'x'.repeat(13_000) })}.`
  assert.equal(decodeToken(long), 'too long')
  assert.equal(decodeToken('x'.repeat(1024 * 1024)), 'too long')
  limitTokens({ longestToken: 32 * 1024 })
  assert.equal(typeof decodeToken(long), 'object')
  limitTokens({ longestToken: 16 * 1024 })
})

test('bytes have one text in base64url, and only that text is read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.string({ maxLength: 40, unit: 'binary' }), (bytes, text) => {
      const encoded = Buffer.from(bytes).toString('base64url')
      assert.deepEqual(decodeBase64url(encoded), Buffer.from(bytes))
      const decoded = decodeBase64url(text)
      assert.ok(decoded === undefined || decoded.toString('base64url') === text)
    }),
  )
})

test('where a character of base64url is another one, it is read just where an encoder would write it so', () => {
  const character = fc.oneof(
    fc.constantFrom('A', 'Q', 'g', 'w', '-', '_', '+', '/', '=', ' ', '\u0141'),
    fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.nat(11), character, (bytes, at, other) => {
      const encoded = Buffer.from(bytes).toString('base64url')
      const text = encoded.slice(0, at) + other + encoded.slice(at + 1)
      const isCanonical = Buffer.from(text, 'base64url').toString('base64url') === text
      assert.deepEqual(decodeBase64url(text), isCanonical ? Buffer.from(text, 'base64url') : undefined)
    }),
    { numRuns: 5000 },
  )
})

test('no text whatever makes the decoder throw', () => {
  const part = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json().map(encode),
    fc.constant(header),
    fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64url')),
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
      const token = decodeToken(parts.join('.'))
      assert.ok(typeof token === 'string' || token.alg === 'HS256')
    }),
    { numRuns: 1000 },
  )
})

test('a name that is written with escapes is read as what it is, whatever strangers sent before', () => {
  const strangers = String.raw`{"iss":"x","https:\\/\\/e.com\\/ro":1}`
  const escaped = String.raw`{"iss":"a","https:\/\/e.com\/roles":["admin"]}`
  // In a process of its own, which has read no other objects.
  const program = `
    const { parsePart } = await import(${JSON.stringify(new URL('token.ts', import.meta.url).href)})
    const read = (text) => JSON.stringify(parsePart(Buffer.from(text).toString('base64url'))?.value)
    const [escaped, strangers] = ${JSON.stringify([escaped, strangers])}
    console.log([escaped, strangers, strangers, strangers, escaped].map(read).join('\\n'))`
  const told = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  const meant = '{"iss":"a","https://e.com/roles":["admin"]}'
  assert.deepEqual(told.trim().split('\n'), [meant, strangers, strangers, strangers, meant])
  for (const wrong of [String.raw`{"a\x":1}`, String.raw`{"a":"\"}`, String.raw`{"a\":1`, String.raw`"\u12"`, '\\'])
    assert.equal(parsePart(Buffer.from(wrong).toString('base64url')), undefined, wrong)
})
