/** Two gateways count wrong passwords together in Redis, each with a vault's password for it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestGateway } from '../plugins/gateway.ts'
import { noRedis, startRedis } from '../plugins/redis.ts'

test('nodes that share a Redis count wrong passwords together; without it they go on', { skip: noRedis }, async (t) => {
  const redis = await startRedis([['requirepass', 'from-the-vault']])
  t.after(() => redis.stop())
  process.env['TEST_REDIS_PASSWORD'] = 'from-the-vault'
  t.after(() => delete process.env['TEST_REDIS_PASSWORD'])
  const yaml = `
_format_version: '3.0'
services:
  - url: http://127.0.0.1:8080
    routes: [{ paths: [/] }]
consumers:
  - username: alice
    basicauth_credentials: [{ username: alice, password: right }]
plugins:
  - name: basic-auth
    config:
      brute_force_protection:
        strategy: redis
        redis: { host: 127.0.0.1, port: ${redis.port}, password: '{vault://env/test-redis-password}' }
`
  const settings = { nginx_worker_processes: '2', proxy_error_log: 'off' }
  const gateways = [await startTestGateway({ yaml, settings }), await startTestGateway({ yaml, settings })]
  for (const gateway of gateways) t.after(() => gateway.stop())
  const attempt = async (password: string, at: number) => {
    const authorization = `Basic ${Buffer.from(`alice:${password}`).toString('base64')}`
    return (await gateways[at]?.send('GET', '/', { authorization })) ?? assert.fail()
  }
  assert.equal((await attempt('right', 0)).status, 200)
  const statuses = []
  for (const at of [0, 1, 0, 1, 0]) statuses.push((await attempt('wrong', at)).status)
  assert.deepEqual(statuses, [401, 401, 401, 429, 429])
  const waits = await attempt('right', 1)
  assert.equal(waits.status, 429)
  assert.equal(waits.json.message, 'Too Many Requests')
  assert.ok(Number(waits.headers['retry-after']) > 0)
  await redis.kill()
  assert.equal((await attempt('right', 0)).status, 200)
  assert.equal((await attempt('wrong', 1)).status, 401)
})
