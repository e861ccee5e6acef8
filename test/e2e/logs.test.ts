/** The logs as operators meet them: of a whole gateway, on a good day and on a bad one. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { kinds, storeKinds } from '../../src/config/kinds.ts'
import { storeFile } from '../../src/config/settings.ts'
import { checkInsert } from '../../src/schema/check.ts'
import { indexesOf } from '../../src/store/kinds.ts'
import { openStore } from '../../src/store/sqlite/open.ts'
import { startProcess } from './started.ts'

const newPrefix = (): string => mkdtempSync(join(tmpdir(), 'gibbon-logs-'))
const linesOf = (file: string): Record<string, unknown>[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)

test('a request to the Admin API is a line in its own log, by its endpoint, without what the path holds', async () => {
  const gateway = await startProcess({})
  await gateway.put('/consumers/alice', { username: 'alice' })
  await fetch(`${gateway.admin[0]}/consumers/alice/jwt/the-key-of-alice`)
  assert.equal(await gateway.stop(), 0)
  const file = join(gateway.prefix, 'logs/admin_access.log')
  assert.deepEqual(
    linesOf(file).map(({ method, endpoint, status, client }) => [method, endpoint, status, client]),
    [
      ['PUT', '/consumers/{consumers}', 200, '127.0.0.1'],
      ['GET', '/consumers/{consumers}/jwt/{jwt_secrets}', 404, '127.0.0.1'],
    ],
  )
  assert.doesNotMatch(readFileSync(file, 'utf8'), /the-key-of-alice/)
})

test('a request to the Status API is a line in its own log, where there is one', async () => {
  const gateway = await startProcess({ status_listen: '127.0.0.1:0', status_access_log: 'logs/status.log' })
  for (const path of ['/status/ready', '/nothing/here']) await (await fetch(`${gateway.status[0]}${path}`)).text()
  assert.equal(await gateway.stop(), 0)
  assert.deepEqual(
    linesOf(join(gateway.prefix, 'logs/status.log')).map(({ method, endpoint, status }) => [method, endpoint, status]),
    [
      ['GET', '/status/ready', 200],
      ['GET', 'none', 404],
    ],
  )
  assert.deepEqual(linesOf(join(gateway.prefix, 'logs/admin_access.log')), [])
})

test('a full disk is told once on standard error, and stops neither the gateway nor a request', async () => {
  const gateway = await startProcess({ proxy_access_log: '/dev/full', admin_access_log: '/dev/full' })
  for (let request = 0; request < 20; request++) assert.equal((await fetch(gateway.proxy[0]!)).status, 404)
  assert.equal((await fetch(`${gateway.admin[0]}/status`)).status, 200)
  assert.equal(await gateway.stop(), 0)
  assert.equal(gateway.stderr().match(/gibbon: cannot write the log \/dev\/full: ENOSPC/g)?.length, 1, gateway.stderr())
})

test('a log that cannot be opened stops the start with the setting’s name', async () => {
  await assert.rejects(startProcess({ admin_error_log: '/dev/null/where' }), /\/dev\/null\/where \(admin_error_log\)/)
})

test('what was logged right before a crash is on the disk, and so is what crashed', async () => {
  const prefix = newPrefix()
  const env = {
    ...process.env,
    KONG_PREFIX: prefix,
    KONG_PROXY_LISTEN: '127.0.0.1:0',
    KONG_ADMIN_LISTEN: 'off',
    KONG_PROXY_ACCESS_LOG: 'access.log',
    KONG_PROXY_ERROR_LOG: 'error.log',
    GIBBON_LOG_FORMAT: 'json',
  }
  const child = fileURLToPath(new URL('crash.child.ts', import.meta.url))
  const code = await new Promise((resolve) =>
    execFile(process.execPath, [child], { env }, (error) => resolve(error?.code)),
  )
  assert.notEqual(code, 0)
  assert.deepEqual(
    linesOf(join(prefix, 'access.log')).map(({ path, status }) => [path, status]),
    [['/asked', 404]],
  )
  const last = linesOf(join(prefix, 'error.log')).at(-1)
  assert.equal(last?.['level'], 'crit')
  assert.match(String(last?.['message']), /the test breaks it/)
})

test('jwt plugins that lack what they should have are warned of once, whatever the number of workers', async () => {
  const gateway = await startProcess({ log_format: 'json', proxy_error_log: 'error.log' })
  const id = '7d3ea9a4-4c08-4e42-9d3e-5f5a9b7f1c11'
  const written = await gateway.put(`/plugins/${id}`, { name: 'jwt', config: { maximum_expiration: 60 } })
  assert.equal(written.status, 200)
  const issuers = [{ issuer: 'https://idp.test', jwks_uri: `${gateway.proxy[0]}/no-keys` }]
  const forAnyone = 'c1d6f5d1-5f0c-4a53-9a5e-0c8e4b2a7d20'
  const others = [{}, { audience_required: ['orders'] }, { claim_rules: ['claims.azp == "shop"'] }]
  await gateway.put('/services/other', { host: 'example.test' })
  for (const [at, more] of others.entries()) {
    const own = forAnyone.replace(/.$/, String(at))
    const config = { issuers, consumer_optional: true, ...more }
    await gateway.put(`/routes/${own}`, { paths: [`/r${at}`], service: { name: 'other' } })
    const written = await gateway.put(`/plugins/${own}`, { name: 'jwt', route: { id: own }, config })
    assert.equal(written.status, 200)
  }
  for (let request = 0; request < 5; request++) await fetch(gateway.proxy[0]!)
  await gateway.stop()
  const warnings = linesOf(join(gateway.prefix, 'error.log')).filter(({ level }) => level === 'warn')
  assert.deepEqual(
    warnings.map(({ message }) => String(message)).filter((message) => !message.startsWith('cannot fetch the keys')),
    [
      `plugin jwt (${id}): maximum_expiration is set, but claims_to_verify lacks exp: a token that has expired is let through`,
      `plugin jwt (${forAnyone}): issuers is set, but audience_required is not: a token that such an issuer made for any other application is let through`,
    ],
  )
})

test('a log level set through the Admin API holds for the workers, too', async () => {
  const gateway = await startProcess({ log_format: 'json', proxy_error_log: 'error.log', log_level: 'emerg' })
  const id = '7d3ea9a4-4c08-4e42-9d3e-5f5a9b7f1c11'
  await fetch(`${gateway.admin[0]}/debug/node/log-level/warn`, { method: 'PUT' })
  await gateway.put(`/plugins/${id}`, { name: 'jwt', config: { maximum_expiration: 60 } })
  await gateway.stop()
  assert.equal(linesOf(join(gateway.prefix, 'error.log')).length, 1)
})

test('a route that can match nothing, as one of an older store may, is told of once by its id', async () => {
  const prefix = newPrefix()
  const id = '0b7f9f0a-5d0c-4a35-9f0f-3d9c0f3f8a11'
  const store = await openStore({ file: storeFile({ prefix, database: 'sqlite' }), kinds: indexesOf(storeKinds) })
  const route = checkInsert(kinds.get('routes')!, { id, protocols: ['http'], paths: ['/'] })
  assert.ok(route.ok)
  const entity = { ...route.value, id, paths: ['~/(?=look-ahead)'] }
  const written = await store.write([{ do: 'insert', kind: 'routes', entity }])
  assert.ok(written.ok)
  await store.close()
  const gateway = await startProcess({ prefix, log_format: 'json', proxy_error_log: 'error.log' })
  await gateway.put('/services/other', { host: 'example.test' })
  assert.equal((await fetch(gateway.proxy[0]!)).status, 404)
  await gateway.stop()
  const told = linesOf(join(prefix, 'error.log')).filter(({ message }) => String(message).includes(id))
  assert.equal(told.length, 1)
  assert.match(String(told[0]?.['message']), new RegExp(`^the route ${id} matches nothing: `))
})
