import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { startTestAdmin, type TestAdmin, type TestAnswer } from '../../test/admin/fixture.ts'

/** The lists that decK reads before it decides anything; those in the second table may be missing. */
const needed = ['consumers', 'services', 'routes', 'plugins', 'upstreams']
const tolerated = [
  'key-auths',
  'hmac-auths',
  'jwts',
  'basic-auths',
  'oauth2',
  'acls',
  'mtls-auths',
  'consumer_groups',
  'filter-chains',
  'certificates',
  'ca_certificates',
  'snis',
  'vaults',
  'partials',
  'keys',
  'key-sets',
  'ai-models',
  'degraphql_routes',
  'graphql-rate-limiting-advanced/costs',
]
/** The schemas that decK takes defaults from. */
const schemas = ['services', 'routes', 'upstreams', 'targets', 'consumer_group_plugins']

const userAgent = { 'User-Agent': 'decK/1.64.0' }

async function readState(admin: TestAdmin): Promise<void> {
  const read = async (list: string, statuses: readonly number[]): Promise<void> => {
    const answer = await admin.send('GET', `/${list}?size=1000`, undefined, userAgent)
    assert.ok(statuses.includes(answer.status), `${list}: ${answer.status}`)
    if (answer.status === 200) assert.ok(Array.isArray(answer.json.data), list)
    else assert.equal(typeof answer.json.message, 'string', list)
  }
  await Promise.all([
    ...needed.map((list) => read(list, [200])),
    ...tolerated.map((list) => read(list, [200, 400, 404])),
  ])
}

/** decK makes up an id for everything, and puts. */
const ids = {
  consumer: randomUUID(),
  service: randomUUID(),
  upstream: randomUUID(),
  jwt: randomUUID(),
  route: randomUUID(),
  target: randomUUID(),
  plugin: randomUUID(),
}

/** Written level by level, ten at once within a level. */
const levels: readonly (readonly [path: string, body: object])[][] = [
  [
    [`/consumers/${ids.consumer}`, { id: ids.consumer, username: 'alice' }],
    [
      `/services/${ids.service}`,
      {
        id: ids.service,
        name: 'svc',
        host: 'h.test',
        protocol: 'http',
        port: 80,
        path: '/a',
        enabled: true,
        connect_timeout: 60000,
        read_timeout: 60000,
        write_timeout: 60000,
        retries: 5,
      },
    ],
    [
      `/upstreams/${ids.upstream}`,
      {
        id: ids.upstream,
        name: 'up',
        algorithm: 'round-robin',
        slots: 10000,
        hash_on: 'none',
        hash_fallback: 'none',
        hash_on_cookie_path: '/',
        use_srv_name: false,
      },
    ],
  ],
  [
    [
      `/consumers/${ids.consumer}/jwt/${ids.jwt}`,
      { id: ids.jwt, key: 'k', secret: 's', algorithm: 'HS256', consumer: { id: ids.consumer, username: 'alice' } },
    ],
  ],
  [
    [
      `/routes/${ids.route}`,
      {
        id: ids.route,
        name: 'r',
        paths: ['/x'],
        protocols: ['http', 'https'],
        service: { id: ids.service, name: 'svc' },
      },
    ],
  ],
  [
    [
      `/plugins/${ids.plugin}`,
      {
        id: ids.plugin,
        name: 'jwt',
        enabled: true,
        protocols: ['http', 'https'],
        config: { claims_to_verify: ['exp'] },
        service: { id: ids.service },
      },
    ],
  ],
]

test('a gateway is synchronised, compared, dumped and reset by the requests that decK sends', async (t) => {
  const admin = await startTestAdmin()
  t.after(() => admin.stop())
  const send = (method: string, path: string, body?: object): Promise<TestAnswer> =>
    admin.send(method, path, body, userAgent)

  const root = await send('GET', '/')
  assert.match(root.json.version, /^\d+\.\d+\.\d+$/, 'a fourth part would mean Enterprise')
  assert.equal(root.json.configuration.database, 'postgres')
  assert.equal(root.json.configuration.router_flavor, 'traditional_compatible')
  assert.match(String(root.headers['server']), /^gibbon\//, 'decK dump needs a Server header')

  await readState(admin)
  for (const name of schemas) {
    const answer = await send('GET', `/schemas/${name}`)
    assert.ok(
      answer.status === 200
        ? answer.json.fields.every((f: object) => Object.keys(f).length === 1)
        : answer.status === 404,
      name,
    )
  }
  for (const [entity, body] of [
    ['services', { name: 's', host: 'h' }],
    ['plugins', { name: 'jwt', service: { id: ids.service } }],
  ] as const) {
    assert.equal((await send('POST', `/schemas/${entity}/validate`, body)).status, 200)
  }

  for (const level of levels) {
    const answers = await Promise.all(level.map(([path, body]) => send('PUT', path, body)))
    for (const [index, answer] of answers.entries())
      assert.equal(answer.status, 200, `${level[index]?.[0]} ${answer.text}`)
  }
  const target = { id: ids.target, target: 'h.test:80', weight: 100, upstream: { id: ids.upstream } }
  assert.equal((await send('PUT', `/upstreams/${ids.upstream}/targets/${ids.target}`, target)).status, 404)
  assert.equal((await send('POST', `/upstreams/${ids.upstream}/targets`, target)).status, 201)

  const plugin = (await send('GET', `/plugins/${ids.plugin}`)).json
  assert.deepEqual(plugin.config.claims_to_verify, ['exp'])
  assert.equal(plugin.config.key_claim_name, 'iss', 'what decK leaves out has its default')
  const defaults = (await send('GET', '/schemas/plugins/jwt')).json
  const config = defaults.fields.find((field: object) => 'config' in field).config
  for (const entry of config.fields as Record<string, { default?: unknown }>[]) {
    for (const [name, field] of Object.entries(entry)) {
      if (name !== 'claims_to_verify')
        assert.deepEqual(plugin.config[name], field.default ?? null, `the default of ${name} that decK compares with`)
    }
  }

  const again = await send('PUT', `/services/${ids.service}`, {
    ...(await send('GET', `/services/${ids.service}`)).json,
    path: '/b',
  })
  assert.equal(again.json.path, '/b')
  assert.equal((await send('GET', `/upstreams/${ids.upstream}/targets?size=1000`)).json.data.length, 1)
  assert.equal((await send('GET', '/services?size=1000&tags=a%2Cb')).json.data.length, 0)

  for (const path of [
    `/plugins/${ids.plugin}`,
    `/routes/${ids.route}`,
    `/upstreams/${ids.upstream}/targets/${ids.target}`,
    `/services/${ids.service}`,
    `/upstreams/${ids.upstream}`,
    `/consumers/${ids.consumer}/jwt/${ids.jwt}`,
    `/consumers/${ids.consumer}`,
  ]) {
    assert.equal((await send('DELETE', path)).status, 204, path)
  }
  for (const list of [...needed, 'jwts']) assert.deepEqual((await send('GET', `/${list}`)).json.data, [], list)
  assert.deepEqual(admin.errors, [])
})
