import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testEntities, testKong } from '../../pdk/testing.ts'
import { checkInsert } from '../../schema/check.ts'
import { createOauth2 } from './handler.ts'
import type { Config } from './ready.ts'
import { schema } from './schema.ts'

const entities = testEntities()
entities.put('consumers', { id: 'alice', username: 'alice' })
entities.put('consumers', { id: 'guest', username: 'guest' })
entities.put('oauth2_credentials', { id: 'app', client_id: 'app', consumer: { id: 'alice' } })
const token = { credential: { id: 'app' }, created_at: 100, expires_in: 5 }
entities.put('oauth2_tokens', { ...token, id: 'own', access_token: 'own', service: { id: 's' } })
entities.put('oauth2_tokens', { ...token, id: 'global', access_token: 'global', service: null })

/** Who a request with a token is, or the status that refuses it. */
async function who(accessToken: string, now: number, config: object = {}): Promise<unknown> {
  const checked = checkInsert(schema, { config: { enable_password_grant: true, ...config } })
  assert.ok(checked.ok)
  const plugin = createOauth2(() => now)
  const ready = plugin.prepare(checked.value['config'] as Config, { id: 'p', name: 'oauth2' })
  const kong = testKong({ headers: [['Authorization', `Bearer ${accessToken}`]], service: 's' }, entities)
  const answer = await plugin.access!(kong, ready)
  return answer ? answer.status : kong.identity?.consumer?.['username']
}

test('a token ends when its time is over, not a second later', async () => {
  assert.equal(await who('own', 105), 'alice')
  assert.equal(await who('own', 105.1), 401)
})

test('a token of global credentials is none where the plugin has its own', async () => {
  assert.equal(await who('global', 100), 401)
  assert.equal(await who('global', 100, { anonymous: 'guest' }), 'guest')
  assert.equal(await who('global', 100, { global_credentials: true }), 'alice')
})
