import assert from 'node:assert/strict'
import { createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Answer } from '../../pdk/kong.ts'
import { testEntities, testKong, type RequestDescription, type TestEntities, type TestKong } from '../../pdk/testing.ts'
import { algorithms } from './algorithms.ts'
import { createJwt } from './handler.ts'
import type { Config } from './ready.ts'
import { signToken } from './sign.ts'
import { createTokenMemory } from './tokens.ts'

const defaults: Config = {
  uri_param_names: ['jwt'],
  cookie_names: [],
  header_names: ['authorization'],
  key_claim_name: 'iss',
  secret_is_base64: false,
  claims_to_verify: null,
  maximum_expiration: 0,
  anonymous: null,
  run_on_preflight: true,
  realm: null,
}

const secretOf = (text: string) => createSecretKey(Buffer.from(text))
const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const ed25519 = generateKeyPairSync('ed25519')
const ed448 = generateKeyPairSync('ed448')

interface World {
  readonly entities: TestEntities
  /** The clock that the plugin reads; a test may turn it. */
  readonly clock: { now: number }
  /** Sends a request through a plugin with that config: prepared once for each config object. */
  readonly send: (
    request: RequestDescription,
    config?: Partial<Config>,
  ) => { readonly answer: Answer | undefined; readonly kong: TestKong }
  /** The body of the 401 that a token gets, or the name of the consumer and the key that it is let in with. */
  readonly verdict: (token: string, config?: Partial<Config>) => unknown
}

const alice = { id: 'a11ce000-0000-4000-8000-000000000000', username: 'alice', custom_id: 'cid-a' }
const bob = { id: 'b0b00000-0000-4000-8000-000000000000', username: 'bob', custom_id: null }
const aliceKey = credential('alice-key', alice, { secret: 'alice-secret' })

function credential(key: string, consumer: { readonly id: string }, fields: object) {
  return {
    id: `id-of-${key}`,
    key,
    consumer: { id: consumer.id },
    algorithm: 'HS256',
    secret: null,
    rsa_public_key: null,
    ...fields,
  }
}

function world(): World {
  const entities = testEntities()
  for (const consumer of [alice, bob]) entities.put('consumers', consumer)
  entities.put('jwt_secrets', aliceKey)
  const clock = { now: 1_700_000_000 }
  const jwt = createJwt({ now: () => clock.now, memory: createTokenMemory() })
  const prepared = new Map<Partial<Config>, ReturnType<typeof jwt.prepare>>()
  const send: World['send'] = (request, config = defaults) => {
    const ready = prepared.get(config) ?? jwt.prepare({ ...defaults, ...config }, { id: 'plugin', name: 'jwt' })
    prepared.set(config, ready)
    const kong = testKong(request, entities)
    return { answer: jwt.access!(kong, ready) as Answer | undefined, kong }
  }
  const verdict: World['verdict'] = (token, config) => {
    const { answer, kong } = send({ headers: [['Authorization', `Bearer ${token}`]] }, config)
    if (answer === undefined)
      return `${String(kong.identity?.consumer?.['username'])} by ${String(kong.identity?.credential?.['key'])}`
    assert.equal(answer.status, 401)
    assert.equal(kong.identity, undefined)
    return JSON.parse(String(answer.body))
  }
  return { entities, clock, send, verdict }
}

const hs256 = (
  payload: object | string,
  secret = 'alice-secret',
  header: object | string = { alg: 'HS256', typ: 'JWT' },
) => signToken({ header, payload }, 'HS256', secretOf(secret))

const message = (text: string) => ({ message: text })
const aliceToken = hs256({ iss: 'alice-key' })

test('a good token lets its consumer in, and tells the upstream who it is', () => {
  const { send } = world()
  const { answer, kong } = send({ headers: [['Authorization', `Bearer ${aliceToken}`]] })
  assert.equal(answer, undefined)
  assert.deepEqual(kong.identity?.headers, [
    ['X-Consumer-ID', alice.id],
    ['X-Consumer-Custom-ID', 'cid-a'],
    ['X-Consumer-Username', 'alice'],
    ['X-Credential-Identifier', 'alice-key'],
  ])
})

test('it runs before the other plugins that Kong runs after it', () => {
  const { priority, version } = createJwt()
  assert.deepEqual({ priority, version }, { priority: 1450, version: '3.10.0' })
})

const challenges: readonly (readonly [realm: string | null, path: string, challenge: string])[] = [
  [null, '/', 'Bearer'],
  [null, '/?jwt=x', 'Bearer error="invalid_token"'],
  [null, '/?jwt', 'Bearer error="invalid_token"'],
  ['my realm', '/', 'Bearer realm="my realm"'],
  ['my realm', '/?jwt=x', 'Bearer realm="my realm", error="invalid_token"'],
  // What is beyond ASCII becomes UTF-8 where the line is written.
  ['clé', '/', 'Bearer realm="clé"'],
  ['a "b" \\ c\r\nSet-Cookie: x', '/', 'Bearer realm="a \\"b\\" \\\\ cSet-Cookie: x"'],
]

for (const [realm, path, challenge] of challenges) {
  test(`with the realm ${JSON.stringify(realm)}, ${path} is challenged with ${challenge}`, () => {
    const { answer } = world().send({ path }, { realm })
    assert.deepEqual(answer?.headers, [
      ['Content-Type', 'application/json; charset=utf-8'],
      ['WWW-Authenticate', challenge],
    ])
  })
}

test('a request without one readable token is told which it is', () => {
  const { send } = world()
  const body = (request: RequestDescription) => JSON.parse(String(send(request).answer?.body))
  assert.deepEqual(body({}), message('Unauthorized'))
  assert.deepEqual(body({ path: '/?jwt=' }), message('Unauthorized'))
  assert.deepEqual(body({ path: '/?jwt' }), message('Unrecognizable token'))
  assert.deepEqual(body({ path: '/?jwt=a&jwt=b' }), message('Multiple tokens provided'))
  assert.equal(
    send({ path: `/?jwt=${aliceToken}`, headers: [['Authorization', `Bearer ${aliceToken}`]] }).answer,
    undefined,
  )
})

// In the order of the checks: each token has everything wrong that the rows below it tell of.
const orderOfChecks: readonly (readonly [name: string, token: string, body: object])[] = [
  ['the JSON', 'a.b.c', message('Bad token; invalid JSON')],
  [
    'the algorithm',
    signToken({ header: { alg: 'none' }, payload: {} }, 'HS256', secretOf('wrong')) + '!',
    message('Bad token; invalid alg'),
  ],
  ['the text of the signature', `${hs256({})}!`, message('Bad token; invalid signature')],
  ['that there is a key', hs256({ exp: 1 }, 'wrong'), message("No mandatory 'iss' in claims")],
  ['that the key is a text', hs256({ iss: '', exp: 1 }, 'wrong'), message("Invalid 'iss' in claims")],
  ['that the key is known', hs256({ iss: 'nobody', exp: 1 }, 'wrong'), message("No credentials found for given 'iss'")],
  [
    "the credential's algorithm",
    signToken({ header: { alg: 'HS384' }, payload: { iss: 'alice-key', exp: 1 } }, 'HS384', secretOf('wrong')),
    message('Invalid algorithm'),
  ],
  ['the signature', hs256({ iss: 'alice-key', exp: 1 }, 'wrong'), message('Invalid signature')],
  ['the times', hs256({ iss: 'alice-key', exp: 1, nbf: 9e9 }), { exp: 'token expired', nbf: 'token not valid yet' }],
  [
    'how far ahead exp may lie',
    hs256({ iss: 'alice-key', exp: 9e9, nbf: 1 }),
    { exp: 'exceeds maximum allowed expiration' },
  ],
]

for (const [name, token, body] of orderOfChecks) {
  test(`of several things wrong with a token the answer tells ${name} first`, () => {
    const config: Partial<Config> = { claims_to_verify: ['exp', 'nbf'], maximum_expiration: 300 }
    assert.deepEqual(world().verdict(token, config), body)
  })
}

test('a key that is no text is refused, where Kong fails', () => {
  const { verdict } = world()
  for (const iss of [null, 42, 0, true, [], ['alice-key'], {}, '', '\ud800']) {
    assert.deepEqual(verdict(hs256({ iss })), message("Invalid 'iss' in claims"), JSON.stringify(iss))
  }
  assert.deepEqual(verdict(hs256({ iss: false })), message("No mandatory 'iss' in claims"))
})

test('claims that are no object name no key, whatever the header names', () => {
  const { verdict } = world()
  for (const claims of ['null', '1', '"text"', '[]', '["alice-key"]', 'true']) {
    assert.deepEqual(verdict(hs256(claims)), message("No mandatory 'iss' in claims"))
  }
  assert.deepEqual(verdict(hs256('false')), message('Bad token; invalid claims'))
})

test('the key is looked for in the claims, then in the header', () => {
  const { verdict, entities } = world()
  entities.put('jwt_secrets', credential('bob-key', bob, { secret: 'bob-secret' }))
  const header = { alg: 'HS256', iss: 'bob-key', kid: 'bob-key' }
  assert.equal(verdict(hs256({}, 'bob-secret', header)), 'bob by bob-key')
  assert.equal(verdict(hs256({ iss: 'alice-key' }, 'alice-secret', header)), 'alice by alice-key')
  assert.deepEqual(verdict(hs256({ iss: 'alice-key' }, 'bob-secret', header)), message('Invalid signature'))
  assert.equal(verdict(hs256({}, 'bob-secret', header), { key_claim_name: 'kid' }), 'bob by bob-key')
  assert.deepEqual(verdict(aliceToken, { key_claim_name: 'kid' }), message("No mandatory 'kid' in claims"))
})

test('a claim name that every object inherits is found in none', () => {
  for (const key_claim_name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    assert.deepEqual(
      world().verdict(aliceToken, { key_claim_name }),
      message(`No mandatory '${key_claim_name}' in claims`),
    )
  }
  const token = hs256('{"__proto__":"alice-key"}')
  assert.equal(world().verdict(token, { key_claim_name: '__proto__' }), 'alice by alice-key')
})

test('every algorithm lets in what its key signed', () => {
  const { verdict, entities } = world()
  const pairs: Record<string, { readonly privateKey: KeyObject; readonly publicKey: KeyObject }> = {
    RS: rsa,
    PS: rsa,
    ES256: ec,
    ES384: generateKeyPairSync('ec', { namedCurve: 'secp384r1' }),
    ES512: generateKeyPairSync('ec', { namedCurve: 'secp521r1' }),
    EdDSA: ed448,
  }
  for (const algorithm of algorithms.keys()) {
    const pair = pairs[algorithm] ?? pairs[algorithm.slice(0, 2)]
    entities.put(
      'jwt_secrets',
      credential(algorithm, alice, { algorithm, secret: 'a secret', rsa_public_key: pair && pem(pair.publicKey) }),
    )
    const token = signToken(
      { header: { alg: algorithm }, payload: { iss: algorithm } },
      algorithm,
      pair?.privateKey ?? secretOf('a secret'),
    )
    assert.equal(verdict(token), `alice by ${algorithm}`)
    assert.equal(verdict(token), `alice by ${algorithm}`)
    assert.deepEqual(verdict(`${token.slice(0, -8)}AAAAAAAA`), message('Invalid signature'))
  }
})

test('a public key is never taken as a secret', () => {
  const { verdict, entities } = world()
  const publicPem = pem(rsa.publicKey)
  entities.put(
    'jwt_secrets',
    credential('rs', alice, { algorithm: 'RS256', rsa_public_key: publicPem, secret: publicPem }),
  )
  for (const secret of [publicPem, publicPem.trim(), publicPem.replaceAll('\n', '')]) {
    assert.deepEqual(verdict(hs256({ iss: 'rs' }, secret)), message('Invalid algorithm'))
    assert.deepEqual(verdict(hs256({ iss: 'rs' }, secret, { alg: 'RS256' })), message('Invalid signature'))
  }
})

test('a credential whose key does not suit its algorithm lets nothing in', () => {
  const { verdict, entities } = world()
  const broken: readonly (readonly [algorithm: string, fields: object, told?: string])[] = [
    ['HS256', { secret: null }],
    ['HS256', { secret: '' }],
    ['ES256', { rsa_public_key: null }],
    ['ES256', { rsa_public_key: 'junk' }],
    ['ES256', { rsa_public_key: pem(rsa.publicKey) }, 'Invalid signature'],
    ['ES256', { rsa_public_key: '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n' }],
    ['ES384', { rsa_public_key: pem(ec.publicKey) }, 'Invalid signature'],
    ['RS256', { rsa_public_key: pem(ec.publicKey) }, 'Invalid signature'],
    ['PS256', { rsa_public_key: pem(ed25519.publicKey) }, 'Invalid signature'],
    ['EdDSA', { rsa_public_key: pem(rsa.publicKey) }, 'Invalid signature'],
    ['EdDSA', { rsa_public_key: pem(generateKeyPairSync('x25519').publicKey) }, 'Invalid signature'],
  ]
  for (const [algorithm, fields, told = 'Invalid key/secret'] of broken) {
    entities.put('jwt_secrets', credential('broken', alice, { algorithm, ...fields }))
    const token = `${hs256({ iss: 'broken' }, 'any', { alg: algorithm }).split('.').slice(0, 2).join('.')}.AAAA`
    assert.deepEqual(verdict(token), message(told), `${algorithm} ${JSON.stringify(fields)}`)
  }
})

test('a reference to a vault is no secret, since everyone who reads it could sign with it', () => {
  const { verdict, entities } = world()
  const secret = '{vault://env/ALICE_SECRET}'
  entities.put('jwt_secrets', credential('referring', alice, { secret }))
  assert.deepEqual(verdict(hs256({ iss: 'referring' }, secret)), message('Invalid key/secret'))
})

test('an RSA key too short for its algorithm lets nothing in, and is no failure', () => {
  const { verdict, entities } = world()
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 512 })
  for (const alg of ['RS512', 'PS512', 'PS256']) {
    entities.put('jwt_secrets', credential('short', alice, { algorithm: alg, rsa_public_key: pem(publicKey) }))
    const token = signToken({ header: { alg }, payload: { iss: 'short' } }, 'RS256', privateKey)
    assert.deepEqual(verdict(token), message('Invalid signature'))
  }
})

test('keys, and where to get them, that a token brings along are ignored', () => {
  const { verdict, entities } = world()
  entities.put('jwt_secrets', credential('ec', alice, { algorithm: 'ES256', rsa_public_key: pem(ec.publicKey) }))
  const stranger = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const header = {
    alg: 'ES256',
    kid: '../../dev/null',
    jwk: stranger.publicKey.export({ format: 'jwk' }),
    jku: 'http://127.0.0.1:1/keys',
    x5u: 'http://127.0.0.1:1/chain',
    x5c: [pem(stranger.publicKey)],
  }
  assert.deepEqual(
    verdict(signToken({ header, payload: { iss: 'ec' } }, 'ES256', stranger.privateKey)),
    message('Invalid signature'),
  )
  assert.equal(verdict(signToken({ header, payload: { iss: 'ec' } }, 'ES256', ec.privateKey)), 'alice by ec')
})

test('an extension marked critical is refused, even in a token that is signed rightly', () => {
  const token = hs256({ iss: 'alice-key' }, 'alice-secret', { alg: 'HS256', crit: ['b64'], b64: false })
  assert.deepEqual(world().verdict(token), message('Bad token; invalid crit'))
})

test('a secret may be kept as base64, in either alphabet, padded or not', () => {
  const { verdict, entities } = world()
  const key = Buffer.of(0xfb, 0xff, 0xfe, 0x00, 0x10)
  for (const secret of ['+//+ABA=', '+//+ABA', '-__-ABA', '-__-ABA=']) {
    entities.put('jwt_secrets', credential('b64', alice, { secret }))
    const header = { alg: 'HS256' }
    const token = signToken({ header, payload: { iss: 'b64' } }, 'HS256', createSecretKey(key))
    assert.equal(verdict(token, { secret_is_base64: true }), 'alice by b64')
    assert.deepEqual(verdict(token), message('Invalid signature'))
    assert.equal(verdict(hs256({ iss: 'b64' }, secret)), 'alice by b64')
  }
  for (const secret of ['not base64!', '=', '==']) {
    entities.put('jwt_secrets', credential('b64', alice, { secret }))
    assert.deepEqual(verdict(hs256({ iss: 'b64' }, secret), { secret_is_base64: true }), message('Invalid key/secret'))
  }
})

test('secret_is_base64 changes nothing for public keys', () => {
  const { verdict, entities } = world()
  entities.put('jwt_secrets', credential('rs', alice, { algorithm: 'RS256', rsa_public_key: pem(rsa.publicKey) }))
  const token = signToken({ header: { alg: 'RS256' }, payload: { iss: 'rs' } }, 'RS256', rsa.privateKey)
  assert.equal(verdict(token, { secret_is_base64: true }), 'alice by rs')
})

test('the times of a remembered token are looked at every time', () => {
  const { verdict, clock } = world()
  const config: Partial<Config> = { claims_to_verify: ['exp', 'nbf'], maximum_expiration: 300 }
  const start = clock.now
  const token = hs256({ iss: 'alice-key', nbf: start, exp: start + 200 })
  assert.equal(verdict(token, config), 'alice by alice-key')
  clock.now = start + 199
  assert.equal(verdict(token, config), 'alice by alice-key')
  clock.now = start + 200
  assert.deepEqual(verdict(token, config), { exp: 'token expired' })
  clock.now = start - 1
  assert.deepEqual(verdict(token, config), { nbf: 'token not valid yet' })
  clock.now = start - 101
  assert.deepEqual(verdict(token, config), { nbf: 'token not valid yet' })
  assert.deepEqual(verdict(token, { claims_to_verify: ['exp'], maximum_expiration: 300 }), {
    exp: 'exceeds maximum allowed expiration',
  })
  clock.now = start + 10
  assert.equal(verdict(token, config), 'alice by alice-key')
})

test('a token whose times were wrong when it came first is let in when they are right', () => {
  const { verdict, clock } = world()
  const config: Partial<Config> = { claims_to_verify: ['nbf'] }
  const token = hs256({ iss: 'alice-key', nbf: clock.now + 1 })
  assert.deepEqual(verdict(token, config), { nbf: 'token not valid yet' })
  clock.now++
  assert.equal(verdict(token, config), 'alice by alice-key')
})

test('what is remembered needs no look at the entities', () => {
  const { verdict, entities } = world()
  verdict(aliceToken)
  const { reads } = entities
  assert.equal(verdict(aliceToken), 'alice by alice-key')
  assert.equal(entities.reads, reads)
})

const changes: Readonly<Record<string, readonly [change: (entities: TestEntities) => void, after: unknown]>> = {
  'a deleted credential': [
    (entities) => entities.delete('jwt_secrets', aliceKey.id),
    message("No credentials found for given 'iss'"),
  ],
  'a deleted consumer': [
    (entities) => {
      entities.delete('consumers', alice.id)
      entities.delete('jwt_secrets', aliceKey.id)
    },
    message("No credentials found for given 'iss'"),
  ],
  'a consumer that is gone alone': [
    (entities) => entities.delete('consumers', alice.id),
    message("Could not find consumer for the given 'iss'"),
  ],
  'a credential with another secret': [
    (entities) => entities.put('jwt_secrets', { ...aliceKey, secret: 'another' }),
    message('Invalid signature'),
  ],
  'a credential with another algorithm': [
    (entities) => entities.put('jwt_secrets', { ...aliceKey, algorithm: 'HS512' }),
    message('Invalid algorithm'),
  ],
  'a credential with another key': [
    (entities) => entities.put('jwt_secrets', { ...aliceKey, key: 'renamed' }),
    message("No credentials found for given 'iss'"),
  ],
  'a credential moved to another consumer': [
    (entities) => entities.put('jwt_secrets', { ...aliceKey, consumer: { id: bob.id } }),
    'bob by alice-key',
  ],
  'a credential deleted and made anew for another consumer under the same id and key': [
    (entities) => {
      entities.delete('jwt_secrets', aliceKey.id)
      entities.put('jwt_secrets', { ...aliceKey, consumer: { id: bob.id } })
    },
    'bob by alice-key',
  ],
  'a credential deleted and made anew under another id with another secret': [
    (entities) => {
      entities.delete('jwt_secrets', aliceKey.id)
      entities.put('jwt_secrets', { ...aliceKey, id: 'another-id', secret: 'another' })
    },
    message('Invalid signature'),
  ],
  'a renamed consumer': [
    (entities) => entities.put('consumers', { ...alice, username: 'alicia' }),
    'alicia by alice-key',
  ],
}

for (const [what, [change, after]] of Object.entries(changes)) {
  test(`${what} is seen by the next request with a remembered token`, () => {
    const { verdict, entities } = world()
    assert.equal(verdict(aliceToken), 'alice by alice-key')
    change(entities)
    assert.deepEqual(verdict(aliceToken), after)
    assert.deepEqual(verdict(aliceToken), after)
  })
}

test('a change that is taken back is seen, too', () => {
  const { verdict, entities } = world()
  verdict(aliceToken)
  entities.put('jwt_secrets', { ...aliceKey, secret: 'another' })
  assert.deepEqual(verdict(aliceToken), message('Invalid signature'))
  entities.put('jwt_secrets', aliceKey)
  assert.equal(verdict(aliceToken), 'alice by alice-key')
})

test('one token under two configs is whoever each config says', () => {
  const { verdict, entities } = world()
  entities.put('jwt_secrets', credential('bob-key', bob, { secret: 'alice-secret' }))
  const token = hs256({ iss: 'alice-key', sub: 'bob-key', both: 'nobody' })
  const [byIss, bySub, byBoth] = [{ key_claim_name: 'iss' }, { key_claim_name: 'sub' }, { key_claim_name: 'both' }]
  for (const _ of [1, 2, 3]) {
    assert.equal(verdict(token, byIss), 'alice by alice-key')
    assert.equal(verdict(token, bySub), 'bob by bob-key')
    assert.deepEqual(verdict(token, byBoth), message("No credentials found for given 'both'"))
    assert.deepEqual(verdict(token, { ...byIss, secret_is_base64: true }), message('Invalid signature'))
  }
})

test('a bad signature is refused however often it comes, and however alike it is to a remembered token', () => {
  const { verdict } = world()
  assert.equal(verdict(aliceToken), 'alice by alice-key')
  const parts = aliceToken.split('.')
  const claims = Buffer.from('{"iss": "alice-key"}').toString('base64url')
  for (const _ of [1, 2]) {
    assert.deepEqual(verdict(`${parts[0]}.${claims}.${parts[2]}`), message('Invalid signature'))
    assert.deepEqual(verdict(`${parts[0]}.${parts[1]}.`), message('Invalid signature'))
    assert.deepEqual(verdict(`${aliceToken}=`), message('Bad token; invalid signature'))
    assert.deepEqual(verdict(`${aliceToken}A`), message('Invalid signature'))
  }
})

test('with anonymous a bad token is the anonymous consumer, a good one its own', () => {
  const { verdict, send } = world()
  assert.equal(verdict('a.b.c', { anonymous: 'bob' }), 'bob by undefined')
  assert.equal(verdict(aliceToken, { anonymous: 'bob' }), 'alice by alice-key')
  const { answer } = send({}, { anonymous: 'nobody-there' })
  assert.equal(answer?.status, 500)
  assert.match(String(answer.body), /anonymous consumer nobody-there is configured but doesn't exist/)
})

test('only run_on_preflight false lets OPTIONS through, and only OPTIONS', () => {
  const { send } = world()
  const config = { run_on_preflight: false }
  const passed = send({ method: 'OPTIONS' }, config)
  assert.equal(passed.answer, undefined)
  assert.equal(passed.kong.identity, undefined)
  assert.equal(send({ method: 'GET' }, config).answer?.status, 401)
  assert.equal(send({ method: 'options' }, config).answer?.status, 401)
  assert.equal(send({ method: 'OPTIONS' }).answer?.status, 401)
})

test('a config with null where Kong allows it is as if nothing were configured', () => {
  const { send } = world()
  const config = {
    uri_param_names: null,
    cookie_names: null,
    header_names: null,
    key_claim_name: null,
    maximum_expiration: null,
  }
  assert.equal(send({ headers: [['Authorization', `Bearer ${aliceToken}`]] }, config).answer?.status, 401)
})

test('the same refusal is the same answer, made when the config was prepared', () => {
  const { send } = world()
  assert.equal(send({}).answer, send({}).answer)
})

test('no token whatever makes the plugin throw, answer with a failure, or let anyone in', () => {
  const { send, entities } = world()
  entities.put('jwt_secrets', credential('ec', alice, { algorithm: 'ES256', rsa_public_key: pem(ec.publicKey) }))
  entities.put('jwt_secrets', credential('rs', alice, { algorithm: 'PS256', rsa_public_key: pem(rsa.publicKey) }))
  entities.put('jwt_secrets', credential('ed', alice, { algorithm: 'EdDSA', rsa_public_key: pem(ed25519.publicKey) }))
  const encode = (text: string) => Buffer.from(text).toString('base64url')
  const key = fc.oneof(fc.constantFrom('alice-key', 'ec', 'rs', 'ed', 'nobody', '__proto__'), fc.jsonValue())
  const time = fc.oneof(fc.double(), fc.integer(), fc.jsonValue(), fc.constantFrom(NaN, Infinity))
  const alg = fc.oneof(fc.constantFrom(...algorithms.keys(), 'none'), fc.jsonValue())
  const claims = fc.oneof(
    fc.record({ iss: key, exp: time, nbf: time }, { requiredKeys: [] }).map((value) => encode(JSON.stringify(value))),
    fc.json().map(encode),
    fc.string({ unit: 'binary' }),
  )
  const header = fc.oneof(
    fc
      .record({ alg, typ: fc.jsonValue(), crit: fc.jsonValue(), iss: key }, { requiredKeys: ['alg'] })
      .map((value) => encode(JSON.stringify(value))),
    fc.json().map(encode),
    fc.string({ unit: 'binary' }),
  )
  const signature = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
    fc.constantFrom(64, 96, 132, 114, 256, 32).map((length) => Buffer.alloc(length, 1).toString('base64url')),
    fc.string({ unit: 'binary' }),
  )
  const token = fc.tuple(header, claims, signature).map((parts) => parts.join('.'))
  const config: Partial<Config> = { claims_to_verify: ['exp', 'nbf'], maximum_expiration: 60 }
  fc.assert(
    fc.property(fc.oneof(token, fc.string({ unit: 'binary' })), (text) => {
      const { answer, kong } = send({ headers: [['Authorization', `Bearer ${text}`]] }, config)
      assert.equal(answer?.status, 401)
      assert.equal(kong.identity, undefined)
    }),
    { numRuns: 2000 },
  )
})

test('a token that is signed rightly is let in or refused whatever else it claims, never a failure', () => {
  const { send } = world()
  const claims = fc.record(
    { exp: fc.jsonValue(), nbf: fc.jsonValue(), aud: fc.jsonValue(), sub: fc.jsonValue() },
    { requiredKeys: [] },
  )
  const config: Partial<Config> = { claims_to_verify: ['exp', 'nbf'] }
  fc.assert(
    fc.property(claims, (claims) => {
      const request = { headers: [['Authorization', `Bearer ${hs256({ ...claims, iss: 'alice-key' })}`]] } as const
      const [first, second] = [send(request, config), send(request, config)]
      assert.equal(first.answer, second.answer)
      assert.ok(first.answer === undefined || first.answer.status === 401)
    }),
    { numRuns: 500 },
  )
})

test('a token of a megabyte is refused unread', () => {
  assert.deepEqual(world().verdict('a'.repeat(1024 * 1024)), message('Bad token; too long'))
})
