import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Stored } from '../store/store.ts'
import { exportData, exportDeclarative } from './declarative-export.ts'
import { type Checked, type Loaded, parseDeclarative } from './declarative.ts'

const howTo = readFileSync(new URL('testdata/jwt-how-to.yaml', import.meta.url), 'utf8')

function load(input: string | object): Checked {
  const parsed = parseDeclarative(input)
  if (!parsed.ok) assert.fail(parsed.message)
  return parsed
}

const readerOf = (entities: readonly Loaded[]) => ({
  all: (kind: string): Stored[] => entities.filter((loaded) => loaded.kind === kind).map(({ entity }) => entity),
})

/** `updated_at` is made anew whenever something is loaded where nothing was. */
const comparable = ({ entities }: Checked): unknown =>
  entities
    .map(({ kind, entity }) => ({ kind, ...entity, updated_at: 0 }))
    .sort((a, b) => ((a as unknown as Stored).id < (b as unknown as Stored).id ? -1 : 1))

test('an export begins with the format, has flat sections and refers by id', () => {
  const text = exportDeclarative(readerOf(load(howTo).entities))
  assert.match(text, /^_format_version: "3\.0"\n_transform: false\nconsumers:\n- id: [0-9a-f-]{36}\n/)
  assert.match(text, /\n {2}consumer: [0-9a-f-]{36}\n/)
  assert.match(text, /\n {2}rsa_public_key: \|\n {4}-----BEGIN PUBLIC KEY-----\n/)
  assert.deepEqual(text.match(/^\w+:$/gm), ['consumers:', 'services:', 'routes:', 'jwt_secrets:', 'plugins:'])
})

test('a store without entities exports as a configuration without sections', () => {
  assert.equal(exportDeclarative(readerOf([])), '_format_version: "3.0"\n_transform: false\n')
})

const name = fc.stringMatching(/^[a-z][a-z0-9._~-]{0,8}$/)
const tags = fc.option(fc.uniqueArray(fc.constantFrom('a', 'yes', '0755', 'with space', 'ü', '~'), { maxLength: 3 }), {
  nil: undefined,
})
const text = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.constantFrom('yes', '~', '1:30', 'a\nb\n', ' x', '#', '- a', 'null', '3.0'),
)

const plugin = fc.record({
  name: fc.constant('jwt'),
  config: fc.record(
    {
      claims_to_verify: fc.constantFrom(['exp'], null),
      header_names: fc.constantFrom(null, [], ['x-token']),
      realm: fc.constantFrom('off', '12', null),
    },
    { requiredKeys: [] },
  ),
  tags,
})
const route = fc.record({
  paths: fc.constantFrom(['/'], ['~/a\\d+$', '/b']),
  hosts: fc.constantFrom(null, ['*.a.test', 'b.test:80']),
  headers: fc.constantFrom(null, { 'x-a': ['1', 'yes'] }),
  tags,
  plugins: fc.array(plugin, { maxLength: 1 }),
})
const service = fc.record({
  name,
  host: fc.constantFrom('a.test', '127.0.0.1'),
  routes: fc.array(route, { maxLength: 2 }),
  tags,
})
const consumer = fc.record({
  username: text,
  custom_id: fc.option(fc.uuid(), { nil: null }),
  jwt_secrets: fc.array(fc.record({ secret: text, tags }), { maxLength: 2 }),
})
const configuration = fc.record({
  _format_version: fc.constant('3.0'),
  services: fc.uniqueArray(service, { selector: ({ name }) => name, maxLength: 3 }),
  consumers: fc.uniqueArray(consumer, { selector: ({ username }) => username, maxLength: 3 }),
  plugins: fc.array(plugin, { maxLength: 1 }),
})

test('what is exported loads as the same entities, as YAML and as JSON', () => {
  fc.assert(
    fc.property(configuration, (input) => {
      const first = load(input)
      const reader = readerOf(first.entities)
      assert.deepEqual(comparable(load(exportDeclarative(reader))), comparable(first))
      assert.deepEqual(comparable(load(JSON.stringify(exportData(reader)))), comparable(first))
    }),
    { numRuns: 300 },
  )
})

test('loading the same configuration twice gives the same ids', () => {
  const ids = (input: object): string[] => load(input).entities.map(({ kind, entity }) => `${kind} ${entity.id}`)
  fc.assert(
    fc.property(configuration, (input) => {
      assert.deepEqual(ids(input), ids(structuredClone(input)))
      assert.equal(new Set(ids(input)).size, ids(input).length)
    }),
    { numRuns: 200 },
  )
})
