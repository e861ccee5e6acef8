/** Limits on whole gateways: over workers, by tokens without a consumer, and over nodes. */
import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { askLocally } from '../../src/cli/local-admin.ts'
import type { Settings } from '../../src/config/settings.ts'
import { startGateway } from '../../src/main.ts'
import { signToken } from '../../src/plugins/jwt/sign.ts'
import { sendTo, type TestAnswer } from '../admin/fixture.ts'
import { type GatewayProcess, startGatewayProcess } from '../postgres/gateway.ts'
import { startPostgres, withoutPostgres } from '../postgres/server.ts'
import { noRedis, startRedis } from '../plugins/redis.ts'
import { startForTest } from './gateway.ts'
import { startProcess } from './started.ts'

interface PluginConfig {
  readonly name: string
  readonly config: object
}

const declared = (plugins: readonly PluginConfig[]) => ({
  _format_version: '3.0',
  routes: [{ name: 'all', paths: ['/'], hosts: ['api.test'], plugins }],
  plugins: [{ name: 'request-termination', config: { status_code: 200 } }],
  consumers: [{ username: 'alice', jwt_secrets: [{ key: 'issuer', secret: 'issuer-secret' }] }],
})

/** A gateway with two workers, without a database. */
async function world(t: TestContext, plugins: readonly PluginConfig[], own: Partial<Settings> = {}) {
  const { gateway } = await startForTest(t, (folder) => {
    const declarative_config = join(folder, 'kong.json')
    writeFileSync(declarative_config, JSON.stringify(declared(plugins)))
    return { database: 'off', declarative_config, ...own }
  })
  // Each request has a connection of its own, so that both workers get some.
  const send = (headers: Record<string, string> = {}) =>
    sendTo(gateway.proxyPorts[0]!, 'GET', '/', undefined, { Host: 'api.test', Connection: 'close', ...headers })
  const admin = (method: string, path: string, body?: object) => sendTo(gateway.adminPorts[0]!, method, path, body)
  return { send, admin }
}

const passed = (answers: readonly TestAnswer[]): number => answers.filter(({ status }) => status === 200).length
const times = <T>(count: number, make: () => Promise<T>) => Promise.all(Array.from({ length: count }, make))

const limiting = (config: object): PluginConfig => ({ name: 'rate-limiting', config: { year: 20, ...config } })

test('the workers of a node let through as many together as there may be', async (t) => {
  const { send, admin } = await world(t, [limiting({ limit_by: 'ip' })])
  assert.equal(passed(await times(60, send)), 20)
  const refused = await send()
  assert.equal(refused.status, 429)
  assert.equal(refused.headers['x-ratelimit-remaining-year'], '0')
  // The same config put in force again, and with another limit, goes on where it was.
  const again = await admin('POST', '/config', declared([limiting({ limit_by: 'ip', year: 25 })]))
  assert.equal(again.status, 201)
  assert.equal(passed(await times(10, send)), 5)
})

test('tokens without a consumer are counted by issuer and subject, whichever workers they reach', async (t) => {
  const jwt = { name: 'jwt', config: { consumer_claim: ['sub'], consumer_by: ['username'], consumer_optional: true } }
  const token = (claims: object) =>
    signToken(
      { header: { alg: 'HS256', typ: 'JWT' }, payload: { iss: 'issuer', ...claims } },
      'HS256',
      createSecretKey(Buffer.from('issuer-secret')),
    )
  for (const limit_by of ['credential', 'consumer']) {
    const { send } = await world(t, [jwt, limiting({ limit_by, year: 10 })])
    const bearer = (claims: object) => send({ Authorization: `Bearer ${token(claims)}` })
    let jti = 0
    assert.equal(passed(await times(30, () => bearer({ sub: 'mallory', jti: String(jti++) }))), 10, limit_by)
    assert.equal(passed(await times(15, () => bearer({ sub: 'bob', jti: String(jti++) }))), 10, limit_by)
    assert.equal((await bearer({ sub: 'mallory', jti: 'last' })).status, 429)
    // Whoever is a Consumer is counted as one, or by the credential that the token was verified with.
    assert.equal((await bearer({ sub: 'alice' })).status, 200)
    assert.equal((await send()).status, 401)
  }
})

test('a node counts on after a restart where it counts in the database, and refuses to without one', async (t) => {
  const { gateway, settings } = await startForTest(t)
  const put = async (path: string, body: object) => {
    const answer = await sendTo(gateway.adminPorts[0]!, 'PUT', path, body)
    assert.equal(answer.status, 200, answer.text)
  }
  await put('/routes/all', { paths: ['/'], hosts: ['api.test'] })
  await put('/plugins/7d3ea9a4-4c08-4e42-9d3e-5f5a9b7f1c11', {
    name: 'request-termination',
    config: { status_code: 200 },
  })
  await put('/plugins/7d3ea9a4-4c08-4e42-9d3e-5f5a9b7f1c12', limiting({ policy: 'cluster', year: 100 }))
  const sendAt = (port: number) => () => sendTo(port, 'GET', '/', undefined, { Host: 'api.test', Connection: 'close' })
  assert.equal(passed(await times(60, sendAt(gateway.proxyPorts[0]!))), 60)
  await gateway.stop()
  const next = await startGateway(settings)
  t.after(() => next.stop())
  const send = sendAt(next.proxyPorts[0]!)
  assert.equal((await send()).status, 200)
  let sent = 1
  await until(async () => {
    sent++
    return Number((await send()).headers['x-ratelimit-remaining-year']) === 40 - sent
  })

  const { admin } = await world(t, [])
  const refused = await admin('POST', '/schemas/plugins/validate', limiting({ policy: 'cluster' }))
  assert.deepEqual([refused.status, refused.json.fields.config], [400, { policy: 'expected one of: local, redis' }])
})

test('nodes on one PostgreSQL add up what they count', { skip: withoutPostgres ?? false }, async (t) => {
  const server = await startPostgres()
  t.after(() => server.stop())
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-limits-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const database = await server.database()
  const nodes = await Promise.all(['a', 'b'].map((name) => startGatewayProcess(join(folder, name), database)))
  t.after(() => Promise.all(nodes.map((node) => node.stop())))
  const [one, two] = nodes as [GatewayProcess, GatewayProcess]
  const put = (path: string, body: object) => until(async () => (await one.admin('PUT', path, body)).status === 200)
  await put('/routes/all', { paths: ['/'] })
  await put('/plugins/7d3ea9a4-4c08-4e42-9d3e-5f5a9b7f1c11', {
    name: 'request-termination',
    config: { status_code: 200 },
  })
  await put('/plugins/7d3ea9a4-4c08-4e42-9d3e-5f5a9b7f1c12', limiting({ policy: 'cluster', year: 1000 }))
  const leftAt = async ({ proxyPort }: GatewayProcess) => {
    const answer = await sendTo(proxyPort, 'GET', '/')
    return Number(answer.headers['x-ratelimit-remaining-year'])
  }
  await until(async () => !Number.isNaN(await leftAt(two)))
  // Both at once, so that they write the same counts at the same time.
  await Promise.all([times(300, () => leftAt(one)), times(300, () => leftAt(two))])
  await until(async () => (await leftAt(one)) < 400 && (await leftAt(two)) < 400)
})

test('nodes that tell Redis from time to time add up there', { skip: noRedis }, async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const config = { policy: 'redis', redis: { host: '127.0.0.1', port: redis.port }, sync_rate: 0.05, limit_by: 'ip' }
  const nodes = [await world(t, [limiting(config)]), await world(t, [limiting(config)])]
  const [one, two] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]
  await times(12, one.send)
  assert.equal((await two.send()).status, 200)
  await until(async () => (await two.send()).status === 429 && (await one.send()).status === 429)
})

test('a process that takes the place of another one goes on counting, and adds nothing up twice', async () => {
  const gateway = await startProcess({})
  const port = Number(new URL(gateway.proxy[0] ?? '').port)
  const plugin = (id: number, body: object) => gateway.put(`/plugins/00000000-0000-4000-8000-00000000000${id}`, body)
  for (const name of ['local', 'cluster']) await gateway.put(`/routes/${name}`, { paths: [`/${name}`] })
  await plugin(1, { name: 'request-termination', config: { status_code: 200 } })
  await plugin(2, { ...limiting({ year: 100 }), route: { name: 'local' } })
  await plugin(3, { ...limiting({ year: 100, policy: 'cluster' }), route: { name: 'cluster' } })
  const left = async (path: string) =>
    Number((await sendTo(port, 'GET', path, undefined, { Connection: 'close' })).headers['x-ratelimit-remaining-year'])
  await times(10, () => left('/local'))
  await times(10, () => left('/cluster'))
  assert.equal((await askLocally(gateway.prefix, 'POST', '/reload')).status, 200)
  assert.equal(await left('/local'), 89)
  let sent = 10
  await until(async () => {
    sent++
    return (await left('/cluster')) === 100 - sent
  })
  await sleep(1500)
  assert.equal(await left('/cluster'), 99 - sent)
  await gateway.stop()
})

/** Waits until it holds, for a minute at most. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000
  while (!(await holds().catch(() => false))) {
    assert.ok(performance.now() < end, 'it has not come to pass in a minute')
    await sleep(100)
  }
}
