import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entity } from '../../pdk/entities.ts'
import { identityOf } from '../../pdk/identity.ts'
import type { Answer } from '../../pdk/kong.ts'
import { testEntities, testKong, type RequestDescription, type TestKong } from '../../pdk/testing.ts'
import { checkInsert } from '../../schema/check.ts'
import { createSession } from './handler.ts'
import type { Config, Ready } from './ready.ts'
import { schema } from './schema.ts'

const alice = { id: 'a11ce000-0000-4000-8000-000000000000', username: 'alice', custom_id: null }
const credential = { id: 'credential' }

interface World {
  readonly entities: ReturnType<typeof testEntities>
  readonly clock: { now: number }
  /** A request with these cookies; where `login` is set, another plugin identifies it as alice. Cookies that come are kept. */
  readonly visit: (request?: RequestDescription & { readonly login?: boolean }) => Promise<Visit>
  readonly cookies: Map<string, string>
  /** The entities of a kind that were written. */
  readonly written: (kind: string) => Entity[]
}

interface Visit {
  readonly kong: TestKong
  readonly answer: Answer | undefined
  readonly user: unknown
  /** The names of the cookies that were set. */
  readonly set: string[]
}

const configOf = (config: object): Config => {
  const checked = checkInsert(schema, { config: { secret: 'secret', ...config } })
  assert.ok(checked.ok)
  return checked.value['config'] as Config
}

function world(config: object = {}): World {
  const held = testEntities()
  held.put('consumers', alice)
  const made: { readonly kind: string; readonly entity: Entity }[] = []
  const entities: World['entities'] = {
    ...held,
    async write(changes) {
      const outcome = await held.write(changes)
      if (outcome.ok) made.push(...outcome.entities.map((entity, index) => ({ kind: changes[index]!.kind, entity })))
      return outcome
    },
  }
  const clock = { now: 1_700_000_000 }
  const plugin = createSession(() => clock.now)
  const ready: Ready = plugin.prepare(configOf(config), { id: 'p', name: 'session' })
  const cookies = new Map<string, string>()
  const visit: World['visit'] = async ({ login = false, headers = [], ...request } = {}) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const kong = testKong(
      { ...request, headers: [...headers, ...(cookie ? [['Cookie', cookie] as const] : [])] },
      entities,
    )
    const answer = (await plugin.access!(kong, ready)) as Answer | undefined
    if (login && !kong.identity) kong.client.authenticate(identityOf(alice, credential, 'id'))
    await plugin.after_access!(kong, ready)
    const lines = kong.responseHeaders.get('set-cookie') ?? []
    const set = lines.map((line) => keep(cookies, line))
    return { kong, answer, user: kong.identity?.consumer?.['username'] ?? null, set }
  }
  const written: World['written'] = (kind) => made.flatMap((one) => (one.kind === kind ? [one.entity] : []))
  return { entities, clock, visit, cookies, written }
}

function keep(cookies: Map<string, string>, line: string): string {
  const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
  if (line.includes('Max-Age=0')) cookies.delete(name)
  else cookies.set(name, value)
  return name
}

test('a session is in the database before its cookie goes out, and where it cannot be there is no cookie', async () => {
  const entities = testEntities()
  entities.put('consumers', alice)
  const writing = Promise.withResolvers<void>()
  let isOut = false
  const slow: typeof entities = {
    ...entities,
    async write(changes) {
      await writing.promise
      return isOut ? { ok: false, reason: 'unavailable', message: 'it is out' } : entities.write(changes)
    },
  }
  const plugin = createSession(() => 1_700_000_000)
  const ready = plugin.prepare(configOf({ storage: 'kong', remember: true }), { id: 'p', name: 'session' })
  const login = () => {
    const kong = testKong({}, slow)
    kong.client.authenticate(identityOf(alice, credential, 'id'))
    const over = Promise.resolve(plugin.after_access!(kong, ready)).then(() => kong)
    return { kong, over, cookies: () => kong.responseHeaders.get('set-cookie')?.length ?? 0 }
  }
  const first = login()
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(first.cookies(), 0)
  writing.resolve()
  await first.over
  assert.equal(first.cookies(), 2)
  isOut = true
  const second = login()
  await second.over
  assert.equal(second.cookies(), 0)
  assert.match(second.kong.logged.at(-1)?.message ?? '', /not saved: it is out/)
})

for (const storage of ['cookie', 'kong']) {
  test(`who was identified once stays so by a cookie (storage ${storage})`, async () => {
    const { visit, clock } = world({ storage })
    const first = await visit({ login: true })
    assert.deepEqual([first.user, first.set], ['alice', ['session']])
    const { user, set, kong } = await visit()
    assert.deepEqual([user, set], ['alice', []])
    assert.equal(kong.client.get_credential()?.id, 'credential')
    clock.now += 30
    assert.deepEqual((await visit()).set, [])
  })

  test(`a session ends when it goes unused (storage ${storage})`, async () => {
    const { visit, clock } = world({ storage, idling_timeout: 100 })
    await visit({ login: true })
    clock.now += 61
    const used = await visit()
    assert.deepEqual([used.user, used.set], ['alice', ['session']], 'the cookie tells that it is in use')
    clock.now += 100
    assert.equal((await visit()).user, 'alice')
    clock.now += 101
    assert.equal((await visit()).user, null)
  })

  test(`a session is renewed, with another id (storage ${storage})`, async () => {
    const { visit, clock, cookies } = world({
      storage,
      idling_timeout: 0,
      rolling_timeout: 100,
      response_headers: ['id'],
    })
    const id = async () => (await visit()).kong.responseHeaders.get('session-id')?.[0]
    await visit({ login: true })
    const first = await id()
    clock.now += 75
    assert.equal(await id(), first)
    clock.now += 1
    const old = new Map(cookies)
    const second = await id()
    assert.notEqual(second, first)
    // Requests that are on their way with the old cookie still come through.
    const renewed = new Map(cookies)
    cookies.set('session', old.get('session') ?? '')
    assert.equal((await visit()).user, 'alice')
    cookies.set('session', renewed.get('session') ?? '')
    clock.now += 101
    assert.equal((await visit()).user, null)
  })

  test(`a session lasts no longer than its absolute timeout (storage ${storage})`, async () => {
    const { visit, clock } = world({ storage, absolute_timeout: 200, rolling_timeout: 100, idling_timeout: 0 })
    await visit({ login: true })
    for (const seconds of [80, 80]) {
      clock.now += seconds
      assert.equal((await visit()).user, 'alice')
    }
    clock.now += 41
    assert.equal((await visit()).user, null)
  })

  test(`a session can be ended (storage ${storage})`, async () => {
    const { visit, cookies } = world({ storage })
    await visit({ login: true })
    const stolen = cookies.get('session') ?? ''
    const { answer, set, user } = await visit({ method: 'POST', path: '/?session_logout' })
    assert.deepEqual([answer?.status, set, user], [200, ['session'], null])
    assert.equal(cookies.size, 0)
    cookies.set('session', stolen)
    // What stands in the cookie alone is good until its time is over.
    assert.equal((await visit()).user, storage === 'kong' ? null : 'alice')
  })
}

test('only the methods and names that are set end a session', async () => {
  const { visit } = world({ read_body_for_logout: true, logout_methods: ['POST'] })
  await visit({ login: true })
  const form = [['Content-Type', 'application/x-www-form-urlencoded']] as const
  assert.equal((await visit({ path: '/?session_logout=1' })).user, 'alice')
  assert.equal((await visit({ method: 'POST', headers: form, body: 'logout=1' })).user, 'alice')
  assert.equal((await visit({ method: 'POST', headers: form, body: 'session_logout=' })).answer?.status, 200)
})

test('nobody is given a session for being anonymous', async () => {
  const { visit } = world()
  assert.deepEqual((await visit()).set, [])
})

test('a session of a consumer that is gone is ended', async () => {
  const { visit, entities } = world()
  await visit({ login: true })
  entities.delete('consumers', alice.id)
  const { user, set } = await visit()
  assert.deepEqual([user, set], [null, ['session']])
})

test('groups that were found stay with the session', async () => {
  const plugin = createSession()
  const ready = plugin.prepare(configOf({}), { id: 'p', name: 'session' })
  const entities = testEntities()
  entities.put('consumers', alice)
  const first = testKong({}, entities)
  first.client.authenticate(identityOf(alice, credential, 'id'))
  first.ctx.shared['authenticated_groups'] = ['staff', 'users']
  await plugin.after_access!(first, ready)
  const cookie = first.responseHeaders.get('set-cookie')?.[0]?.split(';')[0] ?? ''
  const second = testKong({ headers: [['Cookie', cookie]] }, entities)
  await plugin.access!(second, ready)
  assert.deepEqual(second.ctx.shared['authenticated_groups'], ['staff', 'users'])
  assert.deepEqual(new Map(second.identity?.headers).get('X-Authenticated-Groups'), 'staff, users')
})

test('another secret, another name and any change make a cookie worthless', async () => {
  const { visit, cookies } = world()
  await visit({ login: true })
  const value = cookies.get('session') ?? ''
  const other = world({ secret: 'other' })
  other.cookies.set('session', value)
  assert.equal((await other.visit()).user, null)
  const renamed = world({ remember: true })
  renamed.cookies.set('remember', value)
  assert.equal((await renamed.visit()).user, null)
  for (const changed of [`${value}A`, value.slice(1), `A${value}`, value.replace(/.$/, '='), '', 'x'.repeat(5000)]) {
    cookies.set('session', changed)
    assert.equal((await visit()).user, null, changed)
  }
})

test('a remembered client begins a new session', async () => {
  const { visit, cookies, clock } = world({ remember: true })
  const { set } = await visit({ login: true })
  assert.deepEqual(set, ['session', 'remember'])
  cookies.delete('session')
  clock.now += 86_401
  const again = await visit()
  assert.deepEqual([again.user, again.set.toSorted()], ['alice', ['remember', 'session']])
  clock.now += 604_801
  assert.equal((await visit()).user, null)
})

test('applications that share a cookie have each their own login', async () => {
  const one = world({ audience: 'one' })
  const two = world({ audience: 'two' })
  await one.visit({ login: true })
  two.cookies.set('session', one.cookies.get('session') ?? '')
  assert.equal((await two.visit()).user, null)
})

test('client and upstream are told what they are to be told', async () => {
  const { visit, clock } = world({
    response_headers: ['timeout', 'audience'],
    request_headers: ['subject', 'idling-timeout'],
  })
  await visit({ login: true })
  clock.now += 10
  const { kong } = await visit()
  assert.deepEqual(kong.responseHeaders.get('session-timeout'), ['890'])
  assert.deepEqual(kong.responseHeaders.get('session-audience'), ['default'])
  assert.deepEqual(kong.upstreamHeaders.get('session-subject'), ['alice'])
  assert.deepEqual(kong.upstreamHeaders.get('session-idling-timeout'), ['890'])
})

test("the cookie's attributes follow the config", async () => {
  const { visit } = world({
    cookie_domain: 'app.test',
    cookie_path: '/a',
    cookie_samesite: 'off',
    cookie_httponly: false,
  })
  const line = (await visit({ login: true })).kong.responseHeaders.get('set-cookie')?.[0]
  assert.match(line ?? '', /^session=[\w-]+; Domain=app\.test; Path=\/a; SameSite=Lax; Secure$/)
})

test('a cookie for every site is a secure one, and localhost is no domain', async () => {
  const { visit } = world({ cookie_domain: 'localhost', cookie_same_site: 'None', cookie_secure: false })
  const { kong } = await visit({ login: true })
  const [line] = kong.responseHeaders.get('set-cookie') ?? []
  assert.match(line ?? '', /^session=[\w-]+; Path=\/; SameSite=None; Secure; HttpOnly$/)
})

for (const [hash_subject, subject] of [
  [false, 'alice'],
  // printf alice | sha256sum | cut -c1-32 | xxd -r -p | base64, in base64url.
  [true, 'K9gGyX8OAK8aH8Myj6djqQ'],
] as const) {
  test(`the database tells whose a session is (hash_subject: ${hash_subject})`, async () => {
    const { visit, written } = world({ storage: 'kong', store_metadata: true, hash_subject, response_headers: ['id'] })
    const sid = (await visit({ login: true })).kong.responseHeaders.get('session-id')?.[0]
    const session = written('sessions').find((one) => one['session_id'] === sid)
    const [told, ...more] = written('session_metadatas')
    assert.deepEqual(more, [])
    assert.deepEqual(told, { id: told?.id, session: { id: session?.id }, sid, audience: 'default', subject })
  })
}

test('whose a session is is told where it was asked for, and of sessions in the database', async () => {
  for (const config of [{ storage: 'kong' }, { storage: 'cookie', store_metadata: true }]) {
    const { visit, written } = world(config)
    await visit({ login: true })
    assert.deepEqual(written('session_metadatas'), [])
  }
})
