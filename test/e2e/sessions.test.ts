/** Sessions in the database on a whole gateway: listed by whose they are, and ended from outside. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { sendTo } from '../admin/fixture.ts'
import { startForTest } from './gateway.ts'

interface Told {
  readonly subject: string
  readonly audience: string
  readonly sid: string
  readonly session: { readonly id: string }
}

/** A gateway with sessions in the database, where alice and bob have keys, and whoever has neither a key nor a session is refused. */
async function world(t: TestContext) {
  const { gateway } = await startForTest(t)
  const admin = async (method: string, path: string, body?: object) => {
    const answer = await sendTo(gateway.adminPorts[0]!, method, path, body)
    assert.ok(answer.status < 300, answer.text)
    return answer
  }
  await admin('PUT', '/routes/all', { paths: ['/'] })
  await admin('PUT', '/consumers/guest', {})
  for (const name of ['alice', 'bob']) {
    await admin('PUT', `/consumers/${name}`, {})
    await admin('POST', `/consumers/${name}/key-auth`, { key: `${name}s-key` })
  }
  const session = { secret: 'secret', cookie_secure: false, storage: 'kong', store_metadata: true }
  await admin('POST', '/plugins', { name: 'session', config: { ...session, request_headers: ['id'] } })
  await admin('POST', '/plugins', { name: 'key-auth', config: { anonymous: 'guest' } })
  const guest = ((await admin('GET', '/consumers/guest')).json as { id: string }).id
  await admin('POST', '/plugins', {
    name: 'request-termination',
    consumer: { id: guest },
    config: { status_code: 401 },
  })
  /** There is no service behind the route: 503 where a request is let in. */
  const visit = async (headers: Record<string, string>) => {
    const answer = await fetch(`http://127.0.0.1:${gateway.proxyPorts[0]}/`, { headers })
    await answer.arrayBuffer()
    return { status: answer.status, cookie: answer.headers.get('set-cookie')?.split(';')[0] }
  }
  return { admin, visit }
}

test('sessions are listed by whose they are, and what is listed goes with its session', async (t) => {
  const { admin, visit } = await world(t)
  const told = async (path = '/session_metadatas') => ((await admin('GET', path)).json as { data: Told[] }).data
  const cookies = await Promise.all(['alice', 'bob'].map((name) => visit({ apikey: `${name}s-key` })))
  const list = await told()
  assert.deepEqual(list.map(({ subject, audience }) => `${subject} of ${audience}`).toSorted(), [
    'alice of default',
    'bob of default',
  ])
  const alices = list.find(({ subject }) => subject === 'alice')!
  assert.deepEqual(await told(`/sessions/${alices.sid}/session_metadatas`), [alices])
  const again = async () =>
    (await Promise.all(cookies.map(({ cookie = '' }) => visit({ cookie })))).map((one) => one.status)
  assert.deepEqual(await again(), [503, 503])
  await admin('DELETE', `/sessions/${alices.session.id}`)
  assert.deepEqual(await again(), [401, 503])
  assert.deepEqual(
    (await told()).map(({ subject }) => subject),
    ['bob'],
  )
})

test('a session is good at once, whichever worker its cookie comes to next', async (t) => {
  const { visit } = await world(t)
  for (let login = 0; login < 20; login++) {
    const { cookie = '' } = await visit({ apikey: 'alices-key', connection: 'close' })
    const next = await Promise.all([1, 2, 3, 4].map(() => visit({ cookie, connection: 'close' })))
    assert.deepEqual(
      next.map(({ status }) => status),
      [503, 503, 503, 503],
    )
  }
})
