import assert from 'node:assert/strict'
import { createHash, createSecretKey } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { testEntities, testKong } from '../../pdk/testing.ts'
import { checkInsert } from '../../schema/check.ts'
import { createJwt } from './handler.ts'
import type { Config } from './ready.ts'
import { schema } from './schema.ts'
import { signToken } from './sign.ts'
import { createTokenMemory } from './tokens.ts'

const now = 1_700_000_000

function world(config: object) {
  const entities = testEntities()
  entities.put('consumers', { id: 'c', username: 'alice', custom_id: null })
  entities.put('jwt_secrets', { id: 'k', key: 'issuer', algorithm: 'HS256', secret: 's', consumer: { id: 'c' } })
  const checked = checkInsert(schema, { config })
  assert.ok(checked.ok, JSON.stringify(checked))
  const clock = { now }
  const jwt = createJwt({ now: () => clock.now, memory: createTokenMemory() })
  const ready = jwt.prepare(checked.value['config'] as Config, { id: 'p', name: 'jwt' })
  const send = async (text: string, certificate?: Buffer, ip?: string) => {
    const headers = [['Authorization', `Bearer ${text}`]] as const
    const kong = testKong({ headers, ...(certificate && { certificate }), ...(ip && { ip }) }, entities)
    const answer = await jwt.access!(kong, ready)
    if (answer) return [answer.status, (JSON.parse(String(answer.body)) as { message?: string }).message]
    return kong.identity?.consumer?.['username'] ?? kong.identity?.credential?.['key']
  }
  return { clock, send, jwt, ready }
}

test('a token that is bound to a certificate is good only where that one was shown', async () => {
  const { send, jwt, ready } = world({ certificate_bound: true })
  assert.equal(jwt.asksForCertificate!(ready), true)
  const [own, other] = [Buffer.from('own certificate'), Buffer.from('another')]
  const token = (cnf: unknown) =>
    signToken({ header: { alg: 'HS256' }, payload: { iss: 'issuer', cnf } }, 'HS256', createSecretKey(Buffer.from('s')))
  const bound = token({ 'x5t#S256': createHash('sha256').update(own).digest('base64url') })
  assert.equal(await send(bound, own), 'alice')
  assert.equal(await send(bound, own), 'alice')
  assert.deepEqual(await send(bound, other), [401, 'The token is bound to another certificate'])
  assert.deepEqual(await send(bound), [401, 'The token is bound to a certificate, and the client has shown none'])
  for (const cnf of [undefined, null, {}, 'x', { 'x5t#S256': 5 }, { jkt: 'x' }])
    assert.deepEqual(await send(token(cnf), own), [401, 'The token must be bound to a certificate'])
  assert.deepEqual(await send(token({ 'x5t#S256': '' }), own), [401, 'The token is bound to another certificate'])
  const plain = world({})
  assert.equal(plain.jwt.asksForCertificate!(plain.ready), false)
})

/** An issuer that tells of tokens what it is told to. */
async function issuer(t: TestContext) {
  const state = {
    tokens: new Map<string, object>(),
    asked: [] as string[],
    answer: undefined as ((request: IncomingMessage, response: ServerResponse) => void) | undefined,
    authorization: undefined as string | undefined,
  }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const token = new URLSearchParams(body).get('token') ?? ''
      state.asked.push(token)
      state.authorization = request.headers.authorization
      if (state.answer) return state.answer(request, response)
      response.end(JSON.stringify(state.tokens.get(token) ?? { active: false }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { state, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/introspect` }
}

test('of an opaque token its issuer tells, once for a while that never outlives the token', async (t) => {
  const { state, endpoint } = await issuer(t)
  const { send, clock } = world({
    introspection: { endpoint, client_id: 'gate way', client_secret: 'a:b', ttl: 60 },
    consumer_claim: ['sub'],
    audience_required: ['orders'],
  })
  const claims = { active: true, sub: 'alice', aud: 'orders', exp: now + 30 }
  state.tokens.set('opaque', claims).set('long', { ...claims, exp: now + 3600 })
  assert.deepEqual(await Promise.all([send('opaque'), send('opaque'), send('opaque')]), ['alice', 'alice', 'alice'])
  assert.deepEqual(state.asked, ['opaque'], 'one question for all who wait')
  assert.equal(state.authorization, `Basic ${Buffer.from('gate+way:a%3Ab').toString('base64')}`)
  assert.equal(await send('long'), 'alice')
  clock.now += 29
  assert.equal(await send('opaque'), 'alice')
  assert.deepEqual(state.asked, ['opaque', 'long'])
  state.tokens.set('opaque', { active: false })
  clock.now += 1
  assert.deepEqual(await send('opaque'), [401, 'Token is not active'])
  assert.equal(await send('long'), 'alice')
  assert.equal(state.asked.length, 3)
  clock.now += 30
  assert.equal(await send('long'), 'alice')
  assert.equal(state.asked.length, 4, 'after a minute the issuer is asked again')
})

test('times that an issuer tells as texts are read, and what is no time makes a token that is not active', async (t) => {
  const { state, endpoint } = await issuer(t)
  const { send, clock } = world({ introspection: { endpoint, ttl: 3600 }, consumer_optional: true })
  const claims = { active: true, sub: 'svc' }
  state.tokens
    .set('ends', { ...claims, exp: `${now + 30}`, iat: `${now}`, nbf: null })
    .set('early', { ...claims, exp: now + 60, nbf: `${now + 20}` })
  assert.equal(await send('ends'), 'svc')
  assert.equal(((await send('early')) as unknown[])[0], 401)
  clock.now += 30
  assert.equal(await send('early'), 'svc')
  assert.equal(((await send('ends')) as unknown[])[0], 401, 'its end has come')
  const odd = [
    '',
    ' 1800000000',
    '1.8e9',
    '0x6b49d200',
    '-1',
    '2030-01-01',
    true,
    {},
    [1_800_000_000],
    `1${'0'.repeat(400)}`,
  ]
  for (const name of ['exp', 'nbf', 'iat'])
    for (const [at, value] of odd.entries()) {
      state.tokens.set(`odd-${name}-${at}`, { ...claims, [name]: value })
      assert.deepEqual(
        await send(`odd-${name}-${at}`),
        [401, 'Token is not active'],
        `${name} ${JSON.stringify(value)}`,
      )
    }
  state.answer = (_, response) => void response.end('{"active":true,"sub":"svc","exp":1e400}')
  assert.deepEqual(await send('for ever'.replace(' ', '-')), [401, 'Token is not active'])
})

test('what an issuer tells is held to the same rules as the claims of a token', async (t) => {
  const { state, endpoint } = await issuer(t)
  const { send } = world({ introspection: { endpoint }, consumer_optional: true, scopes_required: ['read'] })
  const claims = { active: true, sub: 'svc', scope: 'read write', exp: now + 60 }
  state.tokens
    .set('good', claims)
    .set('few', { ...claims, scope: 'write' })
    .set('old', { ...claims, exp: now })
  assert.equal(await send('good'), 'svc')
  assert.deepEqual(await send('few'), [403, 'Insufficient scope'])
  assert.equal(((await send('old')) as unknown[])[0], 401)
  assert.equal(state.authorization, undefined)
})

test('strangers’ tokens cost the issuer little, and what is no opaque token nothing', async (t) => {
  const { state, endpoint } = await issuer(t)
  const { send, clock } = world({ introspection: { endpoint }, consumer_optional: true })
  for (let time = 0; time < 10; time++) assert.deepEqual(await send('made-up'), [401, 'Token is not active'])
  assert.equal(state.asked.length, 1)
  clock.now += 6
  await send('made-up')
  assert.equal(state.asked.length, 2)
  for (const text of ['a.b.c', 'x'.repeat(5000), 'with space', 'umläut', '{"a":1}']) {
    const verdict = (await send(text)) as unknown[]
    assert.equal(verdict[0], 401, text)
  }
  assert.equal(state.asked.length, 2)
  state.answer = (_, response) => void setTimeout(() => response.end('{"active":false}'), 20)
  const flood = await Promise.all(Array.from({ length: 1320 }, (_, index) => send(`flood-${index}`)))
  const busy = flood.filter((verdict) => (verdict as unknown[])[0] === 429)
  assert.equal(busy.length, 300, '20 are asked about at a time, 1000 wait')
})

test('while strangers flood the issuer with made-up tokens, the new tokens of others are let in', async (t) => {
  const { state, endpoint } = await issuer(t)
  const { send } = world({ introspection: { endpoint }, consumer_optional: true })
  let [most, underWay] = [0, 0]
  state.answer = (_, response) => {
    most = Math.max(most, ++underWay)
    const token = state.asked.at(-1) ?? ''
    const told = { active: token.startsWith('good'), sub: token }
    setTimeout(() => {
      underWay--
      response.end(JSON.stringify(told))
    }, 5)
  }
  const flood = { goesOn: true }
  let made = 0
  const strangers = Array.from({ length: 1200 }, async (_, index) => {
    while (flood.goesOn) {
      const verdict = await send(`made-up-${made++}`, undefined, `192.0.2.${index % 2}`)
      assert.ok([401, 429, 503].includes((verdict as number[])[0]!))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })
  for (let index = 0; index < 50; index++) {
    const token = `good-${index}`
    assert.equal(await send(token, undefined, `192.0.2.${8 + (index % 8)}`), token)
  }
  flood.goesOn = false
  await Promise.all(strangers)
  assert.ok(made > 1200 && most <= 20, `${made} made up, ${most} at a time`)
})

test('whoever has a whole network of IPv6 addresses is one client', async (t) => {
  const { state, endpoint } = await issuer(t)
  const { send } = world({ introspection: { endpoint }, consumer_optional: true })
  state.tokens.set('good', { active: true, sub: 'good' })
  const strangers = Array.from({ length: 1020 }, (_, at) =>
    send(`made-up-${at}`, undefined, `2001:db8::${at.toString(16)}`),
  )
  assert.equal(await send('good', undefined, '2001:db8:0:1::1'), 'good')
  const crowdedOut = (await Promise.all(strangers)).filter((verdict) => (verdict as number[])[0] === 429)
  assert.equal(crowdedOut.length, 1)
})

test('while the issuer is out nobody is let in who is not remembered, and nothing else is told of it', async (t) => {
  const { state, endpoint } = await issuer(t)
  const { send } = world({ introspection: { endpoint }, consumer_optional: true })
  state.tokens.set('known', { active: true, sub: 'svc' })
  assert.equal(await send('known'), 'svc')
  const outages: ((request: IncomingMessage, response: ServerResponse) => void)[] = [
    (_, response) => void response.writeHead(500).end(),
    (_, response) => void response.end('no JSON'),
    (_, response) => void response.end('[]'),
    (_, response) => void response.end('{"active":"true"}'),
    (_, response) => void response.end(`{"active":true,"x":"${'x'.repeat(100_000)}"}`),
    (request) => void request.socket.destroy(),
    (_, response) => void response.writeHead(302, { Location: '/' }).end(),
  ]
  for (const answer of outages) {
    state.answer = answer
    assert.deepEqual(await send('unknown'), [503, 'Whether the token is good cannot be told'])
  }
  assert.equal(await send('known'), 'svc')
})
