import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { redis, redisServer } from './redis.ts'
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
