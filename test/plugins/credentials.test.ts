/** Credentials from the Admin API and from files, and what becomes of them in requests at once. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { passwordHash } from '../../src/plugins/basic-auth/credentials.ts'
import { startTestGateway, type TestGateway } from './gateway.ts'

suite('credentials in a database', () => {
  let gateway: TestGateway
  const post = async (path: string, body: object) => {
    const answer = await gateway.admin('POST', path, body)
    assert.equal(answer.status, 201, answer.text)
    return answer.json
  }
  const statusWith = async (key: string) => (await gateway.send('GET', '/k', { apikey: key })).status

  before(async () => {
    gateway = await startTestGateway()
    await post('/services', { name: 'echo', url: `http://127.0.0.1:${gateway.upstreamPort}/anything` })
    await post('/services/echo/routes', { name: 'k', paths: ['/k'] })
    await post('/routes/k/plugins', { name: 'key-auth' })
    await post('/consumers', { username: 'alice' })
    await post('/consumers', { username: 'bob' })
  })
  after(() => gateway.stop())

  test('a key is good as soon as it is written, and no longer than it is there', async () => {
    assert.equal(await statusWith('new'), 401)
    await post('/consumers/alice/key-auth', { key: 'new' })
    assert.equal(await statusWith('new'), 200)
    assert.equal((await gateway.admin('DELETE', '/consumers/alice/key-auth/new')).status, 204)
    assert.equal(await statusWith('new'), 401)
  })

  test('a key with a time to live is not good for longer', async () => {
    const { id, ttl } = await post('/consumers/alice/key-auth', { key: 'short', ttl: 1 })
    assert.ok(ttl === 0 || ttl === 1, `${ttl} s are left`)
    assert.equal(await statusWith('short'), 200)
    const longer = await gateway.admin('PATCH', `/key-auths/${id}`, { ttl: 3600 })
    assert.match(String(longer.json.ttl), /^3(599|600)$/)
    const still = await gateway.admin('PATCH', `/key-auths/${id}`, { tags: ['kept'] })
    assert.match(String(still.json.ttl), /^3(598|599|600)$/)
    assert.equal((await gateway.admin('PATCH', `/key-auths/${id}`, { ttl: 0 })).json.ttl, null)
  })

  test('a time to live that is none is refused', async () => {
    for (const ttl of [-1, 1.5, 1e9, '100', []]) {
      const { status, json } = await gateway.admin('POST', '/consumers/alice/key-auth', { ttl })
      assert.deepEqual([status, json.code, json.options.ttl], [400, 11, 'must be an integer between 0 and 100000000'])
    }
  })

  test('several credentials may be without a key, as several jwt credentials may', async () => {
    for (const kind of ['key-auth', 'jwt']) {
      const ids = [
        await post(`/consumers/bob/${kind}`, { key: null }),
        await post(`/consumers/bob/${kind}`, { key: null }),
      ]
      for (const { id } of ids)
        assert.equal((await gateway.admin('DELETE', `/consumers/bob/${kind}/${id}`)).status, 204)
    }
  })

  test('who is in no group because there is no such consumer is told so as Kong tells it', async () => {
    const nobody = '00000000-0000-4000-8000-000000000000'
    const told = async (method: string, consumer: string) => {
      const { status, json } = await gateway.admin(method, `/consumers/${consumer}/acls/staff`)
      return [status, json.message, 'request_id' in json]
    }
    assert.deepEqual(await told('GET', nobody), [404, 'Not found', true])
    assert.deepEqual(await told('PUT', nobody), [404, 'Not found', false])
    assert.deepEqual(await told('PUT', 'nobody'), [404, 'Not found', true])
  })

  test('groups count as soon as they are written', async () => {
    await post('/consumers/bob/key-auth', { key: 'bobs' })
    const plugin = await post('/routes/k/plugins', { name: 'acl', config: { allow: ['staff'] } })
    assert.equal(await statusWith('bobs'), 403)
    assert.equal((await gateway.admin('PUT', '/consumers/bob/acls/staff')).status, 200)
    const answer = await gateway.send('GET', '/k', { apikey: 'bobs' })
    assert.deepEqual([answer.status, answer.json.headers['X-Consumer-Groups']], [200, 'staff'])
    assert.equal((await gateway.admin('DELETE', '/consumers/bob/acls/staff')).status, 204)
    assert.equal(await statusWith('bobs'), 403)
    await gateway.admin('DELETE', `/plugins/${plugin.id}`)
  })

  test('a user name in a form goes to the credential, its password is hashed', async () => {
    const { id } = (await gateway.admin('GET', '/consumers/alice')).json
    const { password } = await post('/consumers/alice/basic-auth', { username: 'al', password: 'pw' })
    assert.equal(password, passwordHash('pw', id))
    const changed = await gateway.admin('PUT', '/consumers/alice/basic-auth/al', { password: 'pw2' })
    assert.equal(changed.json.password, passwordHash('pw2', id))
    const tagged = await gateway.admin('PATCH', '/consumers/alice/basic-auth/al', { tags: ['x'] })
    assert.equal(tagged.json.password, passwordHash('pw2', id))
  })
})

suite('credentials in a file', () => {
  const file = (more: string) => `
_format_version: '3.0'
${more}
services:
  - name: echo
    url: http://127.0.0.1:8080/anything
    routes: [{ name: b, paths: [/b] }]
    plugins: [{ name: basic-auth }]
consumers:
  - username: alice
    id: 00000201-0000-4000-8000-000000000000
    keyauth_credentials: [{ key: mortal, ttl: 100 }]
`
  const authorization = `Basic ${Buffer.from('al:pw').toString('base64')}`
  const forms: readonly (readonly [name: string, yaml: string])[] = [
    ['below its consumer', file('') + '    basicauth_credentials: [{ username: al, password: pw }]\n'],
    ['in a section of its own', file('basicauth_credentials: [{ username: al, password: pw, consumer: alice }]')],
    [
      'hashed already',
      file('_transform: false') +
        '    basicauth_credentials: [{ username: al, password: 465d36ff93b14becd5b391004f5ed2eb482ba6cb }]\n',
    ],
  ]
  for (const [name, yaml] of forms) {
    test(`a password ${name} is good`, async () => {
      const gateway = await startTestGateway({ yaml })
      try {
        assert.equal((await gateway.send('GET', '/b', { authorization })).status, 200)
        const listed = await gateway.admin('GET', '/basic-auths')
        assert.equal(listed.json.data[0].password, '465d36ff93b14becd5b391004f5ed2eb482ba6cb')
        assert.match(String((await gateway.admin('GET', '/key-auths/mortal')).json.ttl), /^\d\d$|^100$/)
      } finally {
        await gateway.stop()
      }
    })
  }
})
