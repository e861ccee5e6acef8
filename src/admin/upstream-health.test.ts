/** What is told of targets' health, in Kong's forms. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestAdmin, type TestAdmin } from '../../test/admin/fixture.ts'

let admin: TestAdmin
before(async () => {
  admin = await startTestAdmin({ dns_resolver: ['127.0.0.1:1'], dns_order: ['A'] })
})
after(() => admin.stop())

const passive = { healthchecks: { passive: { unhealthy: { tcp_failures: 3 } } } }

async function upstream(name: string, fields: object, targets: readonly object[]): Promise<void> {
  assert.equal((await admin.send('PUT', `/upstreams/${name}`, fields)).status, 200)
  for (const target of targets)
    assert.equal((await admin.send('POST', `/upstreams/${name}/targets`, target)).status, 201)
}

const health = async (name: string) => (await admin.send('GET', `/upstreams/${name}/health`)).json
const whole = async (name: string) => (await admin.send('GET', `/upstreams/${name}/health?balancer_health=1`)).json

test('each target is told with its addresses, weights and health', async () => {
  await upstream('told', passive, [
    { target: '127.0.0.1:80', weight: 10 },
    { target: '127.0.0.2', weight: 0 },
  ])
  const { data, next, node_id } = await health('told')
  assert.equal(next, null)
  assert.match(node_id, /^[\da-f-]{36}$/)
  const one = data.find(({ target }: { target: string }) => target === '127.0.0.1:80')
  assert.equal(one.health, 'HEALTHY')
  assert.deepEqual(one.data, {
    host: '127.0.0.1',
    port: 80,
    dns: 'A',
    nodeWeight: 10,
    weight: { total: 10, available: 10, unavailable: 0 },
    addresses: [{ ip: '127.0.0.1', port: 80, weight: 10, health: 'HEALTHY' }],
  })
  const other = data.find(({ target }: { target: string }) => target === '127.0.0.2:8000')
  assert.equal(other.health, 'HEALTHCHECKS_OFF')
})

test('a target of which no address is known is a DNS_ERROR', async () => {
  await upstream('lost', passive, [{ target: 'nowhere.test:80' }])
  const { data } = await health('lost')
  assert.equal(data[0].health, 'DNS_ERROR')
  assert.deepEqual(data[0].data.addresses, {})
  assert.match(data[0].data.dns, /^dns (server|client) error/)
})

test('an upstream as a whole is told with its balancer', async () => {
  await upstream('whole', passive, [{ target: '127.0.0.1:80' }, { target: '127.0.0.2:80' }])
  const { id } = (await admin.send('GET', '/upstreams/whole')).json
  await admin.send('PUT', '/upstreams/whole/targets/127.0.0.1:80/unhealthy')
  const { data } = await whole('whole')
  assert.deepEqual([data.id, data.health, data.balancer_health], [id, 'HEALTHY', 'HEALTHY'])
  const { hosts, ...rest } = data.details
  assert.deepEqual(rest, { healthy: true, weight: { total: 200, available: 100, unavailable: 100 } })
  assert.deepEqual(
    hosts.map(({ addresses }: { addresses: readonly { healthy: boolean }[] }) => addresses[0]?.healthy),
    [false, true],
  )
})

test('without checks health is off, and an upstream without targets can serve nobody all the same', async () => {
  await upstream('empty', {}, [])
  const { data } = await whole('empty')
  assert.deepEqual([data.health, data.balancer_health, data.details.hosts], ['HEALTHCHECKS_OFF', 'UNHEALTHY', {}])
  assert.deepEqual((await health('empty')).data, [])
})

test('health is set by hand for a target, or for one of its addresses, whose port is 8000 unless said', async () => {
  await upstream('hand', passive, [{ target: '127.0.0.1:8000' }])
  const word = async () => (await health('hand')).data[0].health
  const put = async (path: string) => (await admin.send('PUT', `/upstreams/hand/targets/${path}`)).status
  assert.deepEqual([await put('127.0.0.1:8000/unhealthy'), await word()], [204, 'UNHEALTHY'])
  assert.deepEqual([await put('127.0.0.1:8000/127.0.0.1/healthy'), await word()], [204, 'HEALTHY'])
  assert.deepEqual([await put('127.0.0.1:8000/127.0.0.1:81/unhealthy'), await word()], [204, 'HEALTHY'])
  const { id } = (await health('hand')).data[0]
  assert.deepEqual([await put(`${id}/unhealthy`), await word()], [204, 'UNHEALTHY'])
  assert.equal(await put('127.0.0.9:1/unhealthy'), 404)
  assert.equal(await put('127.0.0.1:8000/300.1.1.1/unhealthy'), 400)
})

test('where nobody looks at health, it cannot be set', async () => {
  await upstream('off', {}, [{ target: '127.0.0.1:80' }])
  const { status, json } = await admin.send('PUT', '/upstreams/off/targets/127.0.0.1:80/healthy')
  assert.deepEqual([status, json], [400, { message: 'no healthchecker found for off' }])
  assert.equal((await health('off')).data[0].health, 'HEALTHCHECKS_OFF')
})
