/** What `mode: observe` counts of what hangs on a request, on an issuer or on who came before; nothing of it is in force. */
import assert from 'node:assert/strict'
import { createHash, createSecretKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { testEntities, testKong, type RequestDescription } from '../../pdk/testing.ts'
import { checkInsert } from '../../schema/check.ts'
import { thumbprint } from './dpop.ts'
import { createJwt } from './handler.ts'
import { configureKeySource } from './key-sets.ts'
import { observedCounts } from './observed.ts'
import { configureProofs, usesKept } from './proof-memory.ts'
import type { Config } from './ready.ts'
import { schema } from './schema.ts'
import { signToken } from './sign.ts'
import type { JsonObject } from './token.ts'
import { createTokenMemory } from './tokens.ts'
import { useKey } from './uses-schema.ts'

const now = 1_700_000_000
const [ours, others] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')]
const hash = (text: string | Buffer) => createHash('sha256').update(text).digest('base64url')
const ofAlice = (claims: object = {}) =>
  signToken(
    { header: { alg: 'HS256' }, payload: { iss: 'own', ...claims } },
    'HS256',
    createSecretKey(Buffer.from('s')),
  )
const ofIssuer = (claims: object = {}, key: KeyObject = ours.privateKey) =>
  signToken({ header: { alg: 'EdDSA' }, payload: { iss: 'idp', sub: 'bob', exp: now + 60, ...claims } }, 'EdDSA', key)

let plugins = 0

/** A gateway that observes, where alice has a credential, and bob is known to the issuer `idp`. */
function world(config: object) {
  const entities = testEntities()
  for (const username of ['alice', 'bob', 'guest'])
    entities.put('consumers', { id: username, username, custom_id: null })
  entities.put('jwt_secrets', { id: 'k', key: 'own', algorithm: 'HS256', secret: 's', consumer: { id: 'alice' } })
  const checked = checkInsert(schema, { config: { mode: 'observe', ...config } })
  assert.ok(checked.ok, JSON.stringify(checked))
  const published = JSON.stringify([ours.publicKey.export({ format: 'jwk' })])
  configureKeySource({ follow: () => published, ask: async () => {} })
  const kept = usesKept(100, () => now)
  configureProofs({ secret: Buffer.from('secret'), uses: { use: async (key, until) => kept.use(key, until) } })
  const jwt = createJwt({ now: () => now, memory: createTokenMemory() })
  const id = `observing-${++plugins}`
  const ready = jwt.prepare(checked.value['config'] as Config, { id, name: 'jwt' })
  const send = (text: string | undefined, request: RequestDescription = {}) => {
    const authorization = text === undefined ? [] : [['Authorization', text] as const]
    const headers = [['Host', 'api.test'] as const, ...authorization, ...(request.headers ?? [])]
    const kong = testKong({ ...request, headers }, entities)
    const outcome = jwt.access!(kong, ready)
    assert.ok(!(outcome instanceof Promise), 'nobody waits for what is only looked at')
    assert.deepEqual([kong.upstreamHeaders.size, kong.responseHeaders.size, kong.serialized.size], [0, 0, 0])
    return outcome ? outcome.status : kong.identity?.consumer?.['username']
  }
  /** What was counted since the start, once all is done that nobody waits for. */
  const counted = async (): Promise<readonly string[]> => {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    return observedCounts()
      .filter(({ plugin }) => plugin === id)
      .map(({ verdict, reason, consumer, count }) => `${verdict} ${consumer} ${count}: ${reason}`)
  }
  return { jwt, ready, send, counted, entities }
}

const issuers = { issuers: [{ issuer: 'idp', jwks_uri: 'https://idp.test/keys' }], consumer_claim: ['sub'] }

test('tokens of an issuer are refused as ever, and those are counted that would be let in', async () => {
  const { send, counted } = world(issuers)
  assert.equal(send(`Bearer ${ofIssuer()}`), 401)
  assert.equal(send(`Bearer ${ofIssuer()}`), 401)
  assert.equal(send(`Bearer ${ofIssuer({}, others.privateKey)}`), 401)
  assert.equal(send(`Bearer ${ofIssuer({ exp: now })}`), 401)
  assert.equal(send(`Bearer ${ofIssuer({ sub: 'nobody' })}`), 401)
  assert.equal(send(undefined), 401)
  assert.equal(send(`Bearer ${ofAlice()}`), 'alice')
  assert.deepEqual(await counted(), ['admit bob 2: unknown key'])
})

test('on a route that lets everybody in, those are counted who would have no good token', async () => {
  const { send, counted } = world({ ...issuers, anonymous: 'guest' })
  assert.equal(send(`Bearer ${ofIssuer()}`), 'guest')
  assert.equal(send(`Bearer ${ofIssuer({}, others.privateKey)}`), 'guest')
  assert.equal(send(undefined), 'guest')
  assert.deepEqual(await counted(), [
    'admit bob 1: unknown key',
    'refuse guest 1: bad signature',
    'refuse guest 1: no token',
  ])
})

test('opaque tokens are asked about', async (t) => {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end(JSON.stringify({ active: true, sub: 'bob', exp: now + 60 })))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { send, counted } = world({ introspection: { endpoint }, consumer_claim: ['sub'] })
  assert.equal(send('Bearer opaque'), 401)
  for (let wait = 0; wait < 200 && (await counted()).length === 0; wait++)
    await new Promise((resolve) => setTimeout(resolve, 10))
  assert.deepEqual(await counted(), ['admit bob 1: not JSON'])
  assert.equal(send('Bearer opaque'), 401)
  assert.deepEqual(await counted(), ['admit bob 2: not JSON'], 'remembered')
})

test('a token that must come with a proof is counted without one, with a wrong one, and with one for the second time', async () => {
  // A nonce is told of in refusals alone: nobody has one as long as nobody is refused.
  const { send, counted } = world({ dpop: { nonce: true } })
  const jwk = ours.publicKey.export({ format: 'jwk' }) as JsonObject
  const token = ofAlice({ cnf: { jkt: thumbprint(jwk) } })
  const proof = (htm: string) =>
    signToken(
      {
        header: { typ: 'dpop+jwt', alg: 'EdDSA', jwk },
        payload: { htm, htu: 'http://api.test/', iat: now, jti: randomUUID(), ath: hash(token) },
      },
      'EdDSA',
      ours.privateKey,
    )
  const good = proof('GET')
  assert.equal(send(`DPoP ${token}`, { headers: [['DPoP', good]] }), 'alice')
  assert.deepEqual(await counted(), [])
  assert.equal(send(`Bearer ${token}`), 'alice')
  assert.equal(send(`DPoP ${token}`, { headers: [['DPoP', proof('POST')]] }), 'alice')
  assert.equal(send(`DPoP ${token}`, { headers: [['DPoP', good]] }), 'alice')
  assert.deepEqual(await counted(), [
    'refuse alice 1: no proof',
    'refuse alice 1: proof method',
    'refuse alice 1: proof used',
  ])
})

test('a token that is good once is counted from the second time on', async () => {
  const { send, counted, entities } = world({ single_use: true })
  const token = ofAlice({ jti: 'one', exp: now + 60 })
  assert.equal(send(`Bearer ${token}`), 'alice')
  assert.deepEqual(await counted(), [])
  assert.equal(send(`Bearer ${token}`), 'alice')
  assert.equal(send(`Bearer ${ofAlice({ jti: 'two' })}`), 'alice')
  assert.deepEqual(await counted(), ['refuse alice 1: times', 'refuse alice 1: used'])
  const use = useKey(['credential', 'k', 'one'])
  assert.equal(entities.by('jwt_uses', 'key', use), undefined, 'it is good where that is not only observed')
})

test('clients are asked for the certificate that their token is bound to, and counted without it', async () => {
  const { send, counted, jwt, ready } = world({ certificate_bound: true })
  assert.equal(jwt.asksForCertificate!(ready), true)
  const certificate = Buffer.from('certificate')
  const token = ofAlice({ cnf: { 'x5t#S256': hash(certificate) } })
  assert.equal(send(`Bearer ${token}`, { certificate }), 'alice')
  assert.deepEqual(await counted(), [])
  assert.equal(send(`Bearer ${token}`), 'alice')
  assert.deepEqual(await counted(), ['refuse alice 1: certificate'])
})

test('what is done with a request that is let in is not done', async () => {
  const acting = {
    upstream_headers: [{ name: 'X-Sub', claim: ['sub'] }],
    hide_credentials: true,
    log_claims: [['sub']],
    authenticated_groups_claim: ['groups'],
    upstream_token: { issuer: 'gateway' },
    dpop: { nonce: true },
  }
  const { send, counted } = world(acting)
  assert.equal(send(`Bearer ${ofAlice({ sub: 'alice', groups: ['a'] })}`), 'alice')
  assert.deepEqual(await counted(), [])
})
