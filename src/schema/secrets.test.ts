import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Schema } from './field.ts'
import { mapSecrets, maySecrets, uniqueSecrets } from './secrets.ts'

const text = { type: 'string' } as const
const secret = { type: 'string', encrypted: true } as const
const redis = { type: 'record', fields: [{ host: text }, { password: secret }] } as const

const plugins: Schema = {
  name: 'plugins',
  subschema_key: 'name',
  fields: [{ id: text }, { name: text }, { config: { type: 'record', abstract: true } }],
  subschemas: new Map([
    [
      'limiter',
      {
        name: 'limiter',
        fields: [
          {
            config: {
              type: 'record',
              fields: [
                { redis },
                { keys: { type: 'array', elements: secret } },
                { headers: { type: 'map', keys: text, values: secret } },
                { nodes: { type: 'set', elements: redis } },
              ],
            },
          },
        ],
      },
    ],
    ['plain', { name: 'plain', fields: [{ config: { type: 'record', fields: [{ a: text }] } }] }],
  ]),
}

function paths(schema: Schema, entity: Record<string, unknown>): string[] {
  const found: string[] = []
  mapSecrets(schema, entity, (_, path) => {
    found.push(path)
    return null
  })
  return found
}

test('secrets are found at every depth, and only where there is a value that is no reference to a vault', () => {
  const config = {
    redis: { host: 'r', password: 'a' },
    keys: ['b', '{vault://env/key}', null],
    headers: { __proto__: null, authorization: 'c', other: null },
    nodes: [
      { host: 'n', password: null },
      { host: 'm', password: 'd' },
    ],
  }
  assert.deepEqual(paths(plugins, { id: 'p', name: 'limiter', config }), [
    'config.redis.password',
    'config.keys.0',
    'config.headers.authorization',
    'config.nodes.1.password',
  ])
  assert.deepEqual(paths(plugins, { id: 'p', name: 'plain', config }), [])
  assert.deepEqual(paths(plugins, { id: 'p', name: 'nobody', config: 'x' }), [])
})

test('an entity is copied as far as something in it was replaced, and is itself where nothing was', () => {
  const entity = { id: 'p', name: 'limiter', config: { redis: { host: 'r', password: 'a' }, keys: ['b'] } }
  const masked = mapSecrets(plugins, entity, (value) => (value === 'a' ? '*' : value))
  assert.deepEqual(masked, { ...entity, config: { redis: { host: 'r', password: '*' }, keys: ['b'] } })
  assert.equal(masked.config.keys, entity.config.keys)
  assert.equal(entity.config.redis.password, 'a')
  assert.equal(
    mapSecrets(plugins, entity, (value) => value),
    entity,
  )
})

test('a field can be a secret by its value, and a unique one can be a secret', () => {
  const schema: Schema = {
    name: 'credentials',
    fields: [
      { key: { type: 'string', unique: true, $secret: true } },
      { pem: { type: 'string', $secret: (value) => value.includes('PRIVATE') } },
      { name: { type: 'string', unique: true } },
    ],
  }
  assert.deepEqual(paths(schema, { key: 'k', pem: 'PRIVATE', name: 'n' }), ['key', 'pem'])
  assert.deepEqual(paths(schema, { key: 'k', pem: 'PUBLIC', name: 'n' }), ['key'])
  assert.deepEqual(uniqueSecrets(schema), ['key'])
  assert.deepEqual([maySecrets(schema), maySecrets({ name: 'x', fields: [{ a: text }] })], [true, false])
})
