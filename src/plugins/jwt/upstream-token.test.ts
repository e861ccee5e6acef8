import assert from 'node:assert/strict'
import { createPublicKey, createSecretKey, verify } from 'node:crypto'
import { test } from 'node:test'
import { startTestAdmin } from '../../../test/admin/fixture.ts'
import type { Answer } from '../../pdk/kong.ts'
import { testEntities, testKong } from '../../pdk/testing.ts'
import { checkInsert } from '../../schema/check.ts'
import { createJwt } from './handler.ts'
import type { Config } from './ready.ts'
import { schema } from './schema.ts'
import { signToken } from './sign.ts'
import { changeSigningKeys } from './signing-keys.ts'
import { createTokenMemory } from './tokens.ts'

const now = 1_700_000_000
const day = 86_400

async function world(options: object = {}, config: object = {}) {
  const entities = testEntities()
  entities.put('consumers', { id: 'c', username: 'alice', custom_id: null })
  entities.put('jwt_secrets', { id: 'k', key: 'alice-key', algorithm: 'HS256', secret: 's', consumer: { id: 'c' } })
  const checked = checkInsert(schema, {
    config: { ...config, upstream_token: { issuer: 'https://gateway.test', audience: ['orders'], ...options } },
  })
  assert.ok(checked.ok, JSON.stringify(checked))
  const clock = { now }
  const jwt = createJwt({ now: () => clock.now, memory: createTokenMemory() })
  const ready = jwt.prepare(checked.value['config'] as Config, { id: 'p', name: 'jwt' })
  const token = (claims: object) =>
    signToken(
      { header: { alg: 'HS256' }, payload: { iss: 'alice-key', ...claims } },
      'HS256',
      createSecretKey(Buffer.from('s')),
    )
  const keySet = async () => {
    const [document] = jwt.documents!(ready)
    const { body } = await document!.answer(entities)
    return (JSON.parse(String(body)) as { keys: Record<string, string>[] }).keys
  }
  /** What the upstream makes of what it gets: the claims, verified with the key set that is published now. */
  const upstreamOf = async (text: string, header = 'authorization') => {
    const kong = testKong({ headers: [['Authorization', `Bearer ${text}`]] }, entities)
    const answer = await jwt.access!(kong, ready)
    if (answer) return { answer }
    const given = (kong.upstreamHeaders.get(header)?.[0] ?? '').replace(/^Bearer /, '')
    const [head = '', payload = '', signature = ''] = given.split('.')
    const { kid } = JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string }
    const jwk = (await keySet()).find((key) => key.kid === kid)
    assert.ok(jwk, 'the key is published')
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    const signed = Buffer.from(`${head}.${payload}`)
    assert.ok(verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url')))
    return { claims: JSON.parse(Buffer.from(payload, 'base64url').toString()) as object, given, kid }
  }
  return { entities, clock, jwt, ready, token, keySet, upstreamOf }
}

test('the upstream gets a token of the gateway in place of the client’s, with what was chosen of its claims', async () => {
  const { token, upstreamOf } = await world({ claims: ['scope', 'none'] })
  const { claims } = await upstreamOf(token({ sub: 'al', scope: 'a b', secret: 'x', aud: 'gateway' }))
  assert.deepEqual(claims, {
    scope: 'a b',
    iss: 'https://gateway.test',
    aud: ['orders'],
    sub: 'al',
    consumer: { id: 'c', username: 'alice', custom_id: null },
    iat: now,
    exp: now + 300,
  })
})

test('it is made once for a token, anew when half of its life is over, and never outlives it', async () => {
  const { token, upstreamOf, clock } = await world({ ttl: 100 }, { claims_to_verify: ['exp'] })
  const text = token({ exp: now + 130 })
  const first = await upstreamOf(text)
  clock.now += 49
  assert.equal((await upstreamOf(text)).given, first.given)
  clock.now += 1
  const second = await upstreamOf(text)
  assert.notEqual(second.given, first.given)
  assert.deepEqual(second.claims, { ...second.claims, iat: now + 50, exp: now + 130 })
  assert.notEqual((await upstreamOf(token({ exp: now + 131 }))).given, second.given, 'each token has its own')
})

test('keys change by themselves: published before they sign, and for as long as a token may need them', async () => {
  const { token, upstreamOf, clock, keySet } = await world()
  const text = token({})
  const { kid } = await upstreamOf(text)
  assert.deepEqual(
    (await keySet()).map((key) => [key.kid, key.alg, key.use, key.d]),
    [[kid, 'ES256', 'sig', undefined]],
  )
  clock.now += 30 * day
  assert.equal((await upstreamOf(text)).kid, kid)
  const both = await keySet()
  assert.equal(both.length, 2)
  clock.now += 3599
  assert.equal(
    (await upstreamOf(token({ sub: 'new' }))).kid,
    kid,
    'whoever fetches the set now and then has to see it first',
  )
  clock.now += 1
  assert.equal((await upstreamOf(token({ sub: 'newer' }))).kid, both[0]?.kid)
  for (let turn = 0; turn < 5; turn++) {
    clock.now += 31 * day
    await upstreamOf(text)
    await keySet()
  }
  assert.equal((await keySet()).length, 3, 'old ones go')
})

test('a header of its own is dropped where the client sent it, whoever that is', async () => {
  const { token, upstreamOf, jwt, ready, entities } = await world({ header: 'X-Internal' })
  const { claims } = await upstreamOf(token({}), 'x-internal')
  assert.equal((claims as { sub: string }).sub, 'c', 'without a subject it is the consumer')
  const kong = testKong({ headers: [['X-Internal', 'made up']] }, entities)
  await jwt.access!(kong, ready)
  assert.equal(kong.upstreamHeaders.get('x-internal'), null)
})

test('where the keys cannot be kept nobody goes on without a token', async () => {
  const { token, upstreamOf, entities, jwt, ready } = await world()
  entities.write = async () => ({ ok: false, reason: 'unavailable', message: 'away' })
  const { answer } = (await upstreamOf(token({}))) as { answer: Answer }
  assert.equal(answer.status, 503)
  const [document] = jwt.documents!(ready)
  assert.equal((await document!.answer(entities)).status, 503)
})

test('a changed key signs at once, remembered tokens are made anew with it, and older ones stay published until they are withdrawn', async (t) => {
  const { token, upstreamOf, entities, keySet, clock } = await world()
  const admin = await startTestAdmin()
  t.after(() => admin.stop())
  const { store } = admin
  const take = () => entities.put('jwt_signing_keys', store.reader.by('jwt_signing_keys', 'name', 'gateway')!)
  const first = (await changeSigningKeys(store, clock.now, { withdraw: false }))!
  take()
  const text = token({})
  const before = await upstreamOf(text)
  assert.equal(before.kid, first.kid)
  const second = (await changeSigningKeys(store, clock.now, { withdraw: false }))!
  take()
  const after = await upstreamOf(text)
  assert.equal(after.kid, second.kid)
  assert.notEqual(after.given, before.given)
  assert.deepEqual(
    (await keySet()).map(({ kid }) => kid),
    [second.kid, first.kid],
  )
  assert.deepEqual(second.published, [second.kid, first.kid])
  const third = (await changeSigningKeys(store, clock.now, { withdraw: true }))!
  take()
  assert.deepEqual(
    (await keySet()).map(({ kid }) => kid),
    [third.kid],
  )
  clock.now += 400 * day
  assert.equal((await upstreamOf(text)).kid, third.kid)
  assert.equal((await keySet()).length, 2, 'from then on they change by themselves again')
})

test('of changes at the same time none is lost', async (t) => {
  const admin = await startTestAdmin()
  t.after(() => admin.stop())
  const { store } = admin
  const changes = await Promise.all([1, 2, 3].map(() => changeSigningKeys(store, now, { withdraw: false })))
  const { published } = changes.find((change) => change?.published.length === 3)!
  assert.deepEqual(published.toSorted(), changes.map((change) => change!.kid).toSorted())
})

test('the Admin API changes the keys, and tells no secret of them', async (t) => {
  const admin = await startTestAdmin()
  t.after(() => admin.stop())
  const send = (body: object) => admin.send('POST', '/jwt/rotate-keys', body)
  assert.equal((await send({})).status, 200)
  const { status, json } = await send({ withdraw: true })
  assert.equal(status, 200)
  assert.deepEqual(json, { kid: json.kid, published: [json.kid] })
  assert.deepEqual((await send({ withdraw: 'x' })).json.fields, {
    withdraw: 'expected a boolean',
  })
  admin.store.write = async () => ({ ok: false, at: 0, error: { code: 'unavailable', message: 'full' } })
  assert.equal((await send({})).status, 503)
})
