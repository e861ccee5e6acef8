import assert from 'node:assert/strict'
import { createHash, createSecretKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { testEntities, testKong, type RequestDescription } from '../../pdk/testing.ts'
import { checkInsert } from '../../schema/check.ts'
import { thumbprint } from './dpop.ts'
import { createJwt } from './handler.ts'
import { configureProofs, noncesOf, usesKept } from './proof-memory.ts'
import type { Config } from './ready.ts'
import { schema } from './schema.ts'
import { signToken } from './sign.ts'
import type { JsonObject } from './token.ts'
import { createTokenMemory } from './tokens.ts'

const now = 1_700_000_000
const pairs = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  EdDSA: generateKeyPairSync('ed25519'),
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
}
const jwkOf = (key: KeyObject) => key.export({ format: 'jwk' }) as JsonObject
const hash = (text: string) => createHash('sha256').update(text).digest('base64url')

interface ProofOptions {
  readonly alg?: keyof typeof pairs
  readonly header?: object
  readonly claims?: object
  readonly key?: KeyObject
}

function world(dpop: object = {}, config: object = {}) {
  const entities = testEntities()
  entities.put('consumers', { id: 'c', username: 'alice', custom_id: null })
  entities.put('jwt_secrets', { id: 'k', key: 'issuer', algorithm: 'HS256', secret: 's', consumer: { id: 'c' } })
  const checked = checkInsert(schema, { config: { ...config, dpop } })
  assert.ok(checked.ok, JSON.stringify(checked))
  const clock = { now }
  const kept = usesKept(100, () => clock.now)
  configureProofs({ secret: Buffer.from('secret'), uses: { use: async (key, until) => kept.use(key, until) } })
  const jwt = createJwt({ now: () => clock.now, memory: createTokenMemory() })
  const ready = jwt.prepare(checked.value['config'] as Config, { id: 'p', name: 'jwt' })
  const token = (claims: object = { cnf: { jkt: thumbprint(jwkOf(pairs.ES256.publicKey)) } }) =>
    signToken(
      { header: { alg: 'HS256' }, payload: { iss: 'issuer', ...claims } },
      'HS256',
      createSecretKey(Buffer.from('s')),
    )
  const proof = (text: string, { alg = 'ES256', header, claims, key = pairs[alg].privateKey }: ProofOptions = {}) =>
    signToken(
      {
        header: { typ: 'dpop+jwt', alg, jwk: jwkOf(pairs[alg].publicKey), ...header },
        payload: {
          htm: 'GET',
          htu: 'http://api.test/orders',
          iat: clock.now,
          jti: randomUUID(),
          ath: hash(text),
          ...claims,
        },
      },
      alg,
      key,
    )
  const send = async (headers: readonly (readonly [string, string])[], request: RequestDescription = {}) => {
    const path = '/orders?a=b'
    const kong = testKong({ path, ...request, headers: [['Host', 'api.test'], ...headers] }, entities)
    const answer = await jwt.access!(kong, ready)
    assert.equal(kong.identity === undefined, answer !== undefined)
    const challenges = answer?.headers.filter(([name]) => name === 'WWW-Authenticate').map(([, value]) => value)
    const nonce = answer?.headers.find(([name]) => name === 'DPoP-Nonce')?.[1]
    const verdict = answer
      ? [answer.status, (JSON.parse(String(answer.body)) as { message: string }).message]
      : 'let in'
    return { kong, verdict, challenges, nonce }
  }
  const withProof = (text: string, options?: ProofOptions) =>
    send([
      ['Authorization', `DPoP ${text}`],
      ['DPoP', proof(text, options)],
    ])
  return { clock, token, proof, send, withProof }
}

test('a token that is bound to a key is good with a proof of that key, made for this request', async () => {
  for (const alg of ['ES256', 'EdDSA', 'RS256'] as const) {
    const { token, withProof, send } = world({}, { hide_credentials: true })
    const text = token({ cnf: { jkt: thumbprint(jwkOf(pairs[alg].publicKey)) } })
    const { verdict, kong } = await withProof(text, { alg })
    assert.equal(verdict, 'let in', alg)
    assert.equal(kong.upstreamHeaders.get('authorization'), null)
    assert.equal(kong.upstreamHeaders.get('dpop'), null)
    assert.equal((await send([['Authorization', `DPoP ${text}`]])).verdict[0], 401)
  }
})

test('a proof is good once', async () => {
  const { token, proof, send, clock } = world()
  const text = token()
  const headers = [
    ['Authorization', `DPoP ${text}`],
    ['DPoP', proof(text)],
  ] as const
  const verdicts = await Promise.all(Array.from({ length: 10 }, async () => (await send(headers)).verdict))
  assert.equal(verdicts.filter((verdict) => verdict === 'let in').length, 1)
  assert.deepEqual((await send(headers)).verdict, [401, 'The proof was used before'])
  clock.now += 61
  assert.deepEqual((await send(headers)).verdict, [401, 'The proof was made too long ago, or is yet to be made'])
})

const wrong: Readonly<Record<string, readonly [ProofOptions, RegExp]>> = {
  'of another method': [{ claims: { htm: 'POST' } }, /another method/],
  'of another host': [{ claims: { htu: 'http://other.test/orders' } }, /another address/],
  'of another scheme': [{ claims: { htu: 'https://api.test/orders' } }, /another address/],
  'of another path': [{ claims: { htu: 'http://api.test/orders/' } }, /another address/],
  'without an address': [{ claims: { htu: undefined } }, /another address/],
  'for another token': [{ claims: { ath: hash('other') } }, /another token/],
  'for no token': [{ claims: { ath: undefined } }, /another token/],
  'without a name': [{ claims: { jti: '' } }, /no jti/],
  'with too long a name': [{ claims: { jti: 'x'.repeat(257) } }, /no jti/],
  'without a time': [{ claims: { iat: undefined } }, /made too long ago/],
  'made long ago': [{ claims: { iat: now - 61 } }, /made too long ago/],
  'made in the future': [{ claims: { iat: now + 11 } }, /made too long ago/],
  'with a time that is no number': [{ claims: { iat: '1700000000' } }, /made too long ago/],
  'of another type': [{ header: { typ: 'JWT' } }, /no token of the type/],
  'without a key': [{ header: { jwk: undefined } }, /no token of the type/],
  'with a private key': [{ header: { jwk: jwkOf(pairs.ES256.privateKey) } }, /no token of the type/],
  'with a secret for a key': [{ header: { jwk: { kty: 'oct', k: 'c2VjcmV0' } } }, /no token of the type/],
  'with a key that is none': [{ header: { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } } }, /another key/],
  'of another key': [{ alg: 'EdDSA' }, /another key/],
  'signed by another key': [
    { key: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey },
    /signature of the proof is wrong/,
  ],
}

for (const [what, [options, says]] of Object.entries(wrong)) {
  test(`a proof ${what} is none`, async () => {
    const { token, withProof } = world()
    const { verdict, challenges } = await withProof(token(), options)
    assert.equal(verdict[0], 401)
    assert.match(String(verdict[1]), says)
    assert.match(challenges?.[0] ?? '', /^DPoP error="invalid_dpop_proof", error_description="[^"]+", algs="RS256 /)
  })
}

test('two proofs are one too many, and a huge one is not read', async () => {
  const { token, proof, send } = world()
  const text = token()
  const authorization = ['Authorization', `DPoP ${text}`] as const
  const two = await send([authorization, ['DPoP', proof(text)], ['DPoP', proof(text)]])
  assert.match(String(two.verdict[1]), /one DPoP header/)
  const huge = await send([authorization, ['DPoP', proof(text, { claims: { x: 'x'.repeat(10_000) } })]])
  assert.match(String(huge.verdict[1]), /no token of the type/)
})

test('a bound token is no bearer token, an unbound one no DPoP token, and unbound ones can be refused', async () => {
  const { token, send, withProof } = world()
  const bound = await send([['Authorization', `Bearer ${token()}`]])
  assert.deepEqual(bound.verdict, [401, 'The token is bound to a key: send it as DPoP, with a proof'])
  assert.equal((await send([['Authorization', `Bearer ${token({})}`]])).verdict, 'let in')
  assert.deepEqual((await withProof(token({}))).verdict, [401, 'The token is not bound to a key: send it as Bearer'])
  const strict = world({ required: true })
  const unbound = await strict.send([['Authorization', `Bearer ${strict.token({})}`]])
  assert.deepEqual(unbound.verdict, [401, 'The token must be bound to a key'])
  const algs = (await strict.send([])).challenges?.[0] ?? ''
  assert.match(algs, /^DPoP algs="RS256 .*EdDSA"$/)
  assert.deepEqual((await world({ algorithms: ['ES256'] }).send([])).challenges, ['Bearer', 'DPoP algs="ES256"'])
})

test('where a nonce is wanted one is given, it is good for a while, and a new one comes with an answer', async () => {
  const { token, withProof, clock } = world({ nonce: true, max_age: 600 })
  const first = await withProof(token())
  assert.match(first.challenges?.[0] ?? '', /error="use_dpop_nonce"/)
  const { nonce } = first
  assert.ok(nonce)
  const good = await withProof(token(), { claims: { nonce } })
  assert.equal(good.verdict, 'let in')
  clock.now += 300
  const late = await withProof(token(), { claims: { nonce } })
  assert.equal(late.verdict, 'let in')
  const fresh = late.kong.responseHeaders.get('dpop-nonce')?.[0]
  assert.notEqual(fresh, undefined)
  assert.notEqual(fresh, nonce)
  clock.now += 300
  assert.equal((await withProof(token(), { claims: { nonce } })).verdict[0], 401)
  assert.equal((await withProof(token(), { claims: { nonce: fresh } })).verdict, 'let in')
  assert.equal((await withProof(token(), { claims: { nonce: 'made up' } })).verdict[0], 401)
})

test('the addresses that clients know can be given', async () => {
  const { token, withProof } = world({ origins: ['https://api.example.com', 'https://other.example.com:8443'] })
  const htu = (url: string) => withProof(token(), { claims: { htu: url } })
  assert.equal((await htu('https://API.example.com:443/orders#x')).verdict, 'let in')
  assert.equal((await htu('https://other.example.com:8443/orders?q')).verdict, 'let in')
  assert.equal((await htu('http://api.test/orders')).verdict[0], 401)
})

test('the memory of proofs is bounded, and forgets what is over', () => {
  const clock = { now: 100 }
  const uses = usesKept(2, () => clock.now)
  assert.deepEqual(
    [uses.use('a', 110), uses.use('a', 110), uses.use('b', 120), uses.use('c', 120)],
    ['first', 'again', 'first', 'full'],
  )
  clock.now = 111
  assert.deepEqual([uses.use('c', 120), uses.use('a', 130)], ['first', 'full'])
})

test('nonces of one secret are good nowhere else', () => {
  const [one, other] = [noncesOf(Buffer.from('one')), noncesOf(Buffer.from('other'))]
  assert.ok(one.isGood(one.at(now), now))
  assert.ok(!one.isGood(other.at(now), now))
  for (const nonce of [undefined, 5, '', null]) assert.ok(!one.isGood(nonce, now))
})
