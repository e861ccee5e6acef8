import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Schema } from '../schema/field.ts'
import { indexesOf } from './kinds.ts'

const uuid = { type: 'string', uuid: true, auto: true } as const

test('indexes follow from schemas, in the order of their fields', () => {
  const plugins: Schema = {
    name: 'plugins',
    cache_key: ['name', 'route', 'consumer'],
    ttl: true,
    fields: [
      { id: uuid },
      { instance_name: { type: 'string', unique: true } },
      { route: { type: 'foreign', reference: 'routes', on_delete: 'cascade' } },
      { consumer: { type: 'foreign', reference: 'consumers' } },
      { certificate: { type: 'foreign', reference: 'certificates', on_delete: 'null' } },
    ],
  }
  assert.deepEqual(indexesOf(new Map([['plugins', plugins]])), [
    {
      kind: 'plugins',
      unique: ['instance_name'],
      together: [['name', 'route', 'consumer']],
      foreign: [
        { field: 'route', kind: 'routes', onDelete: 'cascade' },
        { field: 'consumer', kind: 'consumers', onDelete: 'restrict' },
        { field: 'certificate', kind: 'certificates', onDelete: 'null' },
      ],
      ttl: true,
    },
  ])
})

test('a key of one field, by which Kong only looks up, is not unique beside that field', () => {
  const keys: Schema = {
    name: 'keys',
    cache_key: ['key'],
    fields: [{ id: uuid }, { key: { type: 'string', unique: true } }],
  }
  const [index] = indexesOf(new Map([['keys', keys]]))
  assert.deepEqual([index?.unique, index?.together], [['key'], []])
})

test('indexes can be sent to another thread', () => {
  const services: Schema = { name: 'services', fields: [{ id: uuid }, { name: { type: 'string', unique: true } }] }
  const indexes = indexesOf(new Map([['services', services]]))
  assert.deepEqual(structuredClone(indexes), indexes)
})

test('a foreign field that names no kind is a mistake in the schema', () => {
  const broken: Schema = { name: 'routes', fields: [{ service: { type: 'foreign' } }] }
  assert.throws(() => indexesOf(new Map([['routes', broken]])), /the foreign field service names no kind/)
})
