import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkInsert, checkUpdate } from './check.ts'
import type { Schema } from './field.ts'
import { withFormerFields } from './fill.ts'
import { formerRedisFields, redis, redisServer } from './redis.ts'
import { serveSubschema } from './serve.ts'

interface Recorded {
  readonly fields: readonly { readonly config?: { readonly fields: readonly { readonly redis?: object }[] } }[]
}

test('the record is the one that Kong serves', () => {
  const file = join(import.meta.dirname, '../../test/golden/schemas/plugins/rate-limiting.json')
  const { fields } = JSON.parse(readFileSync(file, 'utf8')) as Recorded
  const recorded = fields.flatMap(({ config }) => config?.fields ?? []).find((field) => field.redis)?.redis
  const served = serveSubschema({ fields: [{ redis }] }).fields as { redis: object }[]
  assert.deepEqual(withoutDescriptions(served[0]?.redis), recorded)
})

test('what is not said of a server is as Kong has it', () => {
  assert.deepEqual(redisServer({ host: 'redis.test', database: 3 }), {
    host: 'redis.test',
    port: 6379,
    timeout: 2000,
    username: null,
    password: null,
    database: 3,
    ssl: false,
    ssl_verify: false,
    server_name: null,
  })
})

const withoutDescriptions = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, member: unknown) => (key === 'description' ? undefined : member)))

test('former fields stand for those that replaced them, in a change, too, and are shown beside them', () => {
  const schema: Schema = {
    name: 'sample',
    fields: [
      {
        config: { type: 'record', required: true, fields: [{ redis }], shorthand_fields: formerRedisFields('sample') },
      },
    ],
  }
  const made = checkInsert(schema, { config: { redis_host: 'a', redis_password: '', redis: { port: 7 } } })
  assert.ok(made.ok)
  const changed = checkUpdate(schema, made.value, { config: { redis_timeout: 10, redis_host: null } })
  assert.ok(changed.ok)
  const { config } = changed.value as { readonly config: { readonly redis: Record<string, unknown> } }
  assert.deepEqual(Object.keys(config), ['redis'])
  const { host, port, password, timeout } = config.redis
  assert.deepEqual([host, port, password, timeout], [null, 7, '', 10])
  const shown = withFormerFields(schema, changed.value)['config'] as Record<string, unknown>
  assert.deepEqual([shown['redis_host'], shown['redis_port'], shown['redis_timeout']], [null, 7, 10])
  assert.deepEqual(shown['redis'], config.redis)
})
