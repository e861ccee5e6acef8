import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveReference } from './env.ts'

const environment = { MY_SECRET: 's3cret', JSON_SECRET: '{"a":"one","n":5,"o":{}}', APP_KEY: 'k', EMPTY: '' }
const resolve = (reference: string) => resolveReference(reference, environment)

test('a reference stands for a variable, whose name may be written with dashes and in lower case', () => {
  assert.equal(resolve('{vault://env/MY_SECRET}'), 's3cret')
  assert.equal(resolve('{vault://env/my-secret}'), 's3cret')
  assert.equal(resolve('{vault://env/empty}'), '')
})

test('a key picks a member of a JSON object', () => {
  assert.equal(resolve('{vault://env/json-secret/a}'), 'one')
  assert.equal(resolve('{vault://env/json-secret/n}'), '5')
  assert.equal(resolve('{vault://env/json-secret/none}'), undefined)
  assert.equal(resolve('{vault://env/json-secret/toString}'), undefined)
  assert.equal(resolve('{vault://env/my-secret/a}'), undefined)
})

test('what is not there, and what is no reference, stands for nothing', () => {
  for (const text of [
    '{vault://env/none}',
    '{vault://other/my-secret}',
    '{vault://env}',
    'my-secret',
    '{vault://env/__proto__}',
    '{vault://env/constructor}',
  ]) {
    assert.equal(resolve(text), undefined, text)
  }
})

test('a vault of its own name may put a prefix before the names', () => {
  const vaults = new Map([['app', { name: 'env', config: { prefix: 'app-' } }]])
  assert.equal(resolveReference('{vault://app/key}', environment, vaults), 'k')
  assert.equal(resolve('{vault://env/key?prefix=app_}'), 'k')
})
