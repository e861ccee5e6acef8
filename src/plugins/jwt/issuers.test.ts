import assert from 'node:assert/strict'
import { createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import type { Answer } from '../../pdk/kong.ts'
import { testEntities, testKong } from '../../pdk/testing.ts'
import { checkInsert } from '../../schema/check.ts'
import { serveEntity } from '../../schema/serve.ts'
import { createJwt } from './handler.ts'
import { adoptKeys, configureKeySource } from './key-sets.ts'
import { jwt_secrets } from './credentials.ts'
import type { Config } from './ready.ts'
import { schema } from './schema.ts'
import { signToken } from './sign.ts'
import { observedCounts } from './observed.ts'
import { createTokenMemory } from './tokens.ts'

const now = 1_700_000_000
const [first, second, weak] = [2048, 2048, 1024].map((modulusLength) => generateKeyPairSync('rsa', { modulusLength }))
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const jwk = (key: KeyObject, rest: object) => ({ ...key.export({ format: 'jwk' }), ...rest })

let issuers = 0

/** A gateway that trusts an issuer of its own, and what the issuer publishes. */
function world(config: object = {}, issuerConfig: object = {}, asCredential = false) {
  const issuer = `https://idp-${++issuers}.test`
  const published: { keys: object[]; asked: number } = {
    keys: [jwk(first!.publicKey, { kid: 'a', use: 'sig' })],
    asked: 0,
  }
  const entities = testEntities()
  entities.put('consumers', { id: 'b0b00000-0000-4000-8000-000000000000', username: 'bob', custom_id: null })
  const own: object = asCredential
    ? config
    : {
        issuers: [{ issuer, jwks_uri: `${issuer}/keys`, ...issuerConfig }],
        consumer_claim: ['sub'],
        ...config,
      }
  if (asCredential) {
    const secret = {
      key: issuer,
      jwks_uri: `${issuer}/keys`,
      secret: 'unused',
      consumer: { id: 'b0b00000-0000-4000-8000-000000000000' },
    }
    const made = checkInsert(jwt_secrets, secret)
    assert.ok(made.ok, JSON.stringify(made))
    entities.put('jwt_secrets', { ...made.value, id: 'credential' })
  }
  const checked = checkInsert(schema, { config: own })
  assert.ok(checked.ok, JSON.stringify(checked))
  let address = ''
  const publish = () => adoptKeys(address, JSON.stringify(published.keys))
  configureKeySource({
    follow: (followed) => void (address = followed.includes(issuer) ? followed : address),
    ask: async () => {
      published.asked++
      publish()
    },
  })
  const clock = { now }
  const jwt = createJwt({ now: () => clock.now, memory: createTokenMemory() })
  const ready = jwt.prepare(checked.value['config'] as Config, { id: 'plugin', name: 'jwt' })
  const token = (
    header: { alg?: string; kid?: unknown } = {},
    claims: object = {},
    key: KeyObject = first!.privateKey,
  ) =>
    signToken(
      {
        header: { alg: 'RS256', kid: 'a', ...header },
        payload: { iss: issuer, sub: 'bob', exp: now + 600, ...claims },
      },
      header.alg ?? 'RS256',
      key,
    )
  const send = async (text: string) => {
    const kong = testKong({ headers: [['Authorization', `Bearer ${text}`]] }, entities)
    const outcome = jwt.access!(kong, ready)
    const waited = outcome instanceof Promise
    return { kong, waited, answer: (await outcome) as Answer | undefined }
  }
  const verdict = async (text: string) => {
    const { answer, kong } = await send(text)
    if (answer) return JSON.parse(String(answer.body)) as unknown
    return kong.identity?.consumer?.['username'] ?? 'virtual'
  }
  return { issuer, published, publish, clock, token, send, verdict, entities }
}

const message = (text: string) => ({ message: text })
const noKey = message('No key found for the token')

test('a token is verified with the key that its issuer publishes, and its consumer found by a claim', async () => {
  const { token, send, publish } = world()
  publish()
  const text = token()
  for (const round of ['verified', 'remembered']) {
    const { kong, answer, waited } = await send(text)
    assert.deepEqual([answer, waited], [undefined, false], round)
    assert.equal(kong.identity?.consumer?.['username'], 'bob')
    assert.ok(kong.client.get_credential(), 'other plugins see that somebody is there')
  }
})

test('the first token waits for the first keys, and a new key is found without hands', async () => {
  const { token, send, published, verdict } = world()
  const { waited, answer } = await send(token())
  assert.deepEqual([waited, answer, published.asked], [true, undefined, 1])
  published.keys.push(jwk(ec.publicKey, { kid: 'b', alg: 'ES256' }))
  assert.equal(await verdict(token({ alg: 'ES256', kid: 'b' }, {}, ec.privateKey)), 'bob')
  assert.equal(await verdict(token()), 'bob', 'the old one is good beside the new one')
  assert.equal(published.asked, 2)
})

test('when an issuer takes a key back its tokens are refused, those of keys that stay are not looked at again', async () => {
  const { token, verdict, published, publish } = world()
  published.keys.push(jwk(second!.publicKey, { kid: 'b' }))
  publish()
  const [old, other] = [token(), token({ kid: 'b' }, {}, second!.privateKey)]
  assert.deepEqual([await verdict(old), await verdict(other)], ['bob', 'bob'])
  published.keys.shift()
  publish()
  assert.deepEqual([await verdict(old), await verdict(other)], [noKey, 'bob'])
})

test('a token of an issuer always has an end, and a beginning where it says so', async () => {
  const { token, verdict, publish, clock } = world({ leeway: 5 })
  publish()
  assert.deepEqual(await verdict(token({}, { exp: undefined })), { exp: 'must be a number' })
  assert.deepEqual(await verdict(token({}, { nbf: now + 6 })), { nbf: 'token not valid yet' })
  assert.deepEqual(await verdict(token({}, { nbf: 'x' })), { nbf: 'must be a number' })
  const text = token()
  assert.equal(await verdict(text), 'bob')
  clock.now += 605
  assert.deepEqual(await verdict(text), { exp: 'token expired' })
})

test('keys that are not meant for it are not used: symmetric, private, weak, for encryption, of another algorithm', async () => {
  const { token, verdict, published, publish } = world()
  const certificate = { x5c: ['bm90IGEgY2VydGlmaWNhdGU='] }
  for (const key of [
    { kty: 'oct', k: Buffer.from('secret').toString('base64url'), kid: 'a' },
    jwk(first!.privateKey, { kid: 'a' }),
    jwk(first!.publicKey, { kid: 'a', use: 'enc' }),
    jwk(first!.publicKey, { kid: 'a', key_ops: ['encrypt'] }),
    jwk(first!.publicKey, { kid: 'a', alg: 'PS256' }),
    jwk(first!.publicKey, { kid: 'a', ...certificate }),
    jwk(ec.publicKey, { kid: 'a' }),
    { kty: 'RSA', kid: 'a' },
    null,
    'a',
  ]) {
    published.keys = [key as object]
    publish()
    assert.deepEqual(await verdict(token()), noKey, JSON.stringify(key))
  }
  published.keys = [jwk(weak!.publicKey, { kid: 'a' })]
  publish()
  assert.deepEqual(await verdict(token({}, {}, weak!.privateKey)), noKey)
})

test('a public key is no secret, and only the algorithms of the config are taken', async () => {
  const { token, verdict, publish } = world({}, { algorithms: ['RS256'] })
  publish()
  const pem = createSecretKey(Buffer.from(first!.publicKey.export({ type: 'spki', format: 'pem' })))
  assert.deepEqual(await verdict(token({ alg: 'HS256' }, {}, pem)), message('Invalid algorithm'))
  assert.deepEqual(await verdict(token({ alg: 'RS512' })), message('Invalid algorithm'))
  assert.deepEqual(await verdict(token({}, {}, second!.privateKey)), message('Invalid signature'))
})

test('without a kid the issuer’s few keys are tried, and no kid of a stranger names anything else', async () => {
  const { token, verdict, published, publish } = world()
  published.keys = [jwk(second!.publicKey, { kid: 'x' }), jwk(first!.publicKey, { kid: 'y' })]
  publish()
  assert.equal(await verdict(token({ kid: undefined })), 'bob')
  for (const kid of ['../../keys/a', "' OR 1=1", '__proto__', 0, null, {}, ['y'], ''])
    assert.deepEqual(await verdict(token({ kid })), noKey, JSON.stringify(kid))
  published.keys = Array.from({ length: 6 }, (_, at) => jwk(first!.publicKey, { kid: `k${at}` }))
  publish()
  assert.deepEqual(await verdict(token({ kid: undefined })), noKey)
})

test('what no issuer of the config vouches for is looked up among the credentials, as ever', async () => {
  const { token, verdict, publish, entities } = world({ key_claim_name: 'iss' })
  publish()
  const iss = 'a-credential'
  const owner = { id: 'a11ce000-0000-4000-8000-000000000000' }
  entities.put('consumers', { ...owner, username: 'alice', custom_id: null })
  entities.put('jwt_secrets', {
    id: 'c',
    key: iss,
    secret: 's',
    algorithm: 'HS256',
    consumer: owner,
    rsa_public_key: null,
  })
  const secret = createSecretKey(Buffer.from('s'))
  // The claim says bob: issuers are believed in that, a credential's owner is not.
  assert.equal(await verdict(token({ alg: 'HS256' }, { iss }, secret)), 'alice')
  assert.deepEqual(
    await verdict(token({}, { iss: 'https://evil.test' })),
    message("No credentials found for given 'iss'"),
  )
})

test('a stranger who may not be a consumer is known by his claims where that is enough', async () => {
  const { token, send, publish, issuer } = world({ consumer_optional: true, audience_required: ['orders'] })
  publish()
  const { kong, answer } = await send(token({}, { sub: 'stranger', aud: 'orders' }))
  assert.equal(answer, undefined)
  assert.equal(kong.identity?.consumer, null)
  assert.deepEqual([kong.identity?.credential?.['iss'], kong.identity?.credential?.['sub']], [issuer, 'stranger'])
  assert.equal((await send(token({}, { sub: 'stranger', aud: 'billing' }))).answer?.status, 401)
})

test('issuers want to know whose the tokens are', () => {
  const checked = checkInsert(schema, { config: { issuers: [{ issuer: 'https://idp.test' }] } })
  assert.deepEqual(!checked.ok && checked.errors, {
    config: 'issuers needs consumer_claim, which says whose token it is, or consumer_optional = true',
  })
  const wrong = checkInsert(schema, {
    config: {
      consumer_optional: true,
      issuers: [{ issuer: 'x', jwks_uri: 'file:///etc/passwd', algorithms: ['HS256'] }],
    },
  })
  assert.match(JSON.stringify(!wrong.ok && wrong.errors), /expected an http or https URL.*expected one of/)
})

test('a credential may stand for an issuer: its keys are fetched, its end is looked at, and its consumer is the credential’s', async () => {
  const { token, verdict, send, published, publish, clock, entities } = world({}, {}, true)
  assert.equal(await verdict(token()), 'bob', 'the keys are fetched when they are first asked for')
  assert.equal((await send(token())).waited, false)
  assert.deepEqual(await verdict(token({}, { exp: undefined })), { exp: 'must be a number' })
  const text = token({}, { jti: 'remembered' })
  assert.equal(await verdict(text), 'bob')
  published.keys = [jwk(second!.publicKey, { kid: 'b' })]
  publish()
  assert.deepEqual(await verdict(text), noKey, 'remembered tokens go with the key')
  const fresh = token({ kid: 'b' }, {}, second!.privateKey)
  assert.equal(await verdict(fresh), 'bob')
  assert.deepEqual(await verdict(token({ kid: 'b' }, {}, first!.privateKey)), message('Invalid signature'))
  const secret = createSecretKey(Buffer.from('unused'))
  assert.deepEqual(await verdict(token({ alg: 'HS256', kid: 'b' }, {}, secret)), message('Invalid algorithm'))
  clock.now += 600
  assert.deepEqual(await verdict(fresh), { exp: 'token expired' })
  clock.now -= 600
  entities.delete('jwt_secrets', 'credential')
  assert.deepEqual(await verdict(fresh), message("No credentials found for given 'iss'"))
})

test('what a credential is served as and written with is Kong’s until it stands for an issuer', () => {
  const plain = checkInsert(jwt_secrets, {
    key: 'a',
    secret: 's',
    consumer: { id: 'b0b00000-0000-4000-8000-000000000000' },
  })
  assert.ok(plain.ok)
  assert.deepEqual(
    Object.keys(plain.value).filter((name) => /uri/.test(name)),
    [],
  )
  assert.ok(!JSON.stringify(serveEntity(jwt_secrets)).includes('_uri'))
})

test('in mode observe an issuer’s token that has ended is counted, though Kong’s part does not look at its end', async () => {
  const { token, verdict, publish, entities, issuer, clock } = world({ mode: 'observe' })
  publish()
  const rsa_public_key = first!.publicKey.export({ type: 'spki', format: 'pem' })
  const consumer = { id: 'b0b00000-0000-4000-8000-000000000000' }
  const made = checkInsert(jwt_secrets, { key: issuer, algorithm: 'RS256', rsa_public_key, consumer })
  assert.ok(made.ok, JSON.stringify(made))
  entities.put('jwt_secrets', { ...made.value, id: 'credential' })
  const counted = () =>
    observedCounts()
      .filter(({ plugin, reason }) => plugin === 'plugin' && reason === 'times')
      .reduce((sum, { count }) => sum + count, 0)
  const before = counted()
  const text = token()
  assert.deepEqual([await verdict(text), counted() - before], ['bob', 0])
  clock.now += 601
  assert.deepEqual([await verdict(text), counted() - before], ['bob', 1], 'remembered')
  assert.deepEqual([await verdict(token({}, { jti: 'new' })), counted() - before], ['bob', 2])
})
