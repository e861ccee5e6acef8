import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Fields } from '../schema/field.ts'
import { resolveReferences } from './references.ts'

const fields: Fields = [
  { name: { type: 'string' } },
  { password: { type: 'string', referenceable: true } },
  {
    redis: {
      type: 'record',
      fields: [{ password: { type: 'string', referenceable: true } }, { host: { type: 'string' } }],
    },
  },
  { headers: { type: 'map', keys: { type: 'string' }, values: { type: 'string', referenceable: true } } },
  { secrets: { type: 'array', elements: { type: 'string', referenceable: true } } },
]
const secrets: Readonly<Record<string, string>> = { '{vault://env/a}': 'A', '{vault://env/b}': 'B' }
const resolve = (value: object) => resolveReferences(fields, value, (reference) => secrets[reference])

test('references are replaced where the schema says so, however deep', () => {
  const value = {
    password: '{vault://env/a}',
    redis: { password: '{vault://env/b}', host: 'localhost' },
    headers: { authorization: '{vault://env/a}', accept: '*/*' },
    secrets: ['{vault://env/a}', 'plain'],
  }
  assert.deepEqual(resolve(value), {
    value: {
      password: 'A',
      redis: { password: 'B', host: 'localhost' },
      headers: { authorization: 'A', accept: '*/*' },
      secrets: ['A', 'plain'],
    },
    missing: [],
  })
})

test('elsewhere the same text means itself, and a value without references is the same object', () => {
  const value = {
    name: '{vault://env/a}',
    redis: { password: null, host: '{vault://env/a}' },
    more: ['{vault://env/a}'],
  }
  assert.equal(resolve(value).value, value)
})

test('references that stand for nothing are told with the place of each', () => {
  assert.deepEqual(resolve({ redis: { password: '{vault://env/none}' }, secrets: ['x', '{vault://env/no}'] }).missing, [
    'redis.password: {vault://env/none}',
    'secrets.1: {vault://env/no}',
  ])
})
