import assert from 'node:assert/strict'
import { suite, test, after, type TestContext } from 'node:test'
import { noRedis, startRedis } from '../../../test/plugins/redis.ts'
import { redisAt } from '../../pdk/redis.ts'
import { testKong, type RequestDescription, type TestKong } from '../../pdk/testing.ts'
import { checkInsert } from '../../schema/check.ts'
import handler from './handler.ts'
import { schema } from './schema.ts'

type Ready = ReturnType<typeof handler.prepare>

let made = 0

function ready(config: object): Ready {
  const checked = checkInsert(schema, { config })
  assert.ok(checked.ok, JSON.stringify(checked))
  return handler.prepare(checked.value['config'] as never, { id: 'p', name: 'rate-limiting', route: `route-${++made}` })
}

/** The clock stands still, at 2026-02-28T23:59:50Z. */
const stopClock = (t: TestContext) =>
  t.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 1, 28, 23, 59, 50, 700) })

interface Sent {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly message: string | undefined
  readonly kong: TestKong
}

async function send(to: Ready, request: RequestDescription = {}, prepare: (kong: TestKong) => void = () => {}) {
  const kong = testKong(request)
  prepare(kong)
  const answer = await handler.access?.(kong, to)
  const headers = Object.fromEntries([...kong.responseHeaders].map(([name, values]) => [name, String(values)]))
  const message = answer ? (JSON.parse(String(answer.body)) as { message: string }).message : undefined
  return { status: answer?.status ?? 200, headers, message, kong } satisfies Sent
}

test('an answer tells of every window, and of the one that has least left', async (t) => {
  stopClock(t)
  const config = ready({ minute: 2, hour: 3, month: 3, year: 100 })
  assert.deepEqual((await send(config)).headers, {
    'x-ratelimit-limit-minute': '2',
    'x-ratelimit-remaining-minute': '1',
    'x-ratelimit-limit-hour': '3',
    'x-ratelimit-remaining-hour': '2',
    'x-ratelimit-limit-month': '3',
    'x-ratelimit-remaining-month': '2',
    'x-ratelimit-limit-year': '100',
    'x-ratelimit-remaining-year': '99',
    'ratelimit-limit': '2',
    'ratelimit-remaining': '1',
    'ratelimit-reset': '10',
  })
  await send(config)
  const refused = await send(config)
  assert.equal(refused.status, 429)
  assert.equal(refused.message, 'API rate limit exceeded')
  const { headers } = refused
  assert.deepEqual(
    ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after'].map((name) => headers[name]),
    ['2', '0', '10', '10'],
  )
  assert.equal(headers['x-ratelimit-remaining-hour'], '1')
  t.mock.timers.setTime(Date.UTC(2026, 2, 1))
  const next = await send(config)
  assert.equal(next.status, 200)
  assert.equal(next.headers['x-ratelimit-remaining-year'], '97')
})

test('of windows that have as little left the longest is told, until its own end', async (t) => {
  stopClock(t)
  const config = ready({ minute: 2, year: 2 })
  const { headers } = await send(config)
  assert.equal(headers['ratelimit-reset'], String((Date.UTC(2027, 0) - Date.UTC(2026, 1, 28, 23, 59, 50)) / 1000))
})

test('headers can be hidden, and status and message be others', async () => {
  const config = ready({ day: 1, hide_client_headers: true, error_code: 503, error_message: 'slow down' })
  assert.deepEqual((await send(config)).headers, {})
  const refused = await send(config)
  assert.deepEqual([refused.status, refused.message, refused.headers], [503, 'slow down', {}])
})

test('an error_code that is no status is 500, and changes nothing within the limit', async () => {
  for (const error_code of [100, 600, 429.5]) {
    const config = ready({ day: 1, error_code })
    assert.deepEqual([(await send(config)).status, (await send(config)).status], [200, 500])
  }
})

test('limits that are no whole numbers hold, too', async () => {
  const config = ready({ day: 1.5 })
  const first = await send(config)
  assert.equal(first.headers['ratelimit-remaining'], '0.5')
  assert.deepEqual([(await send(config)).status, (await send(config)).status], [200, 429])
})

const alice = { id: 'alice', username: 'alice' }
const as = (consumer: { readonly id: string } | null, credential: { readonly id: string } | null) => (kong: TestKong) =>
  kong.client.authenticate({ consumer, credential, headers: [] } as never)

test('by consumer: all credentials of one, then the credential alone, then the address', async () => {
  const config = ready({ day: 1, limit_by: 'consumer' })
  const status = async (...who: Parameters<typeof as>) => (await send(config, {}, as(...who))).status
  assert.deepEqual([await status(alice, { id: 'k1' }), await status(alice, { id: 'k2' })], [200, 429])
  assert.deepEqual([await status(null, { id: 'k1' }), await status(null, { id: 'k1' })], [200, 429])
  assert.deepEqual([await status(null, null), (await send(config)).status], [200, 429])
})

test('by credential: each for itself, also of one consumer', async () => {
  const config = ready({ day: 1, limit_by: 'credential' })
  const status = async (...who: Parameters<typeof as>) => (await send(config, {}, as(...who))).status
  assert.deepEqual([await status(alice, { id: 'k1' }), await status(alice, { id: 'k2' })], [200, 200])
  assert.deepEqual([await status(null, { id: 'k1' }), await status(alice, null)], [429, 200])
})

test('by header, service, path and address', async () => {
  const by = (config: object) => {
    const to = ready({ day: 1, ...config })
    return async (request: RequestDescription) => (await send(to, request)).status
  }
  const header = by({ limit_by: 'header', header_name: 'X-Id' })
  const id = (value: string) => header({ headers: [['x-id', value]] })
  assert.deepEqual([await id('a'), await id('b'), await id('a'), await header({})], [200, 200, 429, 200])
  const service = by({ limit_by: 'service' })
  assert.deepEqual(
    [await service({ service: 's1' }), await service({ service: 's2' }), await service({ service: 's1' })],
    [200, 200, 429],
  )
  const path = by({ limit_by: 'path', path: '/a' })
  assert.deepEqual(
    [await path({ path: '/a' }), await path({ path: '/b' }), await path({ path: '/a' })],
    [200, 200, 429],
  )
  const address = by({ limit_by: 'ip' })
  assert.deepEqual([await address({ path: '/a' }), await address({ path: '/b' })], [200, 429])
})

test('mistakes in a config are told as Kong tells them', () => {
  const wrong = (config: object) => {
    const checked = checkInsert(schema, { config })
    return checked.ok ? undefined : checked.errors
  }
  assert.deepEqual(wrong({ minute: 10, second: 20 }), {
    config: 'The limit for minute(10.0) cannot be lower than the limit for second(20.0)',
  })
  assert.deepEqual(wrong({ minute: 5, sync_rate: 1 }), { config: 'sync_rate can only be used with the redis policy' })
  assert.deepEqual(wrong({ minute: 5, policy: 'redis', redis: { host: 'a' }, sync_rate: 0.01 }), {
    config: 'sync_rate must be greater than 0.02, or -1 to disable',
  })
  assert.deepEqual(wrong({ minute: 5, redis_host: 7, redis_ssl: 'yes' }), {
    redis_host: 'expected a string',
    redis_ssl: 'expected a boolean',
  })
  assert.deepEqual(wrong({ minute: 5, redis_host: 'a', redis: { host: 'b' } }), {
    redis_host: 'both deprecated and new field are used but their values mismatch: redis_host = a vs redis.host = b',
  })
})

test('a server that is named in the former way is the same server', () => {
  const checked = checkInsert(schema, {
    config: { minute: 5, policy: 'redis', redis_host: 'a', redis_port: 1, redis: { port: 1, database: 3 } },
  })
  assert.ok(checked.ok)
  const { redis, ...config } = checked.value['config'] as { readonly redis: Record<string, unknown> }
  assert.deepEqual([redis['host'], redis['port'], redis['database'], redis['timeout']], ['a', 1, 3, 2000])
  assert.deepEqual(
    Object.keys(config).filter((name) => name.startsWith('redis')),
    [],
  )
})

suite('in Redis', { skip: noRedis }, async () => {
  const redis = await startRedis()
  after(() => redis.stop())
  /** Nodes are told apart by their connections. */
  const node = (at: number, config: object, route = 'shared') => {
    const checked = checkInsert(schema, {
      config: { policy: 'redis', redis: { host: '127.0.0.1', port: redis.port, timeout: 20_000 + at }, ...config },
    })
    assert.ok(checked.ok)
    return handler.prepare(checked.value['config'] as never, { id: 'p', name: 'rate-limiting', route })
  }
  const direct = redisAt(redis.place())

  test('nodes count together, and requests at once are as good as in a row', async () => {
    const nodes = [0, 1].map((at) => node(at, { day: 5, year: 100 })) as [Ready, Ready]
    const sent = await Promise.all(Array.from({ length: 40 }, (_, at) => send(nodes[at % 2 === 0 ? 0 : 1])))
    assert.equal(sent.filter(({ status }) => status === 200).length, 5)
    const { headers } = await send(nodes[1])
    // What was refused was counted in no window.
    assert.deepEqual([headers['x-ratelimit-remaining-day'], headers['x-ratelimit-remaining-year']], ['0', '95'])
  })

  test('counts have the names that Kong gives them, and end with their windows', async () => {
    await send(node(0, { day: 5 }, '11111111-1111-4111-8111-111111111111'))
    const start = Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth(), new Date().getUTCDate())
    const name = `ratelimit:11111111-1111-4111-8111-111111111111:00000000-0000-0000-0000-000000000000:127.0.0.1:${start}:day`
    assert.equal(await direct.command(['GET', name]), '1')
    const left = Number(await direct.command(['TTL', name]))
    assert.ok(left > 86_000 && left <= 86_400, `${left} s`)
  })

  test('while it is away requests pass or are 500, as is asked for, and the log says so once', async () => {
    const [tolerant, strict] = [node(2, { day: 1 }), node(3, { day: 1, fault_tolerant: false })]
    await redis.kill()
    const [first, second] = [await send(tolerant), await send(tolerant)]
    assert.deepEqual([first.status, second.status, second.headers], [200, 200, {}])
    assert.deepEqual(
      [...first.kong.logged, ...second.kong.logged].map(({ level }) => level),
      ['err'],
    )
    const refused = await send(strict)
    assert.deepEqual([refused.status, refused.message], [500, 'An unexpected error occurred'])
    await redis.start()
    let back = await send(strict)
    while (back.status === 500) back = await send(strict)
    assert.deepEqual([back.status, (await send(strict)).status], [200, 429])
    assert.match(String(back.kong.logged[0]?.message), /no longer: .*cannot be counted in Redis/)
  })
})
