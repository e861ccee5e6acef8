import assert from 'node:assert/strict'
import { test } from 'node:test'
import { normalisedPath } from './uri.ts'

const cases: Readonly<Record<string, string>> = {
  '/': '/',
  '/a/b/': '/a/b/',
  '/a/./b/../c': '/a/c',
  '/a/..': '/',
  '/../../a': '/a',
  '/a/.': '/a/',
  '//a///b': '/a/b',
  '/%7euser': '/~user',
  '/a%2fb%2Fc': '/a%2Fb%2Fc',
  '/%41%2e%2e': '/A..',
  '/%2e%2e/a': '/a',
  '/%C3%A9': '/é',
  '/é': '/é',
  '/...': '/...',
}

for (const [path, normal] of Object.entries(cases)) {
  test(`${path} is ${normal} in its normal form`, () => assert.equal(normalisedPath(path), normal))
}
