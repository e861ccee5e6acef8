/** What the jwt plugin has beyond Kong's, on a whole gateway with several workers. */
import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { sendTo } from '../admin/fixture.ts'
import type { Settings } from '../../src/config/settings.ts'
import { startGateway } from '../../src/main.ts'
import { signToken } from '../../src/plugins/jwt/sign.ts'
import { startForTest } from './gateway.ts'

/** What a request gets where it is let in: there is no service behind the route. */
const letIn = 503

async function world(t: TestContext, config: object, own: Partial<Settings> = {}) {
  const declaration = {
    _format_version: '3.0',
    routes: [{ name: 'all', paths: ['/'], hosts: ['api.test'] }],
    plugins: [{ name: 'jwt', config }],
    consumers: [{ username: 'alice', jwt_secrets: [{ key: 'alice-key', secret: 'alice-secret' }] }],
  }
  const { gateway, settings } = await startForTest(t, (folder) => {
    const declarative_config = join(folder, 'kong.json')
    writeFileSync(declarative_config, JSON.stringify(declaration))
    return { database: 'off', declarative_config, ...own }
  })
  const token = (claims: object) =>
    signToken(
      { header: { alg: 'HS256', typ: 'JWT' }, payload: { iss: 'alice-key', ...claims } },
      'HS256',
      createSecretKey(Buffer.from('alice-secret')),
    )
  const send = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    sendTo(gateway.proxyPorts[0]!, method, path, undefined, { Host: 'api.test', ...headers })
  const admin = (method: string, path: string, body?: object) => sendTo(gateway.adminPorts[0]!, method, path, body)
  return { gateway, settings, token, send, admin }
}

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600

test('a token that is good once is let in once, whichever workers it reaches at the same time, and after a restart', async (t) => {
  const { token, send, gateway, settings } = await world(t, { single_use: true })
  const text = token({ jti: 'once', exp: inAnHour() })
  const statuses = async (port?: number) => {
    const sent = Array.from({ length: 40 }, () => {
      const headers = { Host: 'api.test', Authorization: `Bearer ${text}`, Connection: 'close' }
      return port === undefined ? send('/', headers) : sendTo(port, 'GET', '/', undefined, headers)
    })
    return (await Promise.all(sent)).map(({ status }) => status).filter((status) => status === letIn).length
  }
  assert.equal(await statuses(), 1)
  assert.equal(await statuses(), 0)
  await gateway.stop()
  const again = await startGateway({ ...settings, nginx_worker_processes: 1 })
  t.after(() => again.stop())
  assert.equal(await statuses(again.proxyPorts[0]), 0)
})

test('the metadata of a protected resource is served to whoever asks, where the challenge says', async (t) => {
  const resource_metadata = {
    resource: 'https://api.test/orders',
    authorization_servers: ['https://idp.test'],
    scopes_supported: ['orders:read'],
  }
  const { send } = await world(t, { resource_metadata, error_format: 'problem' })
  const refused = await send('/orders')
  assert.equal(refused.status, 401)
  assert.equal(refused.headers['content-type'], 'application/problem+json')
  const [, url = ''] = /resource_metadata="([^"]+)"/.exec(String(refused.headers['www-authenticate'])) ?? []
  const { host, pathname } = new URL(url)
  assert.equal(host, 'api.test')
  const served = await send(pathname)
  assert.deepEqual(
    [served.status, served.json, served.headers['access-control-allow-origin']],
    [200, { ...resource_metadata, bearer_methods_supported: ['header'] }, '*'],
  )
  assert.equal((await send(pathname, { Host: 'api.test:8443' })).status, 200)
  const head = await send(pathname, {}, 'HEAD')
  assert.deepEqual([head.status, head.text], [200, ''])
  assert.equal((await send(pathname, {}, 'POST')).status, 401, 'other methods are the routes’')
  assert.equal((await send(pathname, { Host: 'other.test' })).status, 404, 'other hosts, too')
})

test('refusals of the gateway and of plugins take the shape that the settings say, and a plugin may differ', async (t) => {
  const template = join(mkdtempSync(join(tmpdir(), 'gibbon-template-')), 'error.json')
  writeFileSync(template, '{"code":{{status}},"text":"{{message}}","id":"{{request_id}}"}')
  t.after(() => rmSync(join(template, '..'), { recursive: true }))
  const settings: Partial<Settings> = { error_format: 'template', error_template: template }
  const { send, token } = await world(t, {}, settings)
  const refused = await send('/')
  const id = refused.headers['x-kong-request-id']
  assert.deepEqual([refused.status, refused.json], [401, { code: 401, text: 'Unauthorized', id: refused.json.id }])
  if (id !== undefined) assert.equal(refused.json.id, id)
  const noRoute = await send('/', { Host: 'other.test', Accept: 'text/html' })
  assert.equal(noRoute.json.text, 'no Route matched with those values')
  const noService = await send('/', { Authorization: `Bearer ${token({})}` })
  assert.deepEqual([noService.status, noService.json.code], [503, 503])
  const differs = await world(t, { error_format: 'json', claims_to_verify: ['exp'] }, settings)
  assert.deepEqual((await differs.send('/')).json, { message: 'Unauthorized' })
})

test('POST /jwt/explain tells check by check why, and by how many seconds', async (t) => {
  const { admin, token } = await world(t, { claims_to_verify: ['exp'], audience_required: ['orders'] })
  const explained = await admin('POST', '/jwt/explain', { token: token({ exp: inAnHour() - 3635, aud: 'orders' }) })
  assert.equal(explained.status, 200, explained.text)
  const [plugin] = explained.json.plugins as { accepted: boolean; steps: { step: string; reason: string }[] }[]
  assert.equal(plugin?.accepted, false)
  assert.match(plugin?.steps.find(({ step }) => step === 'times')?.reason ?? '', /, 3[56] s ago$/)
  assert.ok(!explained.text.includes('alice-secret'))
  assert.deepEqual((await admin('POST', '/jwt/explain', {})).json.fields, { token: 'required field missing' })
  assert.equal((await admin('POST', '/jwt/explain', { token: 'a.b.c', on: 'none' })).status, 404)
  assert.equal((await admin('GET', '/jwt/explain')).status, 405)
  const { data } = (await admin('GET', '/endpoints')).json as { data: string[] }
  assert.deepEqual(
    data.filter((path) => path.startsWith('/jwt-') || path.startsWith('/jwt/')),
    [],
  )
})
