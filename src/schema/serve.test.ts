import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { absentPluginsIn } from '../../test/golden/absent.ts'
import { catalogueOf, kinds, vaultSchemas } from '../config/kinds.ts'
import { bundledPlugins } from '../plugins/index.ts'
import { serveConfig, serveEntity, serveSubschema } from './serve.ts'

const folder = new URL('../../test/golden/schemas/', import.meta.url)
const recorded = (path: string): unknown => JSON.parse(readFileSync(new URL(path, folder), 'utf8'))
const namesIn = (path: string) => readdirSync(new URL(path, folder)).map((file) => file.replace('.json', ''))

/** The schemas were recorded without a database. */
const { pluginSchemas } = catalogueOf(bundledPlugins, { database: 'off' })

/** Why a recorded schema is not compared yet. */
const waitsFor = (name: string): string | false => absentPluginsIn(name).length > 0 && 'its plugin is not there'

/** What depends on Kong's past, and the order of fields, do not count; descriptions are our own. */
function comparable(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    const members = value.map((member) => comparable(member))
    return key === 'fields' ? members.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : members
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([name, member]) => {
    // The session plugin's secret: another one at each start.
    if (name === 'default' && typeof member === 'string' && /^[\w-]{44}$/.test(member)) return false
    if (key === 'deprecation' && name === 'message') return false
    if (name === 'description' && typeof member === 'string') return false
    if (name === 'len_min' && member === 1) return false
    return !(name === 'required' && ['elements', 'keys', 'values'].includes(key))
  })
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => [name, comparable(member, name)]),
  )
}

for (const name of namesIn('entities')) {
  test(`the schema of ${name} is served as Kong serves it`, { skip: waitsFor(name) }, () => {
    const schema = kinds.get(name)
    assert.ok(schema)
    assert.deepEqual(comparable(serveEntity(schema)), comparable(recorded(`entities/${name}.json`)))
  })
}

for (const [kind, schemas] of [
  ['plugins', pluginSchemas],
  ['vaults', vaultSchemas],
] as const) {
  for (const name of namesIn(kind)) {
    test(`the schema of ${kind}/${name} is served as Kong serves it`, { skip: waitsFor(name) }, () => {
      const schema = schemas.get(name)
      assert.ok(schema)
      assert.deepEqual(comparable(serveSubschema(schema)), comparable(recorded(`${kind}/${name}.json`)))
    })
  }
}

test('what is served is plain JSON, one key for each field, without our own attributes', () => {
  for (const schema of kinds.values()) {
    const served = serveEntity(schema)
    assert.deepEqual(JSON.parse(JSON.stringify(served)), served)
    assert.equal(JSON.stringify(served).includes('"$check"'), false)
    assert.ok([...served.fields, ...served.entity_checks].every((entry) => Object.keys(entry).length === 1))
  }
})

test("a plugin's config can be had alone", () => {
  const jwt = pluginSchemas.get('jwt')
  assert.ok(jwt)
  assert.deepEqual(Object.keys(serveConfig(jwt).fields[0] ?? {}), ['uri_param_names'])
})
