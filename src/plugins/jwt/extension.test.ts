import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { test } from 'node:test'
import { kinds } from '../../config/kinds.ts'
import type { Answer } from '../../pdk/kong.ts'
import { testEntities, testKong, type RequestDescription } from '../../pdk/testing.ts'
import { checkInsert, checkUpdate } from '../../schema/check.ts'
import { createJwt } from './handler.ts'
import { countObserved, observedCounts } from './observed.ts'
import type { Config } from './ready.ts'
import { jwt_revocations } from './revocations-schema.ts'
import { schema } from './schema.ts'
import { signToken } from './sign.ts'
import { createTokenMemory } from './tokens.ts'
import { useKey } from './uses-schema.ts'

const alice = { id: 'a11ce000-0000-4000-8000-000000000000', username: 'alice', custom_id: 'cid-a' }
const bob = { id: 'b0b00000-0000-4000-8000-000000000000', username: 'bob', custom_id: null }
const credential = {
  id: 'credential',
  key: 'issuer',
  consumer: { id: alice.id },
  algorithm: 'HS256',
  secret: 'secret',
  rsa_public_key: null,
}
const now = 1_700_000_000

function configOf(config: object): Config {
  const checked = checkInsert(schema, { config })
  assert.ok(checked.ok, JSON.stringify(checked))
  return checked.value['config'] as Config
}

const errorsOf = (config: object): unknown => {
  const checked = checkInsert(schema, { config })
  return !checked.ok && checked.errors['config']
}

/** A gateway with that config, to which one sends tokens with these claims. */
function world(config: object) {
  const entities = testEntities()
  for (const consumer of [alice, bob]) entities.put('consumers', consumer)
  entities.put('jwt_secrets', credential)
  const clock = { now }
  const jwt = createJwt({ now: () => clock.now, memory: createTokenMemory() })
  const ready = jwt.prepare(configOf(config), { id: 'plugin', name: 'jwt' })
  const token = (claims: object, header: object = {}) =>
    signToken(
      { header: { alg: 'HS256', typ: 'JWT', ...header }, payload: { iss: 'issuer', ...claims } },
      'HS256',
      createSecretKey(Buffer.from('secret')),
    )
  const ask = (request: RequestDescription) => {
    const kong = testKong(request, entities)
    const outcome = jwt.access!(kong, ready)
    return { kong, answer: outcome as Answer | undefined, outcome }
  }
  const send = (claims: object, header: object = {}) =>
    ask({ headers: [['Authorization', `Bearer ${token(claims, header)}`]] })
  /** Sent twice, since the second time it is remembered: `let in`, or what is answered. */
  const verdict = (claims: object, header: object = {}) => {
    const [first, second] = [send(claims, header), send(claims, header)]
    assert.deepEqual(second.answer, first.answer)
    if (!first.answer) return 'let in'
    const { status, headers, body } = first.answer
    return [status, JSON.parse(String(body)), headers.find(([name]) => name === 'WWW-Authenticate')?.[1]]
  }
  return { entities, clock, token, ask, send, verdict }
}

const invalid = (message: string) => [401, { message }, `Bearer error="invalid_token", error_description="${message}"`]

test('a config that uses none of it has none of it, and looks like Kong’s', () => {
  assert.deepEqual(Object.keys(configOf({})).sort(), [
    'anonymous',
    'claims_to_verify',
    'cookie_names',
    'header_names',
    'key_claim_name',
    'maximum_expiration',
    'realm',
    'run_on_preflight',
    'secret_is_base64',
    'uri_param_names',
  ])
  assert.deepEqual(configOf({ leeway: null, scopes_required: null }), configOf({}))
})

test('what is used is shown as it was written, without a field more, so that decK finds no difference', () => {
  const used = {
    issuers: [{ issuer: 'https://a.test' }, { issuer: 'https://b.test', algorithms: ['RS256'] }],
    consumer_claim: ['sub'],
    upstream_headers: [{ name: 'X-Sub', claim: ['sub'] }],
    scopes_required: ['a b'],
    leeway: 5,
    mode: 'observe',
  }
  assert.deepEqual(configOf(used), { ...configOf({}), ...used })
})

test('what was used is given up by null', () => {
  const plugins = kinds.get('plugins')!
  const used = checkInsert(plugins, { name: 'jwt', config: { leeway: 5, issuers_allowed: ['a'] } })
  assert.ok(used.ok)
  const patched = checkUpdate(plugins, used.value, { config: { leeway: null } })
  assert.ok(patched.ok)
  assert.deepEqual(patched.value['config'], configOf({ issuers_allowed: ['a'] }))
})

test('a config that cannot be meant is refused with what is wrong', () => {
  assert.deepEqual(errorsOf({ leeway: -1 }), { leeway: 'value should be between 0 and 3600' })
  assert.deepEqual(errorsOf({ scopes_required: ['  '] }), { scopes_required: ['expected words'] })
  assert.deepEqual(errorsOf({ issuers_allowed: [] }), { issuers_allowed: 'length must be at least 1' })
  assert.deepEqual(errorsOf({ upstream_headers: [{ name: 'Content-Length', claim: ['sub'] }] }), {
    upstream_headers: [{ name: 'must not be a header that frames the message' }],
  })
  assert.deepEqual(errorsOf({ scope_required: ['a'] }), { scope_required: 'unknown field' })
  const issuers = [{ issuer: 'https://a.test' }]
  const nowhere = errorsOf({
    issuers,
    consumer_optional: true,
    check_revocation: true,
    security_events: { audience: ['a'] },
  })
  assert.match(JSON.stringify(nowhere), /security_events needs path, where issuers post them, or streams/)
  const unheeded = errorsOf({ issuers, consumer_optional: true, security_events: { path: '/e', audience: ['a'] } })
  assert.match(JSON.stringify(unheeded), /security_events needs issuers, who send them, and check_revocation = true/)
})

test('only tokens of these issuers and types, and for this audience, are let in', () => {
  const { verdict } = world({
    key_claim_name: 'kid',
    issuers_allowed: ['https://a.test/', 'https://b.test/'],
    audience_required: ['orders', 'https://api.test/ billing'],
    token_types: ['at+jwt'],
    realm: null,
  })
  const header = { kid: 'issuer', typ: 'at+JWT' }
  const good = { iss: 'https://b.test/', aud: 'orders' }
  assert.equal(verdict(good, header), 'let in')
  assert.equal(verdict({ ...good, aud: ['x', 'billing', 'https://api.test/'] }, header), 'let in')
  assert.equal(verdict(good, { ...header, typ: 'application/at+jwt' }), 'let in')
  const wrongAudience = invalid("Invalid 'aud' in claims")
  for (const aud of ['billing', ['billing'], 'orders x', [], {}, null, 1, [['orders']], { 0: 'orders' }])
    assert.deepEqual(verdict({ ...good, aud }, header), wrongAudience, JSON.stringify(aud))
  for (const iss of ['https://a.test', 'https://A.test/', 5, ['https://a.test/']])
    assert.deepEqual(verdict({ ...good, iss }, header), invalid("Invalid 'iss' in claims"), JSON.stringify(iss))
  for (const typ of ['JWT', undefined, 1, 'x/at+jwt'])
    assert.deepEqual(verdict(good, { ...header, typ }), invalid("Invalid 'typ' in header"), String(typ))
})

test('claims that are required must be there, whatever their values', () => {
  const { verdict } = world({ claims_required: ['jti', 'https://example.test/tenant', '__proto__'] })
  const all = '{"iss":"issuer","jti":0,"https://example.test/tenant":false,"__proto__":{}}'
  assert.equal(verdict(JSON.parse(all) as object), 'let in')
  assert.deepEqual(verdict({ 'https://example.test/tenant': 1 }), invalid("No mandatory 'jti' in claims"))
  assert.deepEqual(verdict({ jti: null }), invalid("No mandatory 'jti' in claims"))
  assert.deepEqual(verdict({ jti: 1, 'https://example.test/tenant': 1 }), invalid("No mandatory '__proto__' in claims"))
})

test('who has not the rights is known, and gets 403 with the scopes that would do', () => {
  const { verdict } = world({
    realm: 'shop',
    scopes_required: ['orders:read orders:write', 'admin'],
    roles_required: ['clerk'],
    roles_claim: ['resource_access', 'shop', 'roles'],
    groups_required: ['eu'],
    groups_claim: ['https://example.test/groups'],
  })
  const good = {
    scope: 'openid orders:write orders:read',
    resource_access: { shop: { roles: ['x', 'clerk'] } },
    'https://example.test/groups': 'eu us',
  }
  assert.equal(verdict(good), 'let in')
  assert.equal(verdict({ ...good, scope: ['admin'] }), 'let in')
  const scope = [
    403,
    { message: 'Insufficient scope' },
    'Bearer realm="shop", error="insufficient_scope", scope="orders:read orders:write admin"',
  ]
  for (const wrong of ['orders:read', 'orders:readorders:write', '', undefined, { admin: true }])
    assert.deepEqual(verdict({ ...good, scope: wrong }), scope)
  const plain = (what: string) => [
    403,
    { message: `Insufficient ${what}` },
    'Bearer realm="shop", error="insufficient_scope"',
  ]
  assert.deepEqual(verdict({ ...good, resource_access: { shop: 'clerk?' } }), plain('role'))
  assert.deepEqual(verdict({ ...good, 'https://example.test/groups': ['us'] }), plain('group'))
})

test('a token is refused once it is older than it may be, and before it was issued', () => {
  const { verdict, clock } = world({ maximum_age: 60, leeway: 5 })
  const answer = (text: string) => [401, { iat: text }, 'Bearer error="invalid_token"']
  assert.equal(verdict({ iat: now }), 'let in')
  assert.equal(verdict({ iat: now + 5 }), 'let in')
  assert.deepEqual(verdict({ iat: now + 6 }), answer('token not issued yet'))
  for (const iat of [undefined, 'now', null]) assert.deepEqual(verdict({ iat }), answer('must be a number'))
  clock.now += 65
  assert.equal(verdict({ iat: now }), 'let in')
  clock.now += 1
  assert.deepEqual(verdict({ iat: now }), answer('token too old'))
})

test('the times that Kong looks at are looked at with leeway, on the first use and on later ones', () => {
  const { verdict, clock } = world({ claims_to_verify: ['exp'], leeway: 10, claims_required: ['exp'] })
  assert.equal(verdict({ exp: now - 9 }), 'let in')
  clock.now += 1
  assert.deepEqual(verdict({ exp: now - 9 })[1], { exp: 'token expired' })
})

test('claims go upstream as headers, and what the client sent in their place does not', () => {
  const config = {
    upstream_headers: [
      { name: 'X-User', claim: ['sub'] },
      { name: 'X-Roles', claim: ['realm', 'roles'] },
      { name: 'X-Address', claim: ['address'], format: 'json' },
      { name: 'X-All', claim: ['realm'], format: 'base64' },
      { name: 'X-Nobody', claim: ['nobody'] },
    ],
  }
  const { ask, token } = world(config)
  const address = { city: 'Zürich' }
  const realm = { roles: ['a', 2, { b: 1 }] }
  const request = {
    headers: [
      ['Authorization', `Bearer ${token({ sub: 'jürg', realm, address })}`],
      ['x-nobody', 'me'],
      ['X-User', 'root'],
    ] as const,
  }
  for (const round of ['verified', 'remembered']) {
    const { kong, answer } = ask(request)
    assert.equal(answer, undefined, round)
    assert.deepEqual(Object.fromEntries(kong.upstreamHeaders), {
      'x-user': ['jürg'],
      'x-roles': ['a, 2, {"b":1}'],
      'x-address': ['{"city":"Z\\u00fcrich"}'],
      'x-all': [Buffer.from(JSON.stringify(realm)).toString('base64')],
      'x-nobody': null,
    })
  }
  const refused = ask({ headers: [['X-User', 'root']] })
  assert.equal(refused.kong.upstreamHeaders.get('x-user'), null)
})

test('the token does not go upstream where it is to be hidden', () => {
  const config = { hide_credentials: true, cookie_names: ['session'] }
  const { ask, token } = world(config)
  const text = token({})
  const inHeader = ask({ headers: [['Authorization', `Bearer ${text}`]] })
  assert.equal(inHeader.kong.upstreamHeaders.get('authorization'), null)
  const basic = ask({ path: `/?jwt=${text}`, headers: [['Authorization', 'Basic abc']] })
  assert.equal(basic.kong.upstreamHeaders.has('authorization'), false)
  const inCookie = ask({ headers: [['Cookie', `a=1; Session=${text}; b=2`]] })
  assert.equal(inCookie.answer, undefined)
  assert.deepEqual(inCookie.kong.upstreamHeaders.get('cookie'), ['a=1; b=2'])
})

test('the consumer is the one that a claim names', () => {
  const { send, verdict } = world({ consumer_claim: ['act', 'sub'], consumer_by: ['id', 'username'] })
  for (const sub of ['bob', bob.id, bob.id.toUpperCase()]) {
    const { kong } = send({ act: { sub } })
    assert.equal(kong.identity?.consumer?.['username'], 'bob')
    assert.equal(kong.identity?.credential?.['key'], 'issuer')
  }
  const unknown = [401, { message: "Could not find consumer for the given 'act.sub'" }, 'Bearer error="invalid_token"']
  for (const sub of ['cid-a', '', 7, ['bob'], null, '\ud800']) assert.deepEqual(verdict({ act: { sub } }), unknown)
  assert.deepEqual(verdict({}), unknown)
})

test('a consumer that is changed or deleted is looked for again', () => {
  const { send, entities } = world({ consumer_claim: ['sub'] })
  assert.equal(send({ sub: 'bob' }).kong.identity?.consumer?.['username'], 'bob')
  entities.delete('consumers', bob.id)
  assert.equal(send({ sub: 'bob' }).answer?.status, 401)
})

test('where a consumer is optional the token stands for itself', () => {
  const { send } = world({ consumer_claim: ['sub'], consumer_optional: true })
  const { kong, answer } = send({ sub: 'stranger' })
  assert.equal(answer, undefined)
  assert.equal(kong.identity?.consumer, null)
  assert.deepEqual(kong.identity?.headers, [['X-Credential-Identifier', 'stranger']])
  const id = kong.identity?.credential?.id
  assert.equal(send({ sub: 'stranger', jti: 2 }).kong.identity?.credential?.id, id)
  assert.notEqual(send({ sub: 'other' }).kong.identity?.credential?.id, id)
  assert.equal(send({ sub: 'bob' }).kong.identity?.consumer?.['username'], 'bob')
})

test('tokens that stand for themselves are told apart by the claim that the config names', () => {
  const { send } = world({ consumer_optional: true, credential_claim: ['org', 'id'] })
  const credential = (claims: object) => send(claims).kong.identity?.credential
  const id = credential({ sub: 'ann', org: { id: 'acme' } })?.id
  assert.equal(credential({ sub: 'bob', org: { id: 'acme' } })?.id, id)
  assert.notEqual(credential({ sub: 'ann', org: { id: 'other' } })?.id, id)
  assert.notEqual(credential({ sub: 'acme' })?.id, id)
  assert.deepEqual(send({ sub: 'ann', org: { id: 'acme' } }).kong.identity?.headers, [
    ['X-Credential-Identifier', 'acme'],
  ])
})

test('claims that are to be logged are in the log, where the token has them and they are not too long', () => {
  const { send } = world({ log_claims: [['sub'], ['org', 'id'], ['none']] })
  const logged = (claims: object) => send(claims).kong.serialized.get('claims')
  assert.deepEqual(logged({ sub: 'ann', org: { id: 7 } }), { sub: 'ann', 'org.id': 7 })
  assert.deepEqual(logged({ sub: 'ann', org: { id: 7 } }), { sub: 'ann', 'org.id': 7 }, 'remembered, too')
  assert.deepEqual(logged({ sub: 'x'.repeat(1023), org: 'acme' }), undefined)
  assert.deepEqual(logged({ sub: ['x'.repeat(1000)] }), { sub: ['x'.repeat(1000)] })
})

test('a token that stands for itself becomes its consumer’s as soon as there is one', () => {
  const { send, entities } = world({ consumer_claim: ['sub'], consumer_optional: true })
  assert.equal(send({ sub: 'carol' }).kong.identity?.consumer, null)
  entities.put('consumers', { id: 'ca401000-0000-4000-8000-000000000000', username: 'carol', custom_id: null })
  assert.equal(send({ sub: 'carol' }).kong.identity?.consumer?.['username'], 'carol')
})

test('groups in a claim are those that the acl plugin goes by', () => {
  const { send } = world({ authenticated_groups_claim: ['realm', 'groups'] })
  assert.deepEqual(send({ realm: { groups: ['a', 'b'] } }).kong.ctx.shared['authenticated_groups'], ['a', 'b'])
  assert.deepEqual(send({}).kong.ctx.shared['authenticated_groups'], [])
})

/** What `POST /jwt-revocations` makes of a body. */
function revocation(body: object) {
  const checked = checkInsert(jwt_revocations, { ttl: 600, ...body })
  assert.ok(checked.ok, JSON.stringify(checked))
  return checked.value as { readonly id: string }
}

test('a token that was taken back is refused at once, and let in again when that is undone', () => {
  const { send, verdict, entities } = world({ check_revocation: true })
  const revoked = [401, { message: 'Token revoked' }, 'Bearer error="invalid_token"']
  const claims = { jti: 'one', sub: 'alice', iat: now - 10 }
  for (const body of [
    { jti: 'one' },
    { jti: 'one', iss: 'issuer' },
    { sub: 'alice', before: now },
    { sub: 'alice', iss: 'issuer', before: now - 9 },
    { iss: 'issuer', before: now },
    { credential: 'issuer', before: now },
  ]) {
    assert.equal(verdict(claims), 'let in', JSON.stringify(body))
    const entity = revocation(body)
    entities.put('jwt_revocations', entity)
    assert.deepEqual(verdict(claims), revoked, JSON.stringify(body))
    entities.delete('jwt_revocations', entity.id)
  }
  assert.equal(send(claims).answer, undefined)
})

test('nothing but what was meant is taken back', () => {
  const { verdict, entities } = world({ check_revocation: true })
  for (const body of [
    { jti: 'other' },
    { jti: 'one', iss: 'another' },
    { sub: 'one', before: now },
    { sub: 'alice', before: now - 10 },
    { iss: 'alice', before: now },
    { credential: 'one', before: now },
    { sub: '["jti","one",null]', before: now },
  ]) {
    entities.put('jwt_revocations', revocation(body))
    assert.equal(verdict({ jti: 'one', sub: 'alice', iat: now - 10 }), 'let in', JSON.stringify(body))
  }
  entities.put('jwt_revocations', revocation({ sub: 'bob', before: now }))
  assert.equal(verdict({ sub: 'bob', iat: now }), 'let in', 'it was issued since')
  assert.notEqual(verdict({ sub: 'bob' }), 'let in', 'nobody knows when')
})

test('a token that says it is issued in time to come is taken back with those before it, until that time has come', () => {
  const { verdict, entities, clock } = world({ check_revocation: true, leeway: 5 })
  const claims = { sub: 'alice', iat: now + 6 }
  assert.equal(verdict(claims), 'let in', 'nothing else asks for it')
  entities.put('jwt_revocations', revocation({ sub: 'alice', before: now - 3600 }))
  assert.notEqual(verdict(claims), 'let in')
  assert.equal(verdict({ ...claims, iat: now + 5 }), 'let in', 'clocks may differ by as much')
  assert.equal(verdict({ ...claims, sub: 'bob' }), 'let in', 'of bob nothing was taken back')
  clock.now += 1
  assert.equal(verdict(claims), 'let in')
})

test('a revocation says one thing, and counts from now where it gives no time', () => {
  const wrong = (body: object) => {
    const checked = checkInsert(jwt_revocations, body)
    return checked.ok ? undefined : checked.errors
  }
  assert.ok(wrong({ ttl: 1 }))
  assert.ok(wrong({ ttl: 1, jti: 'a', sub: 'b' }))
  assert.ok(wrong({ ttl: 1, sub: '' }))
  assert.equal(wrong({ ttl: 1, sub: 'a' }), undefined)
  const { before, key } = revocation({ sub: 'alice', key: 'made up' }) as unknown as { before: number; key: string }
  assert.ok(before > Date.now() / 1000 && before - Date.now() / 1000 < 5, 'of this second as well')
  assert.notEqual(key, 'made up')
})

test('a revocation says for how long it holds, and is answered until when', () => {
  for (const ttl of [undefined, null, 0, -1, 1.5, 'ever']) {
    const checked = checkInsert(jwt_revocations, { sub: 'alice', ...(ttl !== undefined && { ttl }) })
    assert.ok(!checked.ok && 'ttl' in checked.errors, String(ttl))
  }
  const made = revocation({ sub: 'alice', ttl: 60, until: 5 })
  const again = checkUpdate(jwt_revocations, { ...made }, { ttl: 3600 })
  assert.ok(again.ok)
  for (const [entity, seconds] of [
    [made, 60],
    [again.value, 3600],
  ] as const) {
    const left = Number((entity as Record<string, unknown>)['until']) - Date.now() / 1000
    assert.ok(left > seconds - 5 && left < seconds + 2, String(left))
  }
})

test('a token that was taken back is not good again when that is forgotten: its end is looked at', () => {
  const [checks, plain] = [world({ check_revocation: true }), world({ credential_claim: ['sub'] })]
  for (const { clock } of [checks, plain]) clock.now = now + 60
  const claims = { jti: 'one', exp: now + 60 }
  assert.equal(plain.verdict(claims), 'let in', 'Kong looks at it only where claims_to_verify says so')
  assert.deepEqual(checks.verdict(claims), [401, { exp: 'token expired' }, 'Bearer error="invalid_token"'])
  assert.deepEqual(checks.verdict({ exp: 'x' }), [401, { exp: 'must be a number' }, 'Bearer error="invalid_token"'])
  assert.equal(checks.verdict({ exp: now + 61 }), 'let in')
  assert.equal(checks.verdict({ jti: 'one' }), 'let in', 'it need not have one')
})

test('what would be refused is only counted in mode observe, by reason and consumer', () => {
  const asked = { audience_required: ['orders'], maximum_age: 60, leeway: 60, claims_to_verify: ['exp'] }
  const shown = { ...asked, upstream_headers: [{ name: 'X-Sub', claim: ['sub'] }], hide_credentials: true }
  const { send, verdict, clock } = world({ ...shown, mode: 'observe' })
  const before = observedCounts()
  const counted = (reason: string) => {
    const of = (counts: typeof before) =>
      counts.find(({ plugin, consumer, reason: why }) => plugin === 'plugin' && consumer === 'alice' && why === reason)
    return (of(observedCounts())?.count ?? 0) - (of(before)?.count ?? 0)
  }
  const good = { exp: now + 600, iat: now, aud: 'orders' }
  assert.equal(verdict(good), 'let in')
  assert.deepEqual([counted('audience'), counted('age')], [0, 0])
  assert.equal(verdict({ ...good, aud: 'billing' }), 'let in')
  assert.deepEqual([counted('audience'), counted('age')], [2, 0])
  clock.now += 121
  const { kong } = send(good)
  assert.deepEqual([counted('audience'), counted('age')], [2, 1])
  assert.equal(kong.identity?.consumer?.['username'], 'alice')
  assert.equal(kong.upstreamHeaders.size, 0, 'nothing is done with the request')
  assert.deepEqual(
    verdict({ ...good, exp: now + 121 })[1],
    { exp: 'token expired' },
    'Kong’s part holds, without leeway',
  )
  assert.equal(send({ iss: 'nobody' }).answer?.status, 401)
})

test('in mode observe a token that is bound to nothing is counted where it would have to be', () => {
  const { verdict } = world({ mode: 'observe', certificate_bound: true, dpop: { required: true } })
  const counted = () =>
    observedCounts()
      .filter(({ plugin, consumer, reason }) => plugin === 'plugin' && consumer === 'alice' && reason === 'unbound')
      .reduce((sum, { count }) => sum + count, 0)
  const before = counted()
  assert.equal(verdict({ exp: now + 600 }), 'let in')
  const unbound = counted() - before
  assert.ok(unbound > 0)
  assert.equal(verdict({ exp: now + 600, cnf: { jkt: 'a', 'x5t#S256': 'b' } }), 'let in')
  assert.equal(counted() - before, unbound)
})

test('consumers cannot fill the memory with counts', () => {
  for (let at = 0; at < 2000; at++)
    countObserved({ plugin: 'flood', verdict: 'refuse', reason: 'audience', consumer: `consumer ${at}` })
  const mine = observedCounts().filter(({ plugin }) => plugin === 'flood')
  assert.ok(mine.length <= 1001)
  assert.equal(
    mine.reduce((sum, { count }) => sum + count, 0),
    2000,
  )
})

test('rules about claims must all hold, else the rights are missing', () => {
  const { verdict } = world({ claim_rules: ['claims.tenant == "acme"', 'any(claims.roles) == "clerk"'] })
  const missing = [403, { message: 'Insufficient claims' }, 'Bearer error="insufficient_scope"']
  assert.equal(verdict({ tenant: 'acme', roles: ['x', 'clerk'] }), 'let in')
  assert.deepEqual(verdict({ tenant: 'other', roles: ['clerk'] }), missing)
  assert.deepEqual(verdict({ tenant: 'acme', roles: [] }), missing)
  assert.deepEqual(verdict({}), missing)
  const errors = errorsOf({ claim_rules: ['claims.a == "b"', 'claims.a = "b"'] }) as { claim_rules: string[] }
  assert.match(errors.claim_rules[1] ?? '', /1:10/)
})

test('a token that is good once is let in once, of many at the same time one, and needs a name and an end', async () => {
  const { ask, token, entities, clock } = world({ single_use: true })
  const use = async (claims: object) => {
    const { kong, outcome } = ask({ headers: [['Authorization', `Bearer ${token(claims)}`]] })
    const refusal = await outcome
    assert.equal(kong.identity === undefined, refusal !== undefined)
    return refusal === undefined ? 'let in' : (JSON.parse(String(refusal.body)) as object)
  }
  const used = { message: 'Token was used before' }
  const good = { jti: 'one', exp: now + 60 }
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => use(good)))
  assert.deepEqual(outcomes.filter((outcome) => outcome === 'let in').length, 1)
  assert.deepEqual(await use(good), used)
  assert.deepEqual(await use({ ...good, exp: now + 61 }), used, 'another token of the same name')
  assert.equal(await use({ ...good, jti: 'two' }), 'let in')
  assert.equal(entities.by('jwt_uses', 'key', useKey(['credential', credential.id, 'two']))?.entity['ttl'], 61)
  const unnamed = { message: "No mandatory 'jti' in claims" }
  for (const jti of [undefined, '', {}, null]) assert.deepEqual(await use({ ...good, jti }), unnamed)
  assert.deepEqual(await use({ jti: 'three' }), { exp: 'must be a number' })
  clock.now += 61
  assert.deepEqual(await use({ ...good, jti: 'four' }), { exp: 'token expired' })
})

test('where a use cannot be written down nobody is let in', async () => {
  const { ask, token, entities } = world({ single_use: true })
  entities.write = async () => ({ ok: false, reason: 'unavailable', message: 'the disk is full' })
  const { kong, outcome } = ask({ headers: [['Authorization', `Bearer ${token({ jti: '1', exp: now + 60 })}`]] })
  assert.equal((await outcome)?.status, 503)
  assert.equal(kong.identity, undefined)
})

test('challenges say where the resource’s metadata is, which follows from the config', () => {
  const config = {
    issuers: [{ issuer: 'https://idp.test' }],
    consumer_optional: true,
    scopes_required: ['a b', 'a c'],
    realm: 'shop',
    resource_metadata: { resource: 'https://api.test:8443/orders', resource_name: 'Orders' },
    dpop: { required: true, algorithms: ['ES256'] },
    certificate_bound: true,
  }
  const jwt = createJwt({ memory: createTokenMemory() })
  const ready = jwt.prepare(configOf(config), { id: 'p', name: 'jwt' })
  const refusal = jwt.access!(testKong({}), ready) as Answer
  assert.equal(
    refusal.headers[1]?.[1],
    'DPoP realm="shop", resource_metadata="https://api.test:8443/.well-known/oauth-protected-resource/orders", algs="ES256"',
  )
  const [document, ...more] = jwt.documents!(ready)
  assert.deepEqual(
    [more, document?.host, document?.path],
    [[], 'api.test', '/.well-known/oauth-protected-resource/orders'],
  )
  const { body } = document!.answer(testEntities()) as Answer
  assert.deepEqual(JSON.parse(String(body)), {
    resource: 'https://api.test:8443/orders',
    authorization_servers: ['https://idp.test'],
    scopes_supported: ['a', 'b', 'c'],
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: ['ES256'],
    dpop_bound_access_tokens_required: true,
    tls_client_certificate_bound_access_tokens: true,
    resource_name: 'Orders',
  })
  assert.deepEqual(jwt.documents!(jwt.prepare(configOf({}), { id: 'p', name: 'jwt' })), [])
})

test('what refusals look like is checked when it is configured', () => {
  assert.deepEqual(errorsOf({ error_format: 'template' }), 'the format template needs a template')
  assert.deepEqual(errorsOf({ error_template: '{}' }), 'error_template and error_content_type need error_format')
  assert.equal(errorsOf({ error_format: 'template', error_template: '{"m":"{{message}}"}' }), false)
})

test('a claim may name a jwt credential, whose consumer it then is for as long as the credential is there', () => {
  const { send, entities } = world({ consumer_claim: ['azp'], consumer_by: ['credential'] })
  const own = { ...credential, id: 'bobs', key: 'bob-app', consumer: { id: bob.id } }
  entities.put('jwt_secrets', own)
  assert.equal(send({ azp: 'bob-app' }).kong.identity?.consumer?.['username'], 'bob')
  entities.put('jwt_secrets', { ...own, consumer: { id: alice.id } })
  assert.equal(send({ azp: 'bob-app' }).kong.identity?.consumer?.['username'], 'alice')
  entities.delete('jwt_secrets', own.id)
  assert.equal(send({ azp: 'bob-app' }).answer?.status, 401)
  assert.equal(send({ azp: 'bob' }).answer?.status, 401, 'a name is no key')
})
