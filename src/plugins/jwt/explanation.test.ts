import assert from 'node:assert/strict'
import { createSecretKey, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { testEntities } from '../../pdk/testing.ts'
import { getDocument } from './document.ts'
import { fetchKeys, type IssuerAddress } from './key-fetching.ts'
import type { Config } from './ready.ts'
import { revocationKey } from './revocations-schema.ts'
import { schema } from './schema.ts'
import { signToken } from './sign.ts'
import { useKey } from './uses-schema.ts'
import { checkInsert } from '../../schema/check.ts'
import { explainToken, type IssuerKeys } from './explanation.ts'

const now = 1_700_000_000
const fetched: IssuerKeys = {
  known: () => undefined,
  ask: async (address) =>
    (await fetchKeys(JSON.parse(address) as IssuerAddress, (url) => getDocument(url, undefined))).keys,
}
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })

test('a token of an issuer is explained with the keys that the issuer publishes now', async (t) => {
  let keys: object[] = [{ ...publicKey.export({ format: 'jwk' }), kid: 'a' }]
  const server = createServer((_, response) => response.end(JSON.stringify({ keys })))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const explain = (claims: object, path: string, named: object = { kid: 'a' }) => {
    const issuers = [{ issuer: url, jwks_uri: `${url}/${path}` }]
    const checked = checkInsert(schema, {
      config: { issuers, consumer_claim: ['sub'], audience_required: ['orders'], maximum_age: 60 },
    })
    assert.ok(checked.ok)
    const payload = { iss: url, sub: 'bob', aud: 'orders', exp: now + 60, iat: now, ...claims }
    const token = signToken({ header: { alg: 'ES256', ...named }, payload }, 'ES256', privateKey)
    const entities = testEntities()
    entities.put('consumers', { id: 'c', username: 'bob', custom_id: null })
    return explainToken(token, checked.value['config'] as Config, { entities, now, issuerKeys: fetched })
  }
  const good = await explain({}, 'good')
  assert.equal(good.accepted, true)
  assert.deepEqual(
    good.steps.map(({ step, outcome }) => `${step} ${outcome}`),
    ['find', 'decode', 'credential', 'algorithm', 'signature', 'consumer', 'claims', 'times', 'revocation'].map(
      (step) => `${step} passed`,
    ),
  )
  const other = await explain({ aud: 'billing' }, 'good')
  const claims = other.steps.find(({ outcome }) => outcome === 'failed')
  assert.deepEqual(claims, {
    step: 'claims',
    outcome: 'failed',
    reason: 'audience: aud must hold orders; the token says "billing"',
  })
  const stranger = await explain({ sub: 'eve' }, 'good')
  assert.deepEqual(
    stranger.steps.find(({ step }) => step === 'consumer'),
    {
      step: 'consumer',
      outcome: 'failed',
      reason: 'sub is "eve", and no consumer has that as username or custom_id',
    },
  )
  const old = await explain({ iat: now - 61, exp: now + 1 }, 'good')
  assert.match(old.steps.at(-2)?.reason ?? '', /^exp .* in 1 s; iat .*, 61 s ago, and may lie 60 s back at most$/)
  assert.deepEqual(old.answer?.body, { iat: 'token too old' })
  keys = Array.from({ length: 6 }, (_, at) => ({ ...publicKey.export({ format: 'jwk' }), kid: `k${at}` }))
  const nameless = await explain({}, 'many', {})
  assert.deepEqual(nameless.answer?.body, { message: 'No key found for the token' })
  assert.equal(
    nameless.steps.find(({ outcome }) => outcome === 'failed')?.reason,
    'the token names no key (kid in its header), and the issuer publishes more than 5 for ES256: so many are not tried',
  )
  keys = []
  const gone = await explain({}, 'gone')
  assert.deepEqual(gone.answer?.body, { message: 'No key found for the token' })
})

test('in mode observe both are told: what is, and what would be', async () => {
  const config = { mode: 'observe', audience_required: ['orders'] }
  const checked = checkInsert(schema, { config })
  assert.ok(checked.ok)
  const entities = testEntities()
  const pem = publicKey.export({ type: 'spki', format: 'pem' })
  entities.put('consumers', { id: 'c', username: 'bob', custom_id: null })
  entities.put('jwt_secrets', {
    id: 'k',
    key: 'bob-key',
    algorithm: 'ES256',
    rsa_public_key: pem,
    secret: null,
    consumer: { id: 'c' },
  })
  const token = signToken({ header: { alg: 'ES256' }, payload: { iss: 'bob-key' } }, 'ES256', privateKey)
  const { accepted, hints } = await explainToken(token, checked.value['config'] as Config, {
    entities,
    now,
    issuerKeys: fetched,
  })
  assert.deepEqual(
    [accepted, hints],
    [true, [`mode is observe; with enforce it would be 401 {"message":"Invalid 'aud' in claims"}`]],
  )
})

test('what became of a token is told: whether it was taken back, and whether it was used', async () => {
  const checked = checkInsert(schema, { config: { check_revocation: true, single_use: true } })
  assert.ok(checked.ok)
  const entities = testEntities()
  entities.put('consumers', { id: 'c', username: 'bob', custom_id: null })
  entities.put('jwt_secrets', { id: 'k', key: 'bob-key', algorithm: 'HS256', secret: 's', consumer: { id: 'c' } })
  const key = createSecretKey(Buffer.from('s'))
  const payload = { iss: 'bob-key', jti: '1', exp: now + 60 }
  const token = signToken({ header: { alg: 'HS256' }, payload }, 'HS256', key)
  const told = async () => {
    const explained = await explainToken(token, checked.value['config'] as Config, {
      entities,
      now,
      issuerKeys: fetched,
    })
    return explained.answer?.body ?? explained.steps.at(-1)?.reason
  }
  assert.equal(await told(), 'it was not taken back; it was not used before')
  entities.put('jwt_uses', { id: 'u', key: useKey(['credential', 'k', '1']) })
  assert.deepEqual(await told(), { message: 'Token was used before' })
  entities.put('jwt_revocations', { id: 'r', key: revocationKey(['jti', '1', null]), before: null })
  assert.deepEqual(await told(), { message: 'Token revoked' })
})

test('with check_revocation the end of a token is looked at where it has one, and that is told', async () => {
  const checked = checkInsert(schema, { config: { check_revocation: true } })
  assert.ok(checked.ok)
  const entities = testEntities()
  entities.put('consumers', { id: 'c', username: 'bob', custom_id: null })
  entities.put('jwt_secrets', { id: 'k', key: 'bob-key', algorithm: 'HS256', secret: 's', consumer: { id: 'c' } })
  const times = async (claims: object) => {
    const key = createSecretKey(Buffer.from('s'))
    const token = signToken({ header: { alg: 'HS256' }, payload: { iss: 'bob-key', ...claims } }, 'HS256', key)
    const bench = { entities, now, issuerKeys: fetched }
    const explained = await explainToken(token, checked.value['config'] as Config, bench)
    return explained.steps.find(({ step }) => step === 'times')
  }
  assert.deepEqual(await times({ exp: now - 5 }), {
    step: 'times',
    outcome: 'failed',
    reason: `exp ${now - 5} (2023-11-14T22:13:15Z), 5 s ago`,
  })
  assert.equal((await times({}))?.reason, 'none is looked at, and the token has none')
})

test('a token that is bound to nothing is told of, and of an opaque one that only its issuer can say', async () => {
  const entities = testEntities()
  entities.put('consumers', { id: 'c', username: 'bob', custom_id: null })
  const credential = { id: 'k', key: 'key', secret: 'a secret', algorithm: 'HS256', consumer: { id: 'c' } }
  entities.put('jwt_secrets', credential)
  const explain = (text: string, config: object) => {
    const checked = checkInsert(schema, { config })
    assert.ok(checked.ok, JSON.stringify(checked))
    return explainToken(text, checked.value['config'] as Config, { entities, now, issuerKeys: fetched })
  }
  const secret = createSecretKey(Buffer.from('a secret'))
  const token = (claims: object) =>
    signToken({ header: { alg: 'HS256', typ: 'JWT' }, payload: { iss: 'key', ...claims } }, 'HS256', secret)
  for (const config of [{ certificate_bound: true }, { dpop: { required: true } }]) {
    const unbound = await explain(token({}), config)
    assert.deepEqual([unbound.accepted, unbound.answer?.status], [false, 401])
    assert.match(unbound.steps.find(({ outcome }) => outcome === 'failed')?.reason ?? '', /^unbound: cnf\./)
    assert.equal((await explain(token({ cnf: { jkt: 'a', 'x5t#S256': 'b' } }), config)).accepted, true)
  }
  const introspection = { endpoint: 'http://127.0.0.1:1/' }
  const opaque = await explain('an-opaque-token', { introspection, consumer_optional: true })
  assert.deepEqual([opaque.accepted, opaque.answer], [null, null])
  assert.match(opaque.hints.join(), /asks its issuer/)
})
