/** A jwt plugin in mode observe on a whole gateway: everyone is let in, and the Status API tells who would not be. */
import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { test } from 'node:test'
import { anyPort, sendTo } from '../admin/fixture.ts'
import { startForTest } from './gateway.ts'
import { signToken } from '../../src/plugins/jwt/sign.ts'

test('what all workers would have refused stands in the metrics, by plugin, reason and consumer', async (t) => {
  const { gateway } = await startForTest(t, () => ({ status_listen: [anyPort] }))
  const admin = async (method: string, path: string, body: object) => {
    const answer = await sendTo(gateway.adminPorts[0]!, method, path, body)
    assert.ok(answer.status < 300, answer.text)
    return answer.json as { id: string }
  }
  await admin('PUT', '/routes/all', { paths: ['/'] })
  await admin('PUT', '/consumers/alice', {})
  await admin('POST', '/consumers/alice/jwt', { key: 'alice-key', secret: 'alice-secret' })
  const config = { mode: 'observe', scopes_required: ['orders:read'] }
  const { id } = await admin('POST', '/plugins', { name: 'jwt', config })
  const send = async (claims: object) => {
    const payload = { iss: 'alice-key', ...claims }
    const key = createSecretKey(Buffer.from('alice-secret'))
    const token = signToken({ header: { alg: 'HS256' }, payload }, 'HS256', key)
    const headers = { authorization: `Bearer ${token}`, connection: 'close' }
    const answer = await fetch(`http://127.0.0.1:${gateway.proxyPorts[0]}/`, { headers })
    await answer.arrayBuffer()
    return answer.status
  }
  // There is no service behind the route: who is let in gets 503.
  const statuses = await Promise.all(Array.from({ length: 20 }, () => send({})))
  assert.deepEqual([...new Set([...statuses, await send({ scope: 'orders:read' })])], [503])
  const metrics = await (await fetch(`http://127.0.0.1:${gateway.statusPorts[0]}/metrics`)).text()
  const [, labels] = /^gibbon_jwt_would_refuse_total\{([^}]*)\} (\d+)$/m.exec(metrics)?.slice() ?? []
  assert.equal(labels, `plugin="${id}",reason="scope",consumer="alice"`)
  assert.match(metrics, /^gibbon_jwt_would_refuse_total\{[^}]*\} 20$/m)
})
