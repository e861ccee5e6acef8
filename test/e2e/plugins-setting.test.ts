/** The setting `plugins`: what may be used, and what happens to the rest. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { loadSettings } from '../../src/config/settings.ts'
import { bundledPlugins } from '../../src/plugins/index.ts'
import { startProcess } from './started.ts'

test('a plugin that is not enabled is refused by name, with its credentials, in the Admin API and in files', async () => {
  const gateway = await startProcess({ plugins: 'off' })
  const refused = await gateway.put('/plugins/7d3ea9a4-4c08-4e42-9d3e-5f5a9b7f1c11', { name: 'jwt' })
  assert.equal(refused.status, 400)
  assert.match(await refused.text(), /plugin 'jwt' not enabled; add it to the 'plugins' configuration property/)
  assert.equal((await fetch(`${gateway.admin[0]}/jwts`)).status, 404)
  const enabled = (await (await fetch(`${gateway.admin[0]}/plugins/enabled`)).json()) as { enabled_plugins: unknown }
  assert.deepEqual(enabled.enabled_plugins, [])
  await gateway.stop()
  const file = { database: 'off', declarative_config_string: '{"_format_version":"3.0","plugins":[{"name":"jwt"}]}' }
  await assert.rejects(startProcess({ plugins: 'off', ...file }), /plugin 'jwt' not enabled/)
})

test('a gateway does not start without a plugin that is in use', async () => {
  const gateway = await startProcess({})
  await gateway.put('/plugins/7d3ea9a4-4c08-4e42-9d3e-5f5a9b7f1c11', { name: 'jwt' })
  await gateway.stop()
  await assert.rejects(
    startProcess({ prefix: gateway.prefix, plugins: 'off' }),
    /the plugin jwt is in use \(7d3ea9a4-.*\) but not enabled: add it to the setting plugins/,
  )
})

test('a plugin that there is not is told with the nearest name that there is', () => {
  const loaded = loadSettings({ env: { KONG_PLUGINS: 'bundled,jtw' } })
  assert.deepEqual(loaded, {
    ok: false,
    errors: ['plugins = "bundled,jtw" (KONG_PLUGINS): no plugin is called jtw (did you mean jwt?)'],
  })
})

test('every folder of a plugin is listed, so that its name stands for something', () => {
  const folders = globSync(join(import.meta.dirname, '../../src/plugins/*/')).map((path) => basename(path))
  assert.deepEqual(folders.toSorted(), bundledPlugins.map(({ name }) => name).toSorted())
})
