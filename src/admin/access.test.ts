import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { startTestAdmin, type TestAdmin } from '../../test/admin/fixture.ts'
import { makeCertificate } from '../config/self-signed.ts'
import { createAdminToken, revokeAdminToken } from '../store/admin-tokens.ts'
import { doorkeeper } from './access.ts'

async function guarded(t: TestContext, settings: Parameters<typeof startTestAdmin>[0] = {}): Promise<TestAdmin> {
  const admin = await startTestAdmin({ admin_tokens: 'required', ...settings })
  t.after(() => admin.stop())
  return admin
}

async function tokenOf({ store }: TestAdmin, wanted: Record<string, unknown>): Promise<string> {
  const outcome = await createAdminToken(store, wanted)
  assert.ok('token' in outcome)
  return outcome.token
}

const bearing = (token: string): Record<string, string> => ({ 'Kong-Admin-Token': token })

test('where tokens are required, a request without one or with a wrong one is refused with 401 and a challenge', async (t) => {
  const admin = await guarded(t)
  const token = await tokenOf(admin, { name: 'ci' })
  const without = await admin.send('GET', '/services')
  assert.equal(without.status, 401)
  assert.deepEqual(without.json, { message: 'a token is required: send it in the header Kong-Admin-Token' })
  assert.equal(without.headers['www-authenticate'], 'Kong-Admin-Token realm="Admin API"')
  const swapped = token.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))
  for (const wrong of [swapped, '', 'x', `${token} `.repeat(3), 'gibbon_'.padEnd(83, '0'), token.toUpperCase()]) {
    const { status, json } = await admin.send('GET', '/nothing-here', undefined, bearing(wrong))
    assert.deepEqual([status, json], [401, { message: 'the token is not valid' }], wrong)
  }
  assert.equal((await admin.send('POST', '/services', { host: 'a.test' })).status, 401)
  assert.equal((await admin.send('GET', '/services', undefined, bearing(token))).status, 200)
})

test('a read-only token reads everything and changes nothing; to validate is to read', async (t) => {
  const admin = await guarded(t)
  const reader = bearing(await tokenOf(admin, { name: 'monitoring', role: 'read-only' }))
  const writer = bearing(await tokenOf(admin, { name: 'ci', role: 'admin' }))
  assert.equal((await admin.send('POST', '/services', { name: 'a', host: 'a.test' }, writer)).status, 201)
  assert.equal((await admin.send('GET', '/services/a', undefined, reader)).status, 200)
  assert.equal((await admin.send('POST', '/schemas/services/validate', { host: 'a.test' }, reader)).status, 200)
  for (const [method, path] of [
    ['POST', '/services'],
    ['PATCH', '/services/a'],
    ['PUT', '/services/a'],
    ['DELETE', '/services/a'],
    ['PUT', '/debug/node/log-level/debug'],
    ['POST', '/nothing-here'],
  ] as const) {
    const { status, json } = await admin.send(method, path, {}, reader)
    assert.deepEqual([status, json], [403, { message: 'the token allows only to read' }], `${method} ${path}`)
  }
})

test('a token that was revoked, or whose time is over, opens nothing from then on', async (t) => {
  const admin = await guarded(t)
  const token = bearing(await tokenOf(admin, { name: 'leaver' }))
  const brief = await tokenOf(admin, { name: 'brief', ttl: 1 })
  assert.equal((await admin.send('GET', '/', undefined, token)).status, 200)
  assert.ok('revoked' in (await revokeAdminToken(admin.store, 'leaver')))
  assert.equal((await admin.send('GET', '/', undefined, token)).status, 401)
  while ((await admin.send('GET', '/', undefined, bearing(brief))).status === 200) continue
  assert.equal((await admin.send('GET', '/', undefined, bearing(brief))).status, 401)
})

test('the token of the settings opens the API before any other was made', async (t) => {
  const own = 'a-token-of-32-characters-or-more'
  const admin = await guarded(t, { admin_token: own })
  assert.equal((await admin.send('GET', '/', undefined, bearing(own))).status, 200)
  assert.equal((await admin.send('GET', '/', undefined, bearing(`${own}x`))).status, 401)
  const shown = await admin.send('GET', '/', undefined, bearing(own))
  assert.equal(shown.json.configuration.admin_token, '******')
})

test('only a hash of a token is in the store, and no answer has even that', async (t) => {
  const admin = await guarded(t)
  const token = await tokenOf(admin, { name: 'ci' })
  const secret = token.slice(-43)
  const kept = JSON.stringify([...admin.store.reader.all('admin_tokens')])
  assert.ok(!kept.includes(secret))
  for (const path of ['/admin-tokens', '/admin_tokens', '/schemas/admin_tokens'])
    assert.equal((await admin.send('GET', path, undefined, bearing(token))).status, 404, path)
})

test('a browser page of an allowed origin learns that it may send a token', async (t) => {
  const admin = await guarded(t, { admin_origins: ['https://manager.example.test'] })
  const { status, headers } = await admin.send('OPTIONS', '/services', undefined, {
    Origin: 'https://manager.example.test',
  })
  assert.equal(status, 204)
  assert.equal(headers['access-control-allow-headers'], 'Content-Type, Kong-Admin-Token')
})

test('a declarative configuration replaces all entities and no token', async (t) => {
  const admin = await guarded(t, { database: 'off' })
  const token = bearing(await tokenOf(admin, { name: 'ci' }))
  const loaded = await admin.send('POST', '/config', { _format_version: '3.0', consumers: [{ username: 'a' }] }, token)
  assert.equal(loaded.status, 201)
  assert.equal((await admin.send('GET', '/consumers/a', undefined, token)).status, 200)
})

test('a flood of wrong tokens is told in few lines, with their number', () => {
  let now = 0
  const lines: unknown[] = []
  const admit = doorkeeper({
    settings: { admin_tokens: 'required', admin_token: undefined },
    reader: { get: () => undefined, renew: () => 0 },
    log: { warn: (_, fields) => void lines.push(fields?.['count']) },
    now: () => now,
  })
  const request = { method: 'GET', headers: {}, socket: { remoteAddress: '192.0.2.1' } } as never
  for (let count = 0; count < 10_000; count++) admit(request)
  now = 10_001
  admit(request)
  assert.deepEqual(lines, [1, 10_000])
})

test('the owner of the prefix needs no token, and nobody else can open the socket', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-access-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const socketPath = join(folder, 'admin.sock')
  // As a process that was killed leaves it.
  writeFileSync(socketPath, '')
  const admin = await startTestAdmin({ admin_tokens: 'required' }, { socket: socketPath })
  t.after(() => admin.stop())
  assert.equal(statSync(socketPath).mode & 0o777, 0o600)
  const { status, text } = await ask((answered) =>
    httpRequest({ socketPath, path: '/admin-tokens', headers: { Host: 'localhost' } }, answered),
  )
  assert.deepEqual([status, JSON.parse(text)], [200, { data: [] }])
})

const openssl = spawnSync('openssl', ['version']).status === 0

test(
  'where client certificates are asked for, TLS lets in only those of the authority',
  { skip: !openssl && 'openssl is not installed' },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'gibbon-access-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const run = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=Our CA', '-days', '2')
    run('req', ...key, '-keyout', 'client.key', '-out', 'client.csr', '-subj', '/CN=deployer')
    run('x509', '-req', '-in', 'client.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-out', 'client.crt', '-days', '2')
    run('req', '-x509', ...key, '-keyout', 'other.key', '-out', 'other.crt', '-subj', '/CN=stranger', '-days', '2')
    const read = (name: string) => readFileSync(join(folder, name), 'utf8')
    const server = makeCertificate(['localhost'], Date.now())
    const admin = await startTestAdmin({}, { ssl: true, tls: { ...server, clientCa: [read('ca.crt')] } })
    t.after(() => admin.stop())

    const as = (client: RequestOptions) =>
      ask((answered) =>
        httpsRequest(
          { host: '127.0.0.1', port: admin.port, path: '/', ca: server.cert, agent: false, ...client },
          answered,
        ),
      )
    assert.equal((await as({ cert: read('client.crt'), key: read('client.key') })).status, 200)
    await assert.rejects(as({}), Error)
    await assert.rejects(as({ cert: read('other.crt'), key: read('other.key') }), Error)
    assert.deepEqual(admin.errors, [])
  },
)

/** Sends a request that `open` begins and reads its answer. */
function ask(
  open: (answered: (response: import('node:http').IncomingMessage) => void) => import('node:http').ClientRequest,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = open((response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => (text += piece))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    request.on('error', reject)
    request.end()
  })
}
