import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { testEntities } from '../pdk/testing.ts'
import type { Config } from '../plugins/jwt/ready.ts'
import { schema } from '../plugins/jwt/schema.ts'
import { signToken } from '../plugins/jwt/sign.ts'
import { checkInsert } from '../schema/check.ts'
import { explainToken } from './jwt-explanation.ts'

const now = 1_700_000_000
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })

test('a token of an issuer is explained with the keys that the issuer publishes now', async (t) => {
  let keys: object[] = [{ ...publicKey.export({ format: 'jwk' }), kid: 'a' }]
  const server = createServer((_, response) => response.end(JSON.stringify({ keys })))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const explain = (claims: object, path: string) => {
    const issuers = [{ issuer: url, jwks_uri: `${url}/${path}` }]
    const checked = checkInsert(schema, {
      config: { issuers, consumer_claim: ['sub'], audience_required: ['orders'], maximum_age: 60 },
    })
    assert.ok(checked.ok)
    const payload = { iss: url, sub: 'bob', aud: 'orders', exp: now + 60, iat: now, ...claims }
    const token = signToken({ header: { alg: 'ES256', kid: 'a' }, payload }, 'ES256', privateKey)
    return explainToken(token, checked.value['config'] as Config, testEntities(), now)
  }
  const good = await explain({}, 'good')
  assert.equal(good.accepted, true)
  assert.deepEqual(
    good.steps.map(({ step, outcome }) => `${step} ${outcome}`),
    ['find', 'decode', 'credential', 'algorithm', 'signature', 'consumer', 'claims', 'times'].map(
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
  const old = await explain({ iat: now - 61, exp: now + 1 }, 'good')
  assert.match(old.steps.at(-1)?.reason ?? '', /^exp .* in 1 s; iat .*, 61 s ago, and may lie 60 s back at most$/)
  assert.deepEqual(old.answer?.body, { iat: 'token too old' })
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
  const { accepted, hints } = await explainToken(token, checked.value['config'] as Config, entities, now)
  assert.deepEqual(
    [accepted, hints],
    [true, [`mode is observe; with enforce it would be 401 {"message":"Invalid 'aud' in claims"}`]],
  )
})
