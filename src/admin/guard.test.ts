import assert from 'node:assert/strict'
import { test } from 'node:test'
import { visitorOf } from './guard.ts'

const guarded = { hosts: ['admin.example.test'], origins: ['https://manager.example.test'] }
const judge = (method: string, headers: Record<string, string>) => visitorOf(method, headers, guarded)

test('a program may write: it sends neither Origin nor Sec-Fetch-Site', () => {
  assert.equal(judge('POST', { host: '127.0.0.1:8001' }).refusal, undefined)
})

test('the API answers to addresses, localhost, names without a dot and names it was given', () => {
  for (const host of [
    '10.0.0.1',
    '[::1]:8001',
    'localhost:8001',
    'LOCALHOST',
    'x.localhost',
    'gibbon:8001',
    'admin.example.test:8001',
  ]) {
    assert.equal(judge('GET', { host }).refusal, undefined, host)
  }
})

test('a name that a stranger can point at this machine is refused, even for reading', () => {
  for (const host of ['evil.test', 'evil.test:8001', '127.0.0.1.evil.test', 'evil.test.', 'a b', '[evil.test]']) {
    assert.equal(judge('GET', { host }).refusal?.status, 403, host)
  }
})

test('a page of another origin may not write, and what it reads is kept from it', () => {
  for (const origin of ['https://evil.test', 'null', 'http://localhost:3000', 'http://127.0.0.1:80']) {
    assert.equal(judge('POST', { host: '127.0.0.1:8001', origin }).refusal?.status, 403, origin)
    assert.deepEqual(judge('GET', { host: '127.0.0.1:8001', origin }).cors, { Vary: 'Origin' })
  }
})

test('a form that another site submits may not write', () => {
  for (const site of ['cross-site', 'same-site']) {
    assert.equal(judge('POST', { host: 'localhost', 'sec-fetch-site': site }).refusal?.status, 403)
    assert.equal(judge('GET', { host: 'localhost', 'sec-fetch-site': site }).refusal, undefined)
  }
  assert.equal(judge('DELETE', { host: 'localhost', 'sec-fetch-site': 'same-origin' }).refusal, undefined)
})

test('its own pages and those of allowed origins may read and write', () => {
  for (const origin of ['http://localhost:8001', 'https://manager.example.test']) {
    const visitor = judge('PATCH', { host: 'localhost:8001', origin, 'sec-fetch-site': 'cross-site' })
    assert.equal(visitor.refusal, undefined)
    assert.equal(visitor.cors['Access-Control-Allow-Origin'], origin)
  }
})
