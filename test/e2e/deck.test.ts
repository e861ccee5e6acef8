/** decK's whole cycle against a whole gateway, where `GIBBON_DECK` names the program. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import { kinds } from '../../src/config/kinds.ts'
import { bundledPlugins } from '../../src/plugins/index.ts'
import { parseYaml } from '../../src/config/yaml.ts'
import { readRecording } from '../admin/recorded.ts'
import { startPostgres, withoutPostgres } from '../postgres/server.ts'
import { withFilters } from './filters.ts'
import { startTestGateway, type TestGateway } from './gateway.ts'

const deck = process.env['GIBBON_DECK']

/** What decK is told, and the entities that it then has to have made. */
interface Sample {
  readonly file: object
  readonly count: number
}

const { steps } = readRecording(new URL('../golden/admin.json', import.meta.url))
const bodyOf = (number: string): Readonly<Record<string, string>> =>
  steps.find(({ name }) => name.startsWith(`${number} `))?.body as Record<string, string>
const { cert, key } = bodyOf('1028')
const authority = bodyOf('1081')['cert']

/** Credentials by the kind of entity, for those kinds that are there. */
const credentials: Readonly<Record<string, object>> = {
  jwt_secrets: { key: 'jwt-key', secret: 'jwt-secret', algorithm: 'HS256' },
  keyauth_credentials: { key: 'api-key' },
  basicauth_credentials: { username: 'basic', password: 'secret' },
  hmacauth_credentials: { username: 'hmac', secret: 'secret' },
  acls: { group: 'staff' },
  // What decK does not know the default of has to stand in its file.
  oauth2_credentials: {
    name: 'app',
    client_id: 'id',
    client_secret: 'secret',
    client_type: 'confidential',
    hash_secret: false,
    redirect_uris: ['https://app.test/'],
  },
}

/** The least config that a plugin takes, where it needs any. */
const configs: Readonly<Record<string, object>> = {
  acl: { allow: ['staff'] },
  acme: { account_email: 'admin@example.test', storage: 'shm' },
  'aws-lambda': { function_name: 'f', aws_region: 'eu-west-1' },
  'azure-functions': { functionname: 'f', appname: 'a' },
  'file-log': { path: '/dev/null' },
  'http-log': { http_endpoint: 'http://127.0.0.1:1/' },
  'ip-restriction': { allow: ['127.0.0.1'] },
  'ldap-auth': { ldap_host: 'h.test', ldap_port: 389, base_dn: 'dc=test', attribute: 'cn' },
  loggly: { key: 'k' },
  // decK sends null for it where the file has none, lest the gateway makes one; Kong takes that for missing, too.
  oauth2: { enable_client_credentials: true, provision_key: 'p' },
  opentelemetry: { traces_endpoint: 'http://127.0.0.1:1/' },
  'post-function': { access: ['return'] },
  'pre-function': { access: ['return'] },
  'proxy-cache': { strategy: 'memory' },
  'rate-limiting': { minute: 5, policy: 'local' },
  redirect: { location: 'https://else.test/' },
  'response-ratelimiting': { limits: { video: { minute: 5 } } },
  session: { secret: 's' },
  'standard-webhooks': { secret_v1: 's' },
  'tcp-log': { host: '127.0.0.1', port: 1 },
  'udp-log': { host: '127.0.0.1', port: 1 },
  zipkin: { http_endpoint: 'http://127.0.0.1:1/' },
}

/** Every entity that there is: a service with each plugin, a consumer with each credential, and what stands alone. */
function everything(): Sample {
  const present = Object.entries(credentials).filter(([kind]) => kinds.has(kind))
  const plugins = bundledPlugins.map(({ name }) => ({ name, ...(configs[name] && { config: configs[name] }) }))
  const file = {
    _format_version: '3.0',
    consumers: [
      {
        username: 'alice',
        custom_id: 'a-1',
        tags: ['people'],
        ...Object.fromEntries(present.map(([kind, credential]) => [kind, [credential]])),
      },
    ],
    certificates: [{ id: '00000000-0000-4000-8000-000000000001', cert, key, snis: [{ name: 'deck.test' }] }],
    ca_certificates: [{ cert: authority }],
    services: [
      {
        name: 'svc',
        url: 'https://upstream.test:8443/base',
        retries: 3,
        tags: ['team'],
        client_certificate: '00000000-0000-4000-8000-000000000001',
        routes: [
          { name: 'r', paths: ['/x', '~/y/\\d+'], methods: ['GET'], headers: { 'x-a': ['1'] }, tags: ['team'] },
          { name: 'grpc', protocols: ['grpc', 'grpcs'], hosts: ['grpc.test'] },
          { name: 'tcp', protocols: ['tcp'], destinations: [{ port: 9000 }] },
        ],
        plugins,
        // What decK does not know the default of, as above.
        filter_chains: [{ name: 'guard', enabled: true, filters: [{ name: 'waf', config: 'strict', enabled: true }] }],
      },
    ],
    plugins: [{ name: 'jwt', instance_name: 'everywhere', enabled: false, tags: ['global'] }],
    upstreams: [
      {
        name: 'ups',
        algorithm: 'consistent-hashing',
        hash_on: 'header',
        hash_on_header: 'x-user',
        healthchecks: { active: { healthy: { interval: 5, successes: 1 } }, threshold: 50 },
        targets: [
          { target: '127.0.0.1:9001', weight: 10 },
          { target: 'example.test:80', weight: 0 },
          { target: '[::1]:9002' },
        ],
      },
    ],
    vaults: [{ name: 'env', prefix: 'my-env', description: 'ours', config: { prefix: 'SECRET_' } }],
    key_sets: [{ name: 'set' }],
    keys: [{ name: 'signing', kid: 'k1', set: { name: 'set' }, pem: { public_key: publicKey() } }],
  }
  return { file, count: 17 + plugins.length + present.length }
}

const publicKey = (): string => {
  const step = steps.find(({ group, body }) => group === 'keys' && JSON.stringify(body)?.includes('PUBLIC KEY'))
  return /-----BEGIN PUBLIC KEY-----[^"]*-----END PUBLIC KEY-----/
    .exec(JSON.stringify(step?.body))?.[0]
    ?.replaceAll('\\n', '\n') as string
}

interface Ran {
  readonly code: number
  readonly out: string
}

/** A gateway, and decK run against it with files in its folder. */
async function cycle(t: TestContext, overrides: Readonly<Record<string, string>> = {}) {
  const gateway = await startTestGateway({ ...withFilters(), ...overrides })
  t.after(() => gateway.stop())
  const save = (name: string, content: object): string => {
    const path = join(gateway.folder, name)
    writeFileSync(path, JSON.stringify(content))
    return path
  }
  return { gateway, save, run: (...args: string[]): Promise<Ran> => runDeck(gateway, args) }
}

function runDeck({ adminUrl }: TestGateway, [command = '', ...rest]: readonly string[]): Promise<Ran> {
  const args = ['gateway', command, '--kong-addr', adminUrl, ...rest]
  const env = { ...process.env, DECK_ANALYTICS: 'off' }
  return new Promise((resolve) => {
    execFile(deck ?? '', args, { env, timeout: 120_000 }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, out: stdout + stderr }),
    )
  })
}

const changes = ({ out }: Ran): readonly number[] =>
  ['Created', 'Updated', 'Deleted'].map((word) => Number(new RegExp(`${word}: (\\d+)`).exec(out)?.[1]))

suite('decK', { skip: deck === undefined && 'GIBBON_DECK names no decK' }, () => {
  const wholeCycle = async (t: TestContext, overrides: Readonly<Record<string, string>> = {}) => {
    const { run, save, gateway } = await cycle(t, overrides)
    const { file, count } = everything()
    const path = save('kong.json', file)
    assert.match((await run('ping')).out, /Kong version: {2}3\.10\.0/)
    const validated = await run('validate', path)
    assert.equal(validated.code, 0, validated.out)
    assert.equal((await run('diff', path, '--non-zero-exit-code')).code, 2)
    assert.deepEqual((await gateway.send('GET', '/services')).json.data, [], 'a diff writes nothing')
    const synced = await run('sync', path)
    assert.deepEqual(changes(synced), [count, 0, 0], synced.out)
    const again = await run('diff', path, '--non-zero-exit-code')
    assert.deepEqual([again.code, changes(again)], [0, [0, 0, 0]], again.out)
    const dumped = join(gateway.folder, 'dump.yaml')
    assert.equal((await run('dump', '-o', dumped)).code, 0)
    assert.ok(parseYaml(readFileSync(dumped, 'utf8')).ok)
    const same = await run('diff', dumped, '--non-zero-exit-code')
    assert.deepEqual([same.code, changes(same)], [0, [0, 0, 0]], same.out)
    const reset = await run('reset', '--force')
    assert.deepEqual(changes(reset), [0, 0, count], reset.out)
    const restored = await run('sync', dumped)
    assert.deepEqual(changes(restored), [count, 0, 0], restored.out)
    assert.equal((await run('diff', path, '--non-zero-exit-code')).code, 0)
  }

  test('pings, validates, syncs every entity, finds no difference, dumps and resets', (t) => wholeCycle(t))

  test('does the same on PostgreSQL', { skip: withoutPostgres ?? false }, async (t) => {
    const server = await startPostgres()
    t.after(() => server.stop())
    const { user, database, schema = '' } = await server.database()
    await wholeCycle(t, {
      database: 'postgres',
      pg_port: String(server.port),
      pg_user: user,
      pg_database: database,
      pg_schema: schema,
    })
  })

  test('changes and deletes what a file changes; apply deletes nothing', async (t) => {
    const { run, save } = await cycle(t)
    const { file } = everything()
    const before = save('before.json', file)
    const [service] = (file as { services: [{ plugins: object[] }] }).services
    const after = save('after.json', {
      ...file,
      services: [{ ...service, path: '/else', plugins: service.plugins.filter((plugin) => !isJwt(plugin)) }],
      upstreams: [{ name: 'ups', targets: [{ target: '127.0.0.1:9001', weight: 20 }] }],
    })
    await run('sync', before)
    const [created, updated, deleted] = changes(await run('sync', after))
    assert.ok(created === 0 || created === 1, 'a target with another weight may be made anew')
    assert.ok((updated ?? 0) >= 2 && (deleted ?? 0) >= 3, `${updated} ${deleted}`)
    assert.equal((await run('diff', after, '--non-zero-exit-code')).code, 0)
    const applied = changes(await run('apply', before))
    assert.equal(applied[2], 0)
    assert.equal((await run('diff', before, '--non-zero-exit-code')).code, 0)
  })

  test('leaves alone what does not have the selected tag', async (t) => {
    const { run, save, gateway } = await cycle(t)
    await gateway.send('POST', '/services', { name: 'theirs', host: 'h.test', tags: ['team-b'] })
    const path = save('ours.json', {
      _format_version: '3.0',
      _info: { select_tags: ['team-a'] },
      services: [{ name: 'ours', url: 'http://h.test', routes: [{ name: 'r', paths: ['/r'] }] }],
      consumers: [{ username: 'bob', jwt_secrets: [{ key: 'k', secret: 's', algorithm: 'HS256' }] }],
      upstreams: [{ name: 'u', targets: [{ target: '127.0.0.1:1' }] }],
    })
    assert.deepEqual(changes(await run('sync', path)), [6, 0, 0])
    const again = await run('diff', path, '--non-zero-exit-code')
    assert.equal(again.code, 0, again.out)
    assert.deepEqual((await gateway.send('GET', '/services/ours')).json.tags, ['team-a'])
    const dumped = (await run('dump', '-o', '-', '--select-tag', 'team-b')).out
    assert.match(dumped, /theirs/)
    assert.doesNotMatch(dumped, /ours/)
    assert.deepEqual(changes(await run('reset', '--force', '--select-tag', 'team-a')), [0, 0, 6])
    assert.equal((await gateway.send('GET', '/services/theirs')).status, 200)
  })

  test('is told of a key that would be made, where its file gives none, as by Kong', async (t) => {
    const { run, save } = await cycle(t)
    const plugins = [{ name: 'oauth2', config: { enable_client_credentials: true } }]
    const synced = await run('sync', save('kong.json', { _format_version: '3.0', plugins }))
    assert.notEqual(synced.code, 0)
    assert.match(synced.out, /provision_key: required field missing/)
  })

  test('is told that there are no workspaces', async (t) => {
    const { run, save } = await cycle(t)
    const path = save('kong.json', { _format_version: '3.0', _workspace: 'team', services: [] })
    const synced = await run('sync', path)
    assert.notEqual(synced.code, 0)
    assert.match(synced.out, /workspace/i)
  })

  test('is told that nothing can be written without a database', async (t) => {
    const { run, save } = await cycle(t, { database: 'off' })
    const path = save('kong.json', { _format_version: '3.0', services: [{ name: 's', url: 'http://h.test' }] })
    const synced = await run('sync', path)
    assert.notEqual(synced.code, 0)
    assert.match(synced.out, /when not using a database/)
  })
})

const isJwt = (plugin: object): boolean => 'name' in plugin && plugin.name === 'jwt'
