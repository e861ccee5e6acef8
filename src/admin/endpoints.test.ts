import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startTestAdmin, type TestAdmin } from '../../test/admin/fixture.ts'
import { serverCertificate } from '../config/self-signed.ts'
import { bundledPlugins } from '../plugins/index.ts'

let admin: TestAdmin
before(async () => {
  admin = await startTestAdmin()
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-endpoints-'))
  const { cert, key } = serverCertificate({ prefix: folder, ssl_cert: [], ssl_cert_key: [] })
  rmSync(folder, { recursive: true })
  const things: readonly (readonly [path: string, body: object])[] = [
    ['/certificates', { id: ids.certificates, cert, key, snis: ['sni.test'] }],
    ['/services', { name: 'svc', url: 'https://h.test', client_certificate: { id: ids.certificates } }],
    ['/services/svc/routes', { name: 'rt', paths: ['/'] }],
    ['/consumers', { username: 'bob' }],
    ['/consumers/bob/jwt', { key: 'k' }],
    ['/upstreams', { name: 'ups', client_certificate: { id: ids.certificates } }],
    ['/upstreams/ups/targets', { target: '127.0.0.1:80' }],
    ['/key-sets', { name: 'set' }],
    ['/keys', { name: 'key', kid: 'k', set: { name: 'set' }, jwk: '{vault://env/jwk}' }],
    ['/vaults', { name: 'env', prefix: 'my-env' }],
    ['/plugins', { name: 'jwt', instance_name: 'pl', service: { name: 'svc' }, route: { name: 'rt' } }],
  ]
  for (const [path, body] of things) {
    const answer = await admin.send('POST', path, body)
    assert.equal(answer.status, 201, answer.text)
  }
})
after(async () => {
  await admin.stop()
  assert.deepEqual(admin.errors, [])
})

const ids = { certificates: '00000000-0000-4000-8000-000000000001', none: '00000000-0000-4000-8000-00000000dead' }

/** Names that stand in the paths' places. */
const names: Readonly<Record<string, string>> = {
  services: 'svc',
  routes: 'rt',
  consumers: 'bob',
  jwt_secrets: 'k',
  upstreams: 'ups',
  targets: '127.0.0.1:80',
  certificates: ids.certificates,
  ca_certificates: ids.none,
  snis: 'sni.test',
  key_sets: 'set',
  keys: 'key',
  vaults: 'my-env',
  plugins: 'pl',
  tags: 'x',
  name: 'jwt',
  db_entity_name: 'services',
  key: 'x',
  log_level: 'notice',
  filter_chains: ids.none,
  address: '127.0.0.1:80',
}

const G = 'GET, HEAD, OPTIONS'
const P = 'OPTIONS, POST'
const U = 'OPTIONS, PUT'
const collection = 'GET, HEAD, OPTIONS, POST'
const entity = 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT'

/** Every path of Kong's Admin API with its `Allow` and the status of a GET; plugins' paths but for jwt's are theirs to test. */
const table: Readonly<Record<string, readonly [allow: string, get: number]>> = {
  '/': [G, 200],
  '/ca_certificates': [collection, 200],
  '/ca_certificates/{ca_certificates}': [entity, 404],
  '/cache': ['DELETE, OPTIONS', 405],
  '/cache/{key}': ['DELETE, GET, HEAD, OPTIONS', 404],
  '/certificates': [collection, 200],
  '/certificates/{certificates}': [entity, 200],
  '/certificates/{certificates}/services': [collection, 200],
  '/certificates/{certificates}/services/{services}': [entity, 200],
  '/certificates/{certificates}/snis': [collection, 200],
  '/certificates/{certificates}/snis/{snis}': [entity, 200],
  '/certificates/{certificates}/upstreams': [collection, 200],
  '/certificates/{certificates}/upstreams/{upstreams}': [entity, 200],
  '/clustering/data-planes': [G, 400],
  '/clustering/status': [G, 400],
  '/config': [collection, 400],
  '/consumers': [collection, 200],
  '/consumers/{consumers}': [entity, 200],
  '/consumers/{consumers}/jwt': [collection, 200],
  '/consumers/{consumers}/jwt/{jwt_secrets}': [entity, 200],
  '/consumers/{consumers}/plugins': [collection, 200],
  '/consumers/{consumers}/plugins/{plugins}': [entity, 404],
  '/debug/cluster/log-level/{log_level}': [U, 405],
  '/debug/node/log-level': [G, 200],
  '/debug/node/log-level/{log_level}': [U, 405],
  '/endpoints': [G, 200],
  '/jwts': [collection, 200],
  '/jwts/{jwt_secrets}': [entity, 200],
  '/jwts/{jwt_secrets}/consumer': [entity, 200],
  '/key-sets': [collection, 200],
  '/key-sets/{key_sets}': [entity, 200],
  '/key-sets/{key_sets}/keys': [collection, 200],
  '/key-sets/{key_sets}/keys/{keys}': [entity, 200],
  '/keys': [collection, 200],
  '/keys/{keys}': [entity, 200],
  '/keys/{keys}/set': [entity, 200],
  '/plugins': [collection, 200],
  '/plugins/enabled': [G, 200],
  '/plugins/schema/{name}': [G, 200],
  '/plugins/{plugins}': [entity, 200],
  '/plugins/{plugins}/consumer': [entity, 404],
  '/plugins/{plugins}/route': [entity, 200],
  '/plugins/{plugins}/service': [entity, 200],
  '/routes': [collection, 200],
  '/routes/{routes}': [entity, 200],
  '/routes/{routes}/filters/all': [G, 400],
  '/routes/{routes}/filters/disabled': [G, 400],
  '/routes/{routes}/filters/enabled': [G, 400],
  '/routes/{routes}/plugins': [collection, 200],
  '/routes/{routes}/plugins/{plugins}': [entity, 200],
  '/routes/{routes}/service': [entity, 200],
  '/schemas/filters/{name}': [G, 404],
  '/schemas/plugins/validate': [P, 405],
  '/schemas/plugins/{name}': [G, 200],
  '/schemas/vaults/validate': [P, 405],
  '/schemas/vaults/{name}': [G, 404],
  '/schemas/{db_entity_name}/validate': [P, 405],
  '/schemas/{name}': [G, 404],
  '/services': [collection, 200],
  '/services/{services}': [entity, 200],
  '/services/{services}/client_certificate': [entity, 200],
  '/services/{services}/plugins': [collection, 200],
  '/services/{services}/plugins/{plugins}': [entity, 200],
  '/services/{services}/routes': [collection, 200],
  '/services/{services}/routes/{routes}': [entity, 200],
  '/snis': [collection, 200],
  '/snis/{snis}': [entity, 200],
  '/status': [G, 200],
  '/status/dns': [G, 501],
  '/tags': [collection, 200],
  '/tags/{tags}': [entity, 200],
  '/timers': [G, 200],
  '/upstreams': [collection, 200],
  '/upstreams/{upstreams}': [entity, 200],
  '/upstreams/{upstreams}/client_certificate': [entity, 200],
  '/upstreams/{upstreams}/health': [G, 200],
  '/upstreams/{upstreams}/targets': [collection, 200],
  '/upstreams/{upstreams}/targets/all': [G, 200],
  '/upstreams/{upstreams}/targets/{targets}': [entity, 200],
  '/upstreams/{upstreams}/targets/{targets}/healthy': [U, 405],
  '/upstreams/{upstreams}/targets/{targets}/unhealthy': [U, 405],
  '/upstreams/{upstreams}/targets/{targets}/{address}/healthy': [U, 405],
  '/upstreams/{upstreams}/targets/{targets}/{address}/unhealthy': [U, 405],
  '/vaults': [collection, 200],
  '/vaults/{vaults}': [entity, 200],
}

/** Paths that Kong has not, and that its list does not hold; those of plugins are theirs to test. */
const own: typeof table = { '/traffic': [G, 200] }

/** Paths that lead nowhere say the same to every method that they have, OPTIONS included. */
const closed: Readonly<Record<string, readonly [allow: string, status: number]>> = {
  '/filter-chains': [collection, 400],
  '/filter-chains/{filter_chains}': [entity, 400],
  '/filter-chains/{filter_chains}/route': [entity, 400],
  '/filter-chains/{filter_chains}/service': [entity, 400],
  '/routes/{routes}/filter-chains': [collection, 400],
  '/routes/{routes}/filter-chains/{filter_chains}': [entity, 400],
  '/services/{services}/filter-chains': [collection, 400],
  '/services/{services}/filter-chains/{filter_chains}': [entity, 400],
  '/snis/{snis}/certificate': [entity, 404],
  '/targets': [collection, 404],
  '/targets/{targets}': [entity, 404],
  '/targets/{targets}/upstream': [entity, 404],
}

const methods = ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT', 'TRACE']
const filled = (path: string): string => path.replaceAll(/\{(\w+)\}/g, (_, name: string) => names[name] ?? name)

for (const [path, [allow, get]] of Object.entries({ ...table, ...own })) {
  test(`${path} has the methods ${allow}`, async () => {
    const options = await admin.send('OPTIONS', filled(path))
    assert.deepEqual([options.status, options.headers['allow']], [204, allow])
    const read = await admin.send('GET', filled(path))
    assert.equal(read.status, get, read.text)
    if (allow.includes('HEAD')) assert.equal((await admin.send('HEAD', filled(path))).status, get)
    for (const method of methods.filter((one) => !allow.split(', ').includes(one))) {
      const answer = await admin.send(method, filled(path))
      assert.equal(answer.status, 405, `${method} ${path}`)
      if (method !== 'HEAD') assert.deepEqual(answer.json, { message: 'Method not allowed' })
    }
  })
}

for (const [path, [allow, status]] of Object.entries(closed)) {
  test(`${path} leads nowhere`, async () => {
    for (const method of [...methods, 'OPTIONS']) {
      const answer = await admin.send(method, filled(path))
      assert.equal(answer.status, allow.split(', ').includes(method) ? status : 405, `${method} ${path}`)
    }
  })
}

test('a parent cannot be deleted through its child', async () => {
  for (const path of ['/routes/rt/service', '/jwts/k/consumer', '/plugins/pl/route', '/keys/key/set']) {
    assert.equal((await admin.send('DELETE', path)).status, 405, path)
  }
  assert.equal((await admin.send('DELETE', '/plugins/pl/consumer')).status, 404)
  assert.equal((await admin.send('DELETE', '/plugins/none/consumer')).status, 404)
})

test("there are no other paths than Kong's, those of plugins and what is listed here", async () => {
  const answer = await admin.send('GET', '/endpoints')
  const words = bundledPlugins.flatMap(({ entities }) => entities.flatMap(wordsOf))
  const listed = (answer.json.data as string[]).filter((path) => !path.split('/').some((word) => words.includes(word)))
  const expected = [...Object.keys(table), ...Object.keys(closed), '/metrics'].filter((path) => !/jwt/.test(path))
  assert.deepEqual(listed.toSorted(), expected.toSorted())
})

const wordsOf = (schema: (typeof bundledPlugins)[number]['entities'][number]): readonly string[] => [
  schema.admin_api_name ?? schema.name,
  schema.admin_api_nested_name ?? schema.name,
]
