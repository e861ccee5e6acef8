import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { testKong, type RequestDescription } from '../../pdk/testing.ts'
import { bearerToken, findToken, locationsOf, several } from './locations.ts'

const everywhere = locationsOf({
  uri_param_names: ['jwt', 'token'],
  cookie_names: ['jwt_cookie'],
  header_names: ['authorization', 'X-Token'],
})
const find = (request: RequestDescription, locations = everywhere) => findToken(testKong(request).request, locations)

const headerValues: Readonly<Record<string, string | undefined>> = {
  'Bearer a.b.c': 'a.b.c',
  'bearer a.b.c': 'a.b.c',
  'Bearer    a.b.c': 'a.b.c',
  'Bearer\ta.b.c': 'a.b.c',
  '  Bearer a.b.c': 'a.b.c',
  'what is before Bearer a.b.c': 'a.b.c',
  'xBearer a.b.c': 'a.b.c',
  'Bearer a.b.c and what is behind': 'a.b.c and what is behind',
  'Bearer Bearer a.b.c': 'Bearer a.b.c',
  'Bearerx Bearer a.b.c': 'a.b.c',
  'BEARER a.b.c': undefined,
  'bEARER a.b.c': undefined,
  'earer a.b.c': undefined,
  'Bearera.b.c': undefined,
  Bearer: undefined,
  'Bearer ': undefined,
  'a.b.c': undefined,
  'Basic Zm9vOmJhcg==': undefined,
  '': undefined,
}

for (const [value, token] of Object.entries(headerValues)) {
  test(`the header value "${value}" ${token === undefined ? 'holds no token' : `holds "${token}"`}`, () => {
    assert.equal(bearerToken(value), token)
  })
}

test('the token of any header value is what the recorded pattern takes out of it', () => {
  const pattern = /\s*[Bb]earer\s+(.+)/
  const pieces = fc.constantFrom('B', 'b', 'E', 'earer', 'Bearer', 'bearer', ' ', '  ', '\t', 'a.b.c', '.')
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
      // As a request has it: without white space at the ends.
      const value = parts.join('').trim()
      assert.equal(bearerToken(value), pattern.exec(value)?.[1])
    }),
    { numRuns: 2000 },
  )
})

test('a header value made to slow the search down does not', () => {
  // The processor's time, which a busy machine hardly changes.
  const start = process.cpuUsage()
  for (const piece of ['Bearer', 'bearer', ' ', 'Bearerearer', '\t ', 'Bearer\u00a0'])
    assert.equal(bearerToken(piece.repeat(200_000)), undefined)
  assert.ok(process.cpuUsage(start).user < 1_000_000)
})

test('a token is found in each of its places', () => {
  assert.equal(find({ path: '/a?x=1&jwt=a.b.c' }), 'a.b.c')
  assert.equal(find({ path: '/a?token=a.b.c' }), 'a.b.c')
  assert.equal(find({ path: '/a?%6Awt=a%2Eb.c' }), 'a.b.c')
  assert.equal(find({ headers: [['Cookie', 'one=1; jwt_cookie=a.b.c; two=2']] }), 'a.b.c')
  assert.equal(
    find({
      headers: [
        ['Cookie', 'one=1'],
        ['Cookie', 'jwt_cookie=a.b.c'],
      ],
    }),
    'a.b.c',
  )
  assert.equal(find({ headers: [['Cookie', 'JWT_Cookie = a.b.c ']] }), 'a.b.c')
  assert.equal(find({ headers: [['Authorization', 'Bearer a.b.c']] }), 'a.b.c')
  assert.equal(find({ headers: [['x-token', 'Bearer a.b.c']] }), 'a.b.c')
})

test('where nothing is a token, none is found', () => {
  assert.equal(find({}), undefined)
  assert.equal(find({ path: '/?jwt=' }), undefined)
  assert.equal(find({ path: '/?jwt=&jwt=' }), undefined)
  assert.equal(find({ path: '/?JWT=a.b.c&xjwt=a.b.c&jwtx=a.b.c' }), undefined)
  assert.equal(find({ headers: [['X-Token', 'a.b.c']] }), undefined)
  assert.equal(find({ headers: [['Cookie', 'jwt_cookie=']] }), undefined)
  assert.equal(find({ headers: [['Cookie', 'jwt_cookieX; xjwt_cookie=a.b.c; jwt_cookie']] }), undefined)
})

test('a query parameter without a value is told apart from one with an empty value', () => {
  assert.equal(find({ path: '/?jwt' }), true)
  assert.equal(find({ path: '/?jwt&token' }), true)
  assert.equal(find({ path: '/?jwt&jwt=' }), true)
  assert.equal(find({ path: '/?jwt&jwt=a.b.c' }), several)
})

test('the same token in several places is one, different ones are several', () => {
  const headers = [
    ['Authorization', 'Bearer a.b.c'],
    ['Cookie', 'jwt_cookie=a.b.c'],
  ] as const
  assert.equal(find({ path: '/?jwt=a.b.c&jwt=a.b.c&token=a.b.c', headers }), 'a.b.c')
  assert.equal(find({ path: '/?jwt=a.b.d', headers }), several)
  assert.equal(find({ path: '/?jwt=a.b.c&jwt=a.b.d' }), several)
  assert.equal(find({ path: '/?jwt=a.b.c&jwt=a.b.d&jwt=a.b.c' }), several)
  assert.equal(
    find({
      headers: [
        ['Authorization', 'Bearer a.b.c'],
        ['X-Token', 'Bearer A.b.c'],
      ],
    }),
    several,
  )
})

test('only the first value of a header that is there twice counts, and only the first cookie of a name', () => {
  assert.equal(
    find({
      headers: [
        ['X-Token', 'Bearer a.b.c'],
        ['X-Token', 'Bearer d.e.f'],
      ],
    }),
    'a.b.c',
  )
  assert.equal(find({ headers: [['Cookie', 'jwt_cookie=a.b.c; jwt_cookie=d.e.f']] }), 'a.b.c')
})

test('places that are not configured are not looked at', () => {
  const nowhere = locationsOf({ uri_param_names: null, cookie_names: [], header_names: null })
  const headers = [
    ['Authorization', 'Bearer a.b.c'],
    ['Cookie', 'jwt_cookie=a.b.c'],
  ] as const
  assert.equal(find({ path: '/?jwt=a.b.c', headers }, nowhere), undefined)
})

test('a parameter whose name needs decoding is found', () => {
  const odd = locationsOf({ uri_param_names: ['my token', '__proto__'], cookie_names: null, header_names: null })
  assert.equal(find({ path: '/?my+token=a.b.c' }, odd), 'a.b.c')
  assert.equal(find({ path: '/?__proto__=a.b.c' }, odd), 'a.b.c')
})
