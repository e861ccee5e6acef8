import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bundledPlugins } from '../plugins/index.ts'
import { enabledPlugins } from './kinds.ts'

test('off in the first place allows no plugin, and in another one says nothing', () => {
  const allowed = (...names: string[]) => enabledPlugins(names).map(({ name }) => name)
  assert.deepEqual(allowed('off'), [])
  assert.deepEqual(allowed('off', 'jwt', 'bundled'), [])
  assert.deepEqual(allowed('jwt', 'off', 'acl'), ['acl', 'jwt'])
  assert.equal(allowed('bundled').length, bundledPlugins.length)
})
