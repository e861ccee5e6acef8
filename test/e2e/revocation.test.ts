/** Tokens taken back on a whole gateway: in force in every worker when the answer is there. */
import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test, type TestContext } from 'node:test'
import { sendTo } from '../admin/fixture.ts'
import { main } from '../../src/cli/commands.ts'
import type { Settings } from '../../src/config/settings.ts'
import { startForTest } from './gateway.ts'
import { signToken } from '../../src/plugins/jwt/sign.ts'

const yaml = `
_format_version: '3.0'
routes:
  - { name: all, paths: [/] }
plugins:
  - { name: jwt, config: { check_revocation: true } }
consumers:
  - username: alice
    jwt_secrets:
      - { key: alice-key, secret: alice-secret }
`

interface Revoked {
  readonly id: string
  readonly jti: string
  readonly ttl: number
  readonly until: number
}

/** What a request gets where it is let in: there is no service behind the route. */
const letIn = 503

async function world(t: TestContext, settings: Partial<Settings>) {
  const { gateway, folder } = await startForTest(t, (folder) => {
    const declarative_config = join(folder, 'kong.yaml')
    writeFileSync(declarative_config, yaml)
    return { ...settings, ...(settings.database === 'off' && { declarative_config }) }
  })
  const gibbon = async (...argv: string[]) => {
    let printed = ''
    const stream = new Writable({
      write(chunk: Buffer, _, done) {
        printed += chunk.toString()
        done()
      },
    })
    const status = await main(argv, { stdout: stream, stderr: stream, env: { KONG_PREFIX: folder } })
    return { status, printed }
  }
  const token = (claims: object) =>
    signToken(
      { header: { alg: 'HS256', typ: 'JWT' }, payload: { iss: 'alice-key', ...claims } },
      'HS256',
      createSecretKey(Buffer.from('alice-secret')),
    )
  /** What each of many new connections gets, which the workers share. */
  const ask = async (text: string) => {
    const url = `http://127.0.0.1:${gateway.proxyPorts[0]}/`
    const headers = { authorization: `Bearer ${text}`, connection: 'close' }
    const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(url, { headers })))
    return [...new Set(answers.map(({ status }) => status))]
  }
  const admin = (method: string, path: string, body?: object) => sendTo(gateway.adminPorts[0]!, method, path, body)
  return { gateway, file: join(folder, 'kong.yaml'), gibbon, token, ask, admin }
}

test('a token is taken back by the command line, listed, and given back by the Admin API', async (t) => {
  const { file, gateway, gibbon, token, ask, admin } = await world(t, {})
  const admins = `http://127.0.0.1:${gateway.adminPorts[0]}`
  assert.equal((await gibbon('config', 'import', file, '--admin', admins)).status, 0)
  const now = Math.floor(Date.now() / 1000)
  const [one, other] = [token({ jti: '1', sub: 'al', iat: now - 5, exp: now + 600 }), token({ jti: '2', iat: now - 5 })]
  assert.deepEqual([await ask(one), await ask(other)], [[letIn], [letIn]])

  const revoked = await gibbon('jwt', 'revoke', one)
  assert.equal(revoked.status, 0)
  assert.match(revoked.printed, /^gibbon: revoked jti "1" of iss "alice-key" until \d{4}-\d\d-\d\dT[\d:]+Z\n$/)
  assert.deepEqual([await ask(one), await ask(other)], [[401], [letIn]])
  assert.equal((await gibbon('jwt', 'revoke', one)).status, 0, 'once more does no harm')
  const { data } = (await admin('GET', '/jwt-revocations')).json as { data: Revoked[] }
  assert.deepEqual(
    data.map(({ jti }) => jti),
    ['1'],
  )
  const end = now + 600 + 3600 + 60
  assert.ok(
    data[0]!.until >= end && data[0]!.until <= end + 2,
    'until it has ended, whatever a plugin has for a leeway',
  )
  assert.ok(data[0]!.ttl > 4200 && data[0]!.ttl <= 4262)
  assert.equal((await admin('DELETE', `/jwt-revocations/${data[0]!.id}`)).status, 204)
  assert.deepEqual(await ask(one), [letIn])

  const all = ['jwt', 'revoke', '--credential', 'alice-key']
  const forHowLong = await gibbon(...all)
  assert.equal(forHowLong.status, 2)
  assert.match(forHowLong.printed, /say with --for how long its tokens live at most/)
  assert.deepEqual(await ask(other), [letIn])
  assert.match((await gibbon(...all, '--for', 'ever')).printed, /^gibbon: revoked credential "alice-key" until 21\d\d-/)
  assert.deepEqual([await ask(one), await ask(other)], [[401], [401]])
  assert.match((await gibbon('jwt', 'revoke', token({}))).printed, /the token has no jti/)
  assert.match((await gibbon('jwt', 'revoke', token({ jti: '3' }))).printed, /the token has no end: say with --for/)
  assert.equal((await gibbon('jwt', 'revoke', token({ jti: '3' }), '--for', '+1d')).status, 0)
  assert.match((await gibbon('jwt', 'revoke', token({ jti: '3', exp: now - 4000 }))).printed, /has ended by itself/)
  const endless = await admin('POST', '/jwt-revocations', { sub: 'alice' })
  assert.equal(endless.status, 400)
  assert.deepEqual((endless.json as { fields: object }).fields, { ttl: 'required field missing' })
  assert.match((await gibbon('jwt', 'revoke')).printed, /give a token, or --sub/)
})

test('tokens are taken back where a file is the configuration, too, and stay so when it is read again', async (t) => {
  const { gateway, token, ask, admin } = await world(t, { database: 'off' })
  const now = Math.floor(Date.now() / 1000)
  const text = token({ sub: 'alice', iat: now - 5 })
  assert.deepEqual(await ask(text), [letIn])
  assert.equal((await admin('POST', '/jwt-revocations', { sub: 'alice', iss: 'alice-key', ttl: 600 })).status, 201)
  assert.deepEqual(await ask(text), [401])
  assert.equal((await admin('POST', '/consumers', { username: 'bob' })).status, 405)
  await gateway.reload()
  assert.deepEqual(await ask(text), [401])
})

test('other systems follow what is taken back and given back', async (t) => {
  const { admin } = await world(t, {})
  type Told = { revision: number; data: { id: string; revocation: { jti: string } | null }[] }
  const changes = async (query = '') => (await admin('GET', `/jwt-revocations/changes${query}`)).json as Told
  const { revision, data } = await changes()
  assert.deepEqual(data, [])
  const revoke = async (jti: string) =>
    ((await admin('POST', '/jwt-revocations', { jti, ttl: 600 })).json as { id: string }).id
  const [one, two] = [await revoke('1'), await revoke('2')]
  await admin('POST', '/consumers', { username: 'bob' })
  const first = await changes(`?since=${revision}`)
  assert.deepEqual(
    first.data.map(({ id, revocation }) => [id, revocation?.jti]),
    [
      [one, '1'],
      [two, '2'],
    ],
  )
  await admin('DELETE', `/jwt-revocations/${one}`)
  const second = await changes(`?since=${first.revision}`)
  assert.deepEqual(second.data, [{ id: one, revocation: null }])
  assert.deepEqual((await changes(`?since=${second.revision}`)).data, [])
  const statuses = ['?since=-1', '?since=x', '?since=999999999'].map(
    async (query) => (await admin('GET', `/jwt-revocations/changes${query}`)).status,
  )
  assert.deepEqual(await Promise.all(statuses), [400, 400, 410])

  const many = Array.from({ length: 1200 }, (_, at) => `many-${at}`)
  for (let at = 0; at < many.length; at += 50) await Promise.all(many.slice(at, at + 50).map(revoke))
  const page = await changes(`?since=${second.revision}`)
  const rest = await changes(`?since=${page.revision}`)
  assert.deepEqual([page.data.length, rest.data.length], [1000, 200])
})
