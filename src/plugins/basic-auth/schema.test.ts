import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestGateway } from '../../../test/plugins/gateway.ts'

test('brute_force_protection is in a config as it was given, and mistakes in it are told', async (t) => {
  const gateway = await startTestGateway()
  t.after(() => gateway.stop())
  const create = (protection: object) =>
    gateway.admin('POST', '/plugins', { name: 'basic-auth', config: { brute_force_protection: protection } })
  const redis = { host: 'redis.test', password: 'hidden-word' }
  const created = await create({ strategy: 'redis', redis })
  assert.deepEqual(created.json.config, {
    anonymous: null,
    hide_credentials: false,
    realm: 'service',
    brute_force_protection: { strategy: 'redis', redis },
  })
  await gateway.admin('DELETE', `/plugins/${created.json.id}`)
  const wrong = async (protection: object) =>
    (await create(protection)).json.fields.config.brute_force_protection as unknown
  assert.deepEqual(await wrong({ strategy: 'cluster' }), { strategy: 'expected one of: off, memory, redis' })
  assert.deepEqual(await wrong({}), { strategy: 'required field missing' })
  assert.equal(await wrong({ strategy: 'redis' }), 'strategy redis needs redis.host')
  assert.deepEqual(await wrong({ strategy: 'redis', redis: { host: 'a', port: 65_536 } }), {
    redis: { port: 'value should be between 0 and 65535' },
  })
})
