/** Several whole gateways on one PostgreSQL. */
import assert from 'node:assert/strict'
import { createSecretKey, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { signToken } from '../../src/plugins/jwt/sign.ts'
import { type GatewayProcess, startGatewayProcess } from '../postgres/gateway.ts'
import { partitionOf } from '../postgres/partition.ts'
import { type PostgresServer, startPostgres, withoutPostgres } from '../postgres/server.ts'
import { runTrials } from '../postgres/trials.ts'

/** More of them: `node test/postgres/trials.ts --gateway 200 --server 200 --partition 200`. */
const trials = { gateway: 1, server: 2, partition: 2 }

describe('gateways that share a PostgreSQL', { skip: withoutPostgres ?? false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-nodes-'))
  const upstream: Server = createServer((_, response) => response.end('ok'))
  let server: PostgresServer

  before(async () => {
    server = await startPostgres()
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
  })
  after(async () => {
    await server.stop()
    upstream.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const url = () => `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  /** On a busy machine the database may take longer than a write waits for it. */
  const put = (node: GatewayProcess, path: string, body: object) =>
    until(async () => (await node.admin('PUT', path, body)).status === 200)
  const statusOf = async (node: GatewayProcess, path: string) =>
    (await fetch(`http://127.0.0.1:${node.proxyPort}${path}`)).status

  test('what is written on one node is in force there when it is answered, and soon on the others', async (t) => {
    const database = await server.database()
    const nodes = await Promise.all(['a', 'b', 'c'].map((name) => startGatewayProcess(join(folder, name), database)))
    t.after(() => Promise.all(nodes.map((node) => node.stop())))
    const [one, two, three] = nodes as [GatewayProcess, GatewayProcess, GatewayProcess]
    await put(one, '/services/s', { url: url() })
    await put(two, '/services/s/routes/r', { paths: ['/r'] })
    assert.equal(await statusOf(two, '/r'), 200)
    await until(async () => (await statusOf(one, '/r')) === 200 && (await statusOf(three, '/r')) === 200)

    const twice = await three.admin('POST', '/services', { name: 's', url: url() })
    assert.equal(twice.status, 409)
    assert.match(String(twice.body.message), /UNIQUE violation detected on '\{name="s"\}'/)
    const held = await one.admin('DELETE', '/services/s')
    assert.equal(held.status, 400)
    assert.match(String(held.body.message), /an existing 'routes' entity references this 'services' entity/)
    await until(async () => (await three.admin('DELETE', '/routes/r')).status === 204)
    assert.equal(await statusOf(three, '/r'), 404)
    await until(async () => (await statusOf(one, '/r')) === 404 && (await statusOf(two, '/r')) === 404)
    assert.deepEqual((await two.admin('GET', '/status')).body.database, { reachable: true })
    assert.equal((await two.admin('GET', '/')).body.configuration.database, 'postgres')
  })

  test('the health of a target that is set by hand on one node holds on all', async (t) => {
    const database = await server.database()
    const nodes = await Promise.all(['h1', 'h2'].map((name) => startGatewayProcess(join(folder, name), database)))
    t.after(() => Promise.all(nodes.map((node) => node.stop())))
    const [one, two] = nodes as [GatewayProcess, GatewayProcess]
    const passive = { unhealthy: { tcp_failures: 3 } }
    await put(one, '/upstreams/u', { healthchecks: { passive } })
    await until(
      async () => (await one.admin('POST', '/upstreams/u/targets', { target: '127.0.0.1:81' })).status === 201,
    )
    const wordOn = async (node: GatewayProcess) => (await node.admin('GET', '/upstreams/u/health')).body.data[0]?.health
    await until(async () => (await wordOn(two)) === 'HEALTHY')
    for (const [from, to, path, word] of [
      [one, two, 'unhealthy', 'UNHEALTHY'],
      [two, one, 'healthy', 'HEALTHY'],
      [one, two, '127.0.0.1:81/unhealthy', 'UNHEALTHY'],
    ] as const) {
      const { status, body } = await from.admin('PUT', `/upstreams/u/targets/127.0.0.1:81/${path}`, {})
      assert.equal(status, 204, JSON.stringify(body))
      assert.equal(await wordOn(from), word, 'at once where it was set')
      await until(async () => (await wordOn(to)) === word)
    }
    await until(async () => (await two.admin('DELETE', '/upstreams/u')).status === 204)
  })

  test('a token that is good once is let in once by all nodes together', async (t) => {
    const database = await server.database()
    const nodes = await Promise.all(['u1', 'u2'].map((name) => startGatewayProcess(join(folder, name), database)))
    t.after(() => Promise.all(nodes.map((node) => node.stop())))
    const [one, two] = nodes as [GatewayProcess, GatewayProcess]
    await put(one, '/services/s', { url: url() })
    await put(one, '/services/s/routes/r', { paths: ['/r'] })
    await put(one, '/consumers/alice', {})
    await put(one, '/consumers/alice/jwt/00000000-0000-4000-8000-00000000a11c', { key: 'alice-key', secret: 'secret' })
    await put(one, '/plugins/00000000-0000-4000-8000-0000000000ce', { name: 'jwt', config: { single_use: true } })
    await until(async () => (await statusOf(two, '/r')) === 401)
    const sendAll = async (jti: string) => {
      const payload = { iss: 'alice-key', jti, exp: Math.floor(Date.now() / 1000) + 600 }
      const token = signToken({ header: { alg: 'HS256' }, payload }, 'HS256', createSecretKey(Buffer.from('secret')))
      const headers = { Authorization: `Bearer ${token}` }
      const sent = Array.from({ length: 20 }, (_, index) =>
        fetch(`http://127.0.0.1:${nodes[index % 2]!.proxyPort}/r`, { headers }),
      )
      return (await Promise.all(sent)).map(({ status }) => status)
    }
    let statuses: number[] = []
    // Where the database takes longer than a write waits for it nobody is let in, whoever was first.
    for (let turn = 0; statuses.length === 0 || statuses.includes(503); turn++)
      statuses = await sendAll(`token ${turn}`)
    assert.deepEqual(
      statuses.filter((status) => status !== 401),
      [200],
    )
  })

  test('a configuration that one node cannot put in force is told there once, though each worker finds it', async (t) => {
    const database = await server.database()
    const [one, two] = await Promise.all([
      startGatewayProcess(join(folder, 'p1'), database),
      startGatewayProcess(join(folder, 'p2'), database, { KONG_PLUGINS: 'jwt', KONG_NGINX_WORKER_PROCESSES: '2' }),
    ])
    t.after(() => Promise.all([one.stop(), two.stop()]))
    await put(one, '/services/s', { url: url() })
    await put(one, '/services/s/routes/r', { paths: ['/r'] })
    await until(async () => (await statusOf(two, '/r')) === 200)
    const plugin = { name: 'key-auth', service: { name: 's' } }
    await put(one, '/plugins/00000000-0000-4000-8000-00000000beef', plugin)
    const told = () =>
      readFileSync(join(folder, 'p2', 'error.log'), 'utf8').match(/could not be put in force.*key-auth/g)
    await until(async () => told() !== null)
    // Both workers have answered by the time that the next revision has been offered to them.
    await put(one, '/services/s/routes/r2', { paths: ['/r2'] })
    await until(async () => (await two.admin('GET', '/routes/r2')).status === 200)
    await until(async () => (await two.admin('DELETE', '/plugins/00000000-0000-4000-8000-00000000beef')).status === 204)
    await until(async () => (await statusOf(two, '/r2')) === 200)
    assert.equal(told()?.length, 1)
  })

  test('a database that stands still, or is killed, refuses writes soon, however many there are, and holds up nothing else', async (t) => {
    const database = await server.database()
    const node = await startGatewayProcess(join(folder, 'outage'), database)
    t.after(() => node.stop())
    await put(node, '/services/s', { url: url() })
    await put(node, '/services/s/routes/r', { paths: ['/r'] })
    const outages = [
      { happen: async () => server.pause(), end: async () => server.resume() },
      { happen: () => server.kill(), end: () => server.start() },
    ]
    for (const { happen, end } of outages) {
      const acknowledged: string[] = []
      const refusedMs: number[] = []
      const proxied: number[] = []
      let away = false
      const done = new AbortController()
      const writer = async (name: string) => {
        for (let at = 0; !done.signal.aborted; at++) {
          const username = `${name}-${at}`
          const sentAway = away
          const { status, ms } = await node.admin('POST', '/consumers', { username })
          if (status === 201) {
            assert.ok(!sentAway || !away, 'nothing is acknowledged that cannot be durable')
            acknowledged.push(username)
            continue
          }
          assert.equal(status, 503)
          refusedMs.push(ms)
          await sleep(20)
        }
      }
      const reader = async () => {
        for (; !done.signal.aborted; await sleep(5)) proxied.push(await statusOf(node, '/r'))
      }
      const run = randomUUID()
      const all = [...Array.from({ length: 16 }, (_, at) => writer(`${run}-${at}`)), reader()]
      await until(async () => acknowledged.length > 20)
      await happen()
      away = true
      const before = refusedMs.length
      await until(async () => refusedMs.length > before + 200)
      away = false
      await end()
      const there = acknowledged.length
      await until(async () => acknowledged.length > there + 20)
      done.abort()
      await Promise.all(all)
      t.diagnostic(`${refusedMs.length} writes refused, the slowest after ${Math.max(...refusedMs).toFixed(0)} ms`)
      // A connection that does not answer is given up after five seconds: that is not what they wait for.
      assert.ok(Math.max(...refusedMs) < 2500)
      assert.deepEqual(new Set(proxied), new Set([200]))
      for (const username of acknowledged) assert.equal((await node.admin('GET', `/consumers/${username}`)).status, 200)
    }
  })

  test('a node restarted while the database is away serves what it last had, and says how things are', async () => {
    const database = await server.database()
    const partition = await partitionOf(server.port)
    const away = { ...database, port: partition.port }
    const first = await startGatewayProcess(join(folder, 'restarted'), away)
    await put(first, '/services/s', { url: url() })
    await put(first, '/services/s/routes/r', { paths: ['/r'] })
    await first.stop()
    await partition.close()

    const again = await startGatewayProcess(join(folder, 'restarted'), away)
    try {
      assert.equal(await statusOf(again, '/r'), 200)
      assert.equal((await again.admin('GET', '/services/s')).body.name, 's')
      assert.deepEqual((await again.admin('GET', '/status')).body.database, { reachable: false })
      const { status, body } = await again.admin('DELETE', '/routes/r')
      assert.deepEqual([status, body], [503, { message: 'the store is not available' }])
    } finally {
      await again.stop()
    }
  })

  test('a gateway does not start on a database without tables, and says what to do; or makes them when asked to', async () => {
    const database = { ...(await server.database()), schema: 'not_yet' }
    await assert.rejects(startGatewayProcess(join(folder, 'new'), database), /run gibbon migrations bootstrap/)
    const node = await startGatewayProcess(join(folder, 'new'), database, {}, ['--run-migrations'])
    await node.stop()
  })

  test(`deaths and partitions in the midst of writes lose nothing (${JSON.stringify(trials)})`, async (t) => {
    const report = await runTrials(trials)
    t.diagnostic(JSON.stringify(report))
    assert.equal(report.failed, 0, 'no proxied request failed')
    assert.ok(report.acknowledged > 0 && report.proxied > 0)
  })
})

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let triesLeft = 500; !(await isSo()); triesLeft--) {
    if (triesLeft === 0) throw new Error('waited in vain')
    await sleep(10)
  }
}
