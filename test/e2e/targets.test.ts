/** Upstreams as clients meet them: targets that fail in every way, names that move, health that all workers know. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { loadSettings } from '../../src/config/settings.ts'
import { startGateway, type Gateway } from '../../src/main.ts'
import { a, type Answer, startNameServer } from '../dns/name-server.ts'
import { answer, failures, Target, traffic } from './traffic.ts'

const folder = mkdtempSync(join(tmpdir(), 'gibbon-targets-'))
const zone: Record<string, readonly Answer[]> = {}
let names: Awaited<ReturnType<typeof startNameServer>>
let gateway: Gateway

before(async () => {
  names = await startNameServer((question) => zone[question])
  const loaded = loadSettings({
    env: {},
    overrides: {
      prefix: folder,
      proxy_listen: '127.0.0.1:0',
      admin_listen: '127.0.0.1:0',
      nginx_worker_processes: '2',
      proxy_access_log: 'off',
      proxy_error_log: join(folder, 'error.log'),
      dns_resolver: names.address,
      dns_order: 'A',
      drain_timeout: '1s',
    },
  })
  assert.ok(loaded.ok)
  gateway = await startGateway(loaded.settings)
})

after(async () => {
  await gateway.stop()
  await names.close()
  rmSync(folder, { recursive: true })
})

const port = (): number => gateway.proxyPorts[0] ?? 0

interface AdminAnswer {
  readonly status: number
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers whose shape is what they check
  readonly body: any
}

async function admin(method: string, path: string, body?: object): Promise<AdminAnswer> {
  const response = await fetch(`http://127.0.0.1:${gateway.adminPorts[0]}${path}`, {
    method,
    ...(body ? { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) } : {}),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
}

/** An upstream with a service and a route of the same name. */
async function upstream(name: string, targets: readonly string[], fields: object = {}): Promise<void> {
  const answers = [
    await admin('PUT', `/upstreams/${name}.up`, fields),
    await admin('PUT', `/services/${name}`, { url: `http://${name}.up` }),
    await admin('PUT', `/services/${name}/routes/${name}`, { paths: [`/${name}`] }),
  ]
  for (const target of targets) answers.push(await admin('POST', `/upstreams/${name}.up/targets`, { target }))
  for (const { status, body } of answers) assert.ok(status < 300, JSON.stringify(body))
}

const started: Target[] = []
after(() => {
  for (const target of started) target.die()
})

async function targets(count: number): Promise<Target[]> {
  const made = await Promise.all(Array.from({ length: count }, () => new Target().listen()))
  started.push(...made)
  return made
}

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let left = 3000; !(await isSo()); left--) {
    if (left === 0) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('a client with a cookie of the upstream stays with its target, and is given another one when that is gone', async () => {
  const [one, other] = (await targets(2)) as [Target, Target]
  await upstream('seat', [one.place, other.place], { sticky_sessions_cookie: 'seat', ...checks })
  const visit = async (cookie?: string) => {
    const before = [one.requests, other.requests]
    const response = await fetch(`http://127.0.0.1:${port()}/seat`, { headers: cookie ? { cookie } : {} })
    assert.equal(response.status, 200)
    const at = one.requests > before[0]! ? one : other
    return { at, cookie: response.headers.get('set-cookie')?.split(';')[0] }
  }
  const first = await visit()
  assert.match(first.cookie ?? '', /^seat=/)
  for (let times = 0; times < 10; times++)
    assert.deepEqual(await visit(first.cookie), { at: first.at, cookie: undefined })
  first.at.die()
  const left = first.at === one ? other : one
  const moved = await visit(first.cookie)
  assert.equal(moved.at, left)
  assert.notEqual(moved.cookie, first.cookie)
  for (let times = 0; times < 10; times++) assert.deepEqual(await visit(moved.cookie), { at: left, cookie: undefined })
})

const checks = {
  healthchecks: {
    active: {
      timeout: 2,
      healthy: { interval: 0.2, successes: 1 },
      unhealthy: { interval: 0.2, tcp_failures: 1, timeouts: 1, http_failures: 1 },
    },
    passive: { healthy: { successes: 1 }, unhealthy: { tcp_failures: 2, timeouts: 2 } },
  },
}

const isUp = async (name: string, target: Target): Promise<boolean> => {
  const { body } = await admin('GET', `/upstreams/${name}.up/health`)
  return body.data.find((found: { target: string }) => found.target === target.place).health === 'HEALTHY'
}

/** Longer than it takes to find a target, and less than one takes that does not answer. */
const patienceMs = 30_000

for (const [name, fail] of Object.entries(failures)) {
  test(`one of three targets that is ${name} is noticed by fewer than 1 in 1,000 clients, and by none once it is found`, async () => {
    const three = await targets(3)
    const [, bad] = three
    assert(bad)
    await upstream(
      name,
      three.map(({ place }) => place),
      checks,
    )
    const before = traffic(port(), `/${name}`)
    await until(() => three.every(({ requests }) => requests > 100), 'every target to be asked')
    fail(bad)
    await until(async () => !(await isUp(name, bad)), 'the target to be found')
    // What waited for the bad target has moved on when its clients ask again.
    const found = before.answered
    await until(() => before.answered > found + 3000, 'traffic to go on')
    await before.stop()
    assert.ok(
      before.failed.length * 1000 < before.answered,
      `${before.failed.length} of ${before.answered}: ${before.failed[0]}`,
    )
    assert.ok(before.slowestMs < patienceMs, `${before.slowestMs} ms`)
    const asked = bad.requests
    const after = traffic(port(), `/${name}`)
    await until(() => after.answered > 3000, 'more traffic')
    await after.stop()
    assert.deepEqual(after.failed, [])
    // Probes go on asking it, requests do not.
    assert.ok(bad.requests - asked < 100, `${bad.requests - asked} requests`)
  })
}

test('a request that may not be repeated goes on to another target as long as nothing was sent', async () => {
  const three = await targets(3)
  await upstream(
    'posts',
    three.map(({ place }) => place),
  )
  three[0]?.die()
  const clients = traffic(port(), '/posts', 8, 'POST')
  await until(() => clients.answered > 1000, 'traffic')
  await clients.stop()
  assert.deepEqual(clients.failed, [])
})

test('a target that comes back takes requests again', async () => {
  const [good, bad] = await targets(2)
  assert(good && bad)
  await upstream('back', [good.place, bad.place], checks)
  bad.behaviour = (socket) => void socket.resetAndDestroy()
  await until(async () => !(await isUp('back', bad)), 'the target to be found')
  bad.behaviour = answer
  await until(() => isUp('back', bad), 'the target to be found well')
  const clients = traffic(port(), '/back', 4)
  const asked = bad.requests
  await until(() => bad.requests > asked + 100, 'requests')
  await clients.stop()
  assert.deepEqual(clients.failed, [])
})

test('what is set by hand is in force at once on every worker, and told', async () => {
  const two = await targets(2)
  const [one, other] = two
  assert(one && other)
  const passive = { healthchecks: { passive: { unhealthy: { tcp_failures: 3 } } } }
  await upstream(
    'hand',
    two.map(({ place }) => place),
    passive,
  )
  const clients = traffic(port(), '/hand', 16)
  await until(() => one.requests > 50 && other.requests > 50, 'both to be asked')
  assert.equal((await admin('PUT', `/upstreams/hand.up/targets/${one.place}/unhealthy`)).status, 204)
  // Requests on their way are still answered.
  await new Promise((resolve) => setTimeout(resolve, 50))
  const asked = one.requests
  const answered = clients.answered
  await until(() => clients.answered > answered + 500, 'traffic')
  assert.equal(one.requests, asked)
  const { body } = await admin('GET', '/upstreams/hand.up/health?balancer_health=1')
  assert.equal(body.data.health, 'HEALTHY')
  assert.deepEqual(body.data.details.weight, { total: 200, available: 100, unavailable: 100 })
  await admin('PUT', `/upstreams/hand.up/targets/${one.place}/${one.place}/healthy`)
  await until(() => one.requests > asked + 100, 'it to be asked again')
  await clients.stop()
  assert.deepEqual(clients.failed, [])
})

test('with every target down a request is told that there is nobody to ask', async () => {
  const [only] = await targets(1)
  assert(only)
  await upstream('nobody', [only.place], { healthchecks: { passive: { unhealthy: { tcp_failures: 1 } } } })
  await admin('PUT', `/upstreams/nobody.up/targets/${only.place}/unhealthy`)
  const response = await fetch(`http://127.0.0.1:${gateway.proxyPorts[0]}/nobody`)
  assert.equal(response.status, 503)
  assert.match(await response.text(), /failure to get a peer from the ring-balancer/)
  const { body } = await admin('GET', '/upstreams/nobody.up/health?balancer_health=1')
  assert.deepEqual([body.data.health, body.data.balancer_health], ['UNHEALTHY', 'UNHEALTHY'])
})

test('a name that changes its address long before its time to live is over costs nobody an error', async () => {
  const old = await new Target().listen('127.0.0.1')
  const fresh = await new Target().listen('127.0.0.2', old.port)
  started.push(old, fresh)
  zone['moving.test A'] = [a('127.0.0.1', 3600)]
  await upstream('moving', [`moving.test:${old.port}`])
  await admin('PUT', '/services/moving-host', { url: `http://moving.test:${old.port}` })
  await admin('PUT', '/services/moving-host/routes/moving-host', { paths: ['/direct'] })
  const clients = [traffic(port(), '/moving', 8), traffic(port(), '/direct', 8)]
  await until(() => clients.every(({ answered }) => answered > 100), 'traffic')
  zone['moving.test A'] = [a('127.0.0.2', 3600)]
  // The name is not asked for again within a second of the last time.
  await new Promise((resolve) => setTimeout(resolve, 1000))
  old.die()
  const before = clients.map(({ answered }) => answered)
  await until(() => clients.every(({ answered }, at) => answered > (before[at] ?? 0) + 500), 'traffic to go on')
  await Promise.all(clients.map((client) => client.stop()))
  assert.deepEqual(
    clients.flatMap(({ failed }) => failed),
    [],
  )
  assert.ok(fresh.requests > 900)
})

test('the same hash leads to the same target from every worker, and a cookie makes a client stay', async () => {
  const three = await targets(3)
  for (const [index, target] of three.entries()) {
    target.behaviour = (socket) => void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${index}`)
  }
  await upstream(
    'hashed',
    three.map(({ place }) => place),
    { hash_on: 'header', hash_on_header: 'X-Tenant' },
  )
  const ask = async (path: string, headers: Record<string, string>) => {
    const response = await fetch(`http://127.0.0.1:${gateway.proxyPorts[0]}${path}`, {
      headers: { ...headers, Connection: 'close' },
    })
    return { target: await response.text(), cookie: response.headers.get('set-cookie') }
  }
  const seen = new Set<string>()
  for (let tenant = 0; tenant < 10; tenant++) {
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask('/hashed', { 'X-Tenant': `t${tenant}` })))
    const met = new Set(answers.map(({ target }) => target))
    assert.equal(met.size, 1)
    seen.add(answers[0]?.target ?? '')
  }
  assert.ok(seen.size > 1)
  await upstream(
    'seats',
    three.map(({ place }) => place),
    { hash_on: 'cookie', hash_on_cookie: 'seat' },
  )
  const first = await ask('/seats', {})
  assert.match(String(first.cookie), /^seat=[\da-f-]{36}; Path=\/; Same-Site=Lax; HttpOnly$/)
  for (let at = 0; at < 6; at++) {
    const again = await ask('/seats', { Cookie: String(first.cookie).split(';')[0] ?? '' })
    assert.deepEqual([again.target, again.cookie], [first.target, null])
  }
})
