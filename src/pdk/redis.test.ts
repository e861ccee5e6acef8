import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { noRedis, startRedis } from '../../test/plugins/redis.ts'
import { redisAt } from './redis.ts'
import { configureTrust } from './trust.ts'

async function server(t: TestContext, settings: readonly (readonly string[])[] = []) {
  const redis = await startRedis(settings)
  t.after(() => redis.stop())
  return redis
}

test('all who ask for the same server share one connection', { skip: noRedis }, async (t) => {
  const redis = await server(t)
  const replies = await Promise.all([1, 2, 3].map(() => redisAt(redis.place()).command(['CLIENT', 'ID'])))
  assert.equal(new Set(replies).size, 1)
  assert.notEqual(await redisAt(redis.place({ database: 1 })).command(['CLIENT', 'ID']), replies[0])
})

test('a config says which database, as whom, and with which password', { skip: noRedis }, async (t) => {
  const redis = await server(t, [
    ['requirepass', 'of-all'],
    ['user', 'counter', 'on', '>of-one', 'allkeys', '+@all'],
  ])
  const whoAmI = (given: Parameters<typeof redis.place>[0]) => redisAt(redis.place(given)).command(['ACL', 'WHOAMI'])
  assert.equal(await whoAmI({ password: 'of-all' }), 'default')
  assert.equal(await whoAmI({ username: 'counter', password: 'of-one' }), 'counter')
  const one = redisAt(redis.place({ password: 'of-all', database: 7 }))
  await one.command(['SET', 'a', '1'])
  assert.match(String(await one.command(['INFO', 'keyspace'])), /db7:keys=1/)
  await assert.rejects(whoAmI({ password: 'wrong' }), (error: Error) => {
    assert.match(error.message, /WRONGPASS/)
    return !error.message.includes('wrong')
  })
})

test(
  'TLS is spoken where it is asked for, and the certificate looked at where that is',
  { skip: noRedis },
  async (t) => {
    const redis = await server(t)
    t.after(() => configureTrust(undefined))
    const secure = { port: redis.tlsPort, ssl: true }
    const ping = (given: Parameters<typeof redis.place>[0]) => redisAt(redis.place(given)).command(['PING'])
    assert.equal(await ping(secure), 'PONG')
    await assert.rejects(ping({ ...secure, ssl_verify: true, host: 'localhost' }), /self-signed certificate/)
    configureTrust(redis.certificate)
    assert.equal(await ping({ ...secure, ssl_verify: true, server_name: 'localhost' }), 'PONG')
    await assert.rejects(ping({ ...secure, ssl_verify: true, server_name: 'other.test' }), /does not match/)
  },
)

test('a server that is away is known to be, and asked again later', { skip: noRedis }, async (t) => {
  const redis = await server(t)
  const connection = redisAt(redis.place())
  assert.equal(await connection.command(['PING']), 'PONG')
  await redis.kill()
  await assert.rejects(async () => {
    for (;;) await connection.command(['PING'])
  }, /closed|ECONNRE/)
  await isAway(connection)
  await redis.start()
  await answers(connection)
})

test('a server that stands still holds nobody up for longer than its timeout', { skip: noRedis }, async (t) => {
  const redis = await server(t)
  const connection = redisAt(redis.place({ timeout: 1000 }))
  // To connect may take a busy machine longer than that.
  await answers(connection)
  redis.signal('SIGSTOP')
  const outcomes = await Promise.allSettled([1, 2, 3].map(() => connection.command(['PING'])))
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  )
  await isAway(connection)
  redis.signal('SIGCONT')
  await answers(connection)
})

test('what Redis refuses is told, and the connection stays', { skip: noRedis }, async (t) => {
  const connection = redisAt((await server(t)).place())
  const id = await connection.command(['CLIENT', 'ID'])
  await assert.rejects(connection.command(['NONSENSE']), /unknown command/)
  assert.equal(await connection.command(['CLIENT', 'ID']), id)
})

test('the client is not loaded before a command needs it', () => {
  const program = `
    const { default: basicAuth } = await import(process.argv[1])
    basicAuth.prepare({ brute_force_protection: { strategy: 'redis', redis: { host: 'a.test' } }, realm: 'r' }, { id: 'p', name: 'p' })
    const { createRequire } = await import('node:module')
    const loaded = Object.keys(createRequire(import.meta.url).cache)
    console.log(loaded.filter((path) => path.includes('@redis')).length)`
  const handler = new URL('../plugins/basic-auth/handler.ts', import.meta.url).href
  assert.equal(
    execFileSync(process.execPath, ['--input-type=module', '-e', program, handler], { encoding: 'utf8' }),
    '0\n',
  )
})

/** Asks a server that does not answer until it is known to be away, and so is not asked. */
async function isAway(connection: ReturnType<typeof redisAt>): Promise<void> {
  await assert.rejects(async () => {
    for (;;) await connection.command(['PING']).catch((error: Error) => assert.doesNotMatch(error.message, /is away/))
  })
}

/** Waits until a server that was away is there again. */
async function answers(connection: ReturnType<typeof redisAt>): Promise<void> {
  for (;;) {
    try {
      return void (await connection.command(['PING']))
    } catch {
      await wait(50)
    }
  }
}
