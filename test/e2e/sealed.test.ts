/** A whole gateway on a sealed store: everything works as it does without a keyring. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { anyPort, sendTo } from '../admin/fixture.ts'
import { settingsOf } from '../../src/config/settings.ts'
import { startGateway } from '../../src/main.ts'
import { signToken } from '../../src/plugins/jwt/sign.ts'
import { generateKey } from '../../src/store/keyring.ts'
import { createSecretKey } from 'node:crypto'

const secret = 'a-secret-that-nobody-may-find-on-the-disk'

async function upstreamOn(): Promise<Server> {
  const server = createServer((_, response) => response.end('upstream'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

test('tokens are verified with sealed secrets, after each change and after a restart, and keys rotate under way', async (t) => {
  const prefix = mkdtempSync(join(tmpdir(), 'gibbon-sealed-'))
  const upstream = await upstreamOn()
  const [first, second] = [generateKey(), generateKey()]
  const start = (keyring: string) =>
    startGateway(
      settingsOf({
        prefix,
        keyring,
        proxy_listen: [anyPort],
        admin_listen: [anyPort],
        nginx_worker_processes: 2,
        proxy_access_log: 'off',
        proxy_error_log: 'off',
      }),
    )
  let gateway = await start(first)
  t.after(async () => {
    await gateway.stop()
    upstream.close()
    rmSync(prefix, { recursive: true, force: true })
  })
  const admin = async (method: string, path: string, body: object) => {
    const answer = await sendTo(gateway.adminPorts[0]!, method, path, body)
    assert.ok(answer.status < 300, answer.text)
    return answer.json as { id: string; secret: string }
  }
  const statusWith = async (key: string) => {
    const unsigned = { header: { alg: 'HS256', typ: 'JWT' }, payload: { iss: 'alice-key' } }
    const token = signToken(unsigned, 'HS256', createSecretKey(Buffer.from(key)))
    const headers = { authorization: `Bearer ${token}` }
    return (await fetch(`http://127.0.0.1:${gateway.proxyPorts[0]}/`, { headers })).status
  }

  await admin('PUT', '/services/up', { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}` })
  await admin('PUT', '/services/up/routes/all', { paths: ['/'] })
  await admin('POST', '/plugins', { name: 'jwt' })
  await admin('PUT', '/consumers/alice', {})
  const made = await admin('POST', '/consumers/alice/jwt', { key: 'alice-key', secret })
  assert.equal(made.secret, secret)
  assert.equal(await statusWith(secret), 200)
  const patched = await admin('PATCH', `/jwts/${made.id}`, { secret: `${secret}-2` })
  assert.equal(patched.secret, `${secret}-2`)
  assert.deepEqual([await statusWith(secret), await statusWith(`${secret}-2`)], [401, 200])

  await gateway.stop()
  const bytes = readdirSync(prefix, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => readFileSync(join(prefix, name), 'latin1'))
  assert.ok(!bytes.join('').includes(secret))
  await assert.rejects(start(second), /^StartError: the store is sealed|the store is sealed, and needs the key/)
  gateway = await start(`${second},${first}`)
  assert.equal(await statusWith(`${secret}-2`), 200)
})
