import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kinds } from './kinds.ts'
import { secretsOf } from './secrets.ts'

const withSecrets = secretsOf(kinds, { MY_CERT: 'a certificate', APP_KEY: 'a key' })
const vaults = new Map([['v', { id: 'v', name: 'env', prefix: 'app', config: { prefix: 'app-' } }]])

test('a certificate may be kept in variables, also those of a vault with a name of its own', () => {
  const certificate = {
    id: 'c',
    cert: '{vault://env/my-cert}',
    key: '{vault://app/key}',
    tags: ['{vault://env/my-cert}'],
  }
  assert.deepEqual(withSecrets('certificates', certificate, vaults), {
    id: 'c',
    cert: 'a certificate',
    key: 'a key',
    tags: ['{vault://env/my-cert}'],
  })
})

test('an entity without references is the same object', () => {
  const certificate = { id: 'c', cert: 'plain', key: 'plain' }
  assert.equal(withSecrets('certificates', certificate, vaults), certificate)
})

test('a reference to nothing is a mistake with its place, never an empty secret', () => {
  const certificate = { id: 'c', cert: 'plain', key: '{vault://env/none}' }
  assert.throws(() => withSecrets('certificates', certificate, vaults), {
    message: 'certificates c refers to secrets that are not there: key: {vault://env/none}',
  })
})
