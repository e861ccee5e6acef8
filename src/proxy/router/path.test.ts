import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { forwardedPrefix, normalisePath, upstreamPath } from './path.ts'

const sent = (raw: string) => {
  const path = normalisePath(raw)
  return path === undefined ? undefined : upstreamPath(null, { strip_path: false }, path, '')
}

describe('the normal form of a path', () => {
  const same = ['/', '/a', '/a/', "/a'b(c)*!", '/a/[x]', '/a.b/c..d', '/a#frag', '/a%2Fb', '/...', '/a...']
  for (const raw of same) test(`${raw} is its own`, () => assert.equal(sent(raw), raw))

  const others: Record<string, string> = {
    '/%7Euser': '/~user',
    '/a%2fb': '/a%2Fb',
    '/a/{x}': '/a/%7Bx%7D',
    '/a|b': '/a%7Cb',
    '/a^b': '/a%5Eb',
    '/a\\b': '/a%5Cb',
    '/%61%5a%2d': '/aZ-',
    '/a%20b': '/a%20b',
    '/a%2520': '/a%2520',
    '/%C3%BC': '/%C3%BC',
    '/\xc3\xbc': '/%C3%BC',
    '/a%0ab': '/a%0Ab',
    '/a/./b': '/a/b',
    '/a//b': '/a/b',
    '/a/b/..': '/a/',
    '/a/%2e%2E/b': '/b',
    '/a/..': '/',
    '/a/.': '/a/',
    '/a//../b': '/b',
    '//': '/',
  }
  for (const [raw, expected] of Object.entries(others))
    test(`of ${raw} goes upstream as ${expected}`, () => assert.equal(sent(raw), expected))

  const invalid = [
    '',
    'a',
    '*',
    '/%',
    '/%4',
    '/%zz',
    '/%00',
    '/..',
    '/../a',
    '/a/../../b',
    '/%2e%2e/',
    '/a/..%2f..%2fb',
    '/a\nb',
    '/a\x7f',
    '/a b',
  ]
  for (const raw of invalid)
    test(`does not exist for ${JSON.stringify(raw)}`, () => assert.equal(normalisePath(raw), undefined))

  test('is decoded for matching: a space is a space, a letter of several bytes is one letter', () => {
    assert.equal(normalisePath('/sp%20x'), '/sp x')
    assert.equal(normalisePath('/%c3%bctf'), '/ütf')
    assert.equal(normalisePath('/\xc3\xbctf'), '/ütf')
  })

  test('keeps bytes that are not UTF-8, and sends them as they came', () => {
    assert.equal(normalisePath('/a/%e4')?.isWellFormed(), false)
    assert.equal(sent('/a/%e4'), '/a/%E4')
    assert.equal(sent('/%c3%bc/%e4'), '/%C3%BC/%E4')
  })

  const rawPaths = fc
    .array(
      fc.constantFrom(
        '/',
        '/',
        '.',
        '..',
        '%2e',
        '%2F',
        '%2f',
        'a',
        'Z',
        '%7e',
        '%25',
        '{',
        '%C3%BC',
        '%e4',
        '\xc3',
        '\\',
        '#',
        '%0a',
        '~',
      ),
    )
    .map((parts) => `/${parts.join('')}`)

  test('is stable: what goes upstream is its own normal form', () => {
    fc.assert(
      fc.property(rawPaths, (raw) => {
        const once = sent(raw)
        if (once !== undefined) assert.equal(sent(once), once)
      }),
      { numRuns: 2000 },
    )
  })

  test('has no dot segment, no doubled slash, and nothing upstream but printable ASCII', () => {
    fc.assert(
      fc.property(rawPaths, (raw) => {
        const path = normalisePath(raw)
        if (path === undefined) return
        assert.doesNotMatch(path, /\/\/|\/\.\.?(?:\/|$)/)
        assert.match(sent(raw) ?? '', /^\/[!-~]*$/)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('the path that goes upstream', () => {
  const strip = { strip_path: true }

  test('stays below the service path when the matched prefix ends amid a dot segment', () => {
    assert.equal(upstreamPath('/svc', strip, '/a../secret', '/a'), '/svc/secret')
    assert.equal(upstreamPath('/svc', strip, '/a..', '/a'), '/svc')
    assert.equal(upstreamPath('/svc', strip, '/a./b', '/a'), '/svc/b')
    assert.equal(upstreamPath('/svc', strip, '/a.../b', '/a'), '/svc/.../b')
  })

  test('of a route that strips, but has no path rule, is the whole path', () => {
    assert.equal(upstreamPath('/svc', strip, '/x/y', ''), '/svc/x/y')
    assert.equal(upstreamPath('/svc', strip, '/', ''), '/svc')
    assert.equal(upstreamPath(null, strip, '/x', ''), '/x')
  })
})

describe('X-Forwarded-Prefix', () => {
  test('is what was stripped, byte for byte', () => {
    assert.equal(forwardedPrefix({ strip_path: true }, '/a/b/'), '/a/b/')
    assert.equal(forwardedPrefix({ strip_path: true }, '/ü'), '/\xc3\xbc')
  })

  test('is not sent when nothing was stripped', () => {
    assert.equal(forwardedPrefix({ strip_path: false }, '/a'), undefined)
    assert.equal(forwardedPrefix({ strip_path: true }, '/'), undefined)
    assert.equal(forwardedPrefix({ strip_path: true }, ''), undefined)
  })

  test('cannot carry a line of its own', () => {
    assert.equal(forwardedPrefix({ strip_path: true }, '/a\r\nX-Admin: 1'), '/a%0D%0AX-Admin: 1')
  })
})
