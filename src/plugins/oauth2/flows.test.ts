/** The whole of each flow, through a gateway with a database: from the application's or the client's request to the upstream. */
import assert from 'node:assert/strict'
import { hash, randomBytes } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import type { TestAnswer } from '../../../test/admin/fixture.ts'
import { startTestGateway, type TestGateway } from '../../../test/plugins/gateway.ts'

const secure = { 'X-Forwarded-Proto': 'https' }
const redirectUri = 'https://app.test/back?from=gateway'

let gateway: TestGateway

async function made(path: string, body: object): Promise<Record<string, string>> {
  const { status, json, text } = await gateway.admin('POST', path, body)
  assert.equal(status, 201, text)
  return json as Record<string, string>
}

/** A form, as RFC 6749 has it. */
const post = (path: string, form: Record<string, string>, headers: Record<string, string> = {}): Promise<TestAnswer> =>
  gateway.send(
    'POST',
    path,
    { ...secure, 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
    new URLSearchParams(form).toString(),
  )

const get = (path: string, token: string) => gateway.send('GET', path, { authorization: `Bearer ${token}` })

const base = {
  provision_key: 'provision',
  scopes: ['email', 'phone'],
  enable_authorization_code: true,
  enable_implicit_grant: true,
  enable_client_credentials: true,
  enable_password_grant: true,
  accept_http_if_already_terminated: true,
}

async function service(name: string, config: object): Promise<void> {
  await made('/services', { name, url: `http://127.0.0.1:${gateway.upstreamPort}/anything` })
  await made(`/services/${name}/routes`, { name, paths: [`/${name}`] })
  await made(`/services/${name}/plugins`, { name: 'oauth2', config: { ...base, ...config } })
}

before(async () => {
  gateway = await startTestGateway({ settings: { trusted_ips: '127.0.0.1' } })
  await service('plain', {})
  await service('other', {})
  await service('strict', { pkce: 'strict', mandatory_scope: true })
  await service('reuse', { reuse_refresh_token: true })
  await service('global', { global_credentials: true })
  await service('global2', { global_credentials: true })
  await service('brief', { token_expiration: 1, realm: 'brief' })
  await service('eternal', { token_expiration: 0 })
  await service('hidden', { auth_header_name: 'app_token', hide_credentials: true })
  await service('few', { enable_client_credentials: false, enable_password_grant: false, enable_implicit_grant: false })
  await made('/consumers', { username: 'alice', custom_id: 'cust-1' })
  await made('/consumers/alice/oauth2', {
    name: 'app',
    client_id: 'app',
    client_secret: 'secret',
    redirect_uris: [redirectUri, 'https://app.test/other'],
  })
  await made('/consumers/alice/oauth2', { name: 'bare', client_id: 'bare', client_secret: 'secret' })
  await made('/consumers/alice/oauth2', {
    name: 'single page',
    client_id: 'public',
    client_type: 'public',
    redirect_uris: [redirectUri],
  })
  await made('/consumers/alice/oauth2', {
    name: 'hashed',
    client_id: 'hashed',
    client_secret: 'secret',
    hash_secret: true,
    redirect_uris: [redirectUri],
  })
})
after(() => gateway.stop())

const user = { provision_key: 'provision', authenticated_userid: 'user-1' }
const app = { client_id: 'app', client_secret: 'secret' }

/** The parameters of the address that a user is sent back to. */
function parametersOf({ status, json, text }: TestAnswer, place: 'search' | 'hash' = 'search') {
  assert.equal(status, 200, text)
  const url = new URL(json.redirect_uri)
  assert.equal(`${url.origin}${url.pathname}`, 'https://app.test/back')
  return Object.fromEntries(new URLSearchParams(url[place].slice(1)))
}

const authorize = (name: string, more: Record<string, string> = {}) =>
  post(`/${name}/oauth2/authorize`, { response_type: 'code', client_id: 'app', ...user, ...more })

async function codeOf(name: string, more: Record<string, string> = {}): Promise<string> {
  return String(parametersOf(await authorize(name, more))['code'])
}

const tokenBy = (name: string, form: Record<string, string>, headers?: Record<string, string>) =>
  post(`/${name}/oauth2/token`, form, headers)

const byCode = (name: string, code: string, more: Record<string, string> = {}) =>
  tokenBy(name, { grant_type: 'authorization_code', code, ...app, ...more })

const told = ({ status, json }: TestAnswer) => [status, json.error, json.error_description]

suite('authorization code', () => {
  test('a code is changed for a token, which is let through', async () => {
    const parameters = parametersOf(await authorize('plain', { state: 'my state', scope: 'email' }))
    assert.deepEqual(Object.keys(parameters).sort(), ['code', 'from', 'state'])
    assert.deepEqual([parameters['state'], parameters['from']], ['my state', 'gateway'])
    const answer = await byCode('plain', parameters['code'] ?? '', { state: 'again' })
    assert.equal(answer.status, 200, answer.text)
    assert.deepEqual([answer.headers['cache-control'], answer.headers['pragma']], ['no-store', 'no-cache'])
    const { access_token, refresh_token, ...rest } = answer.json
    assert.match(access_token, /^[0-9A-Za-z]{32}$/)
    assert.match(refresh_token, /^[0-9A-Za-z]{32}$/)
    assert.deepEqual(rest, { token_type: 'bearer', expires_in: 7200, state: 'again' })
    const { status, json } = await get('/plain', access_token)
    assert.equal(status, 200)
    assert.partialDeepStrictEqual(json.headers, {
      'X-Consumer-Username': 'alice',
      'X-Consumer-Custom-ID': 'cust-1',
      'X-Credential-Identifier': 'app',
      'X-Authenticated-Scope': 'email',
      'X-Authenticated-UserId': 'user-1',
    })
  })

  test('a code is good once, also where two come at the same time', async () => {
    const code = await codeOf('plain')
    const answers = await Promise.all([byCode('plain', code), byCode('plain', code)])
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((one, other) => one - other),
      [200, 400],
    )
    assert.deepEqual(told(await byCode('plain', code)), [400, 'invalid_request', 'Invalid code'])
  })

  test('a code is good for its own client and service only', async () => {
    const code = await codeOf('plain')
    const invalid = [400, 'invalid_request', 'Invalid code']
    assert.deepEqual(told(await byCode('other', code)), invalid)
    assert.deepEqual(told(await byCode('plain', code, { client_id: 'hashed' })), invalid)
    assert.deepEqual(told(await byCode('plain', 'guessed')), invalid)
    assert.equal((await byCode('plain', code)).status, 200)
  })

  const wrong: readonly (readonly [name: string, form: Record<string, string>, error: string, description: string])[] =
    [
      ['another provision key', { provision_key: 'x' }, 'invalid_provision_key', 'Invalid provision_key'],
      [
        'no user',
        { authenticated_userid: ' ' },
        'invalid_authenticated_userid',
        'Missing authenticated_userid parameter',
      ],
      ['an unknown client', { client_id: 'x' }, 'invalid_client', 'Invalid client authentication'],
      ['a client without addresses', { client_id: 'bare' }, 'invalid_client', 'Invalid client authentication'],
    ]
  for (const [name, form, error, description] of wrong) {
    test(`${name} is told to the application`, async () => {
      assert.deepEqual(told(await authorize('plain', { state: 's', ...form })), [400, error, description])
    })
  }

  const redirected: readonly (readonly [name: string, form: Record<string, string>, query: string])[] = [
    [
      'another response type',
      { response_type: 'x' },
      'error=unsupported_response_type&error_description=Invalid%20response_type&from=gateway',
    ],
    [
      'an unknown scope',
      { scope: 'email wot' },
      'error=invalid_scope&error_description=%22wot%22%20is%20an%20invalid%20scope&from=gateway',
    ],
    [
      'an address that is not registered',
      { redirect_uri: 'https://evil.test/' },
      'error=invalid_request&error_description=Invalid%20redirect_uri%20that%20does%20not%20match%20with%20any%20redirect_uri%20created%20with%20the%20application&from=gateway',
    ],
    [
      'a challenge of another method',
      { code_challenge: 'x', code_challenge_method: 'plain', state: 'a b' },
      'error=invalid_request&error_description=code_challenge_method%20is%20not%20supported%2c%20must%20be%20S256&from=gateway&state=a%20b',
    ],
  ]
  for (const [name, form, query] of redirected) {
    test(`${name} is told to the client, at an address of its own`, async () => {
      const { status, json } = await authorize('plain', form)
      assert.deepEqual([status, json], [400, { redirect_uri: `https://app.test/back?${query}` }])
    })
  }

  test('an address keeps its own arguments, but for those that the answer has', async () => {
    await made('/consumers/alice/oauth2', {
      name: 'full',
      client_id: 'full',
      redirect_uris: ['https://app.test/back?code=old&flag&empty=&list=1&list=2&text=a+b%2c%c3%a9é'],
    })
    const { json } = await authorize('plain', { client_id: 'full', state: '' })
    assert.match(
      json.redirect_uri,
      /\?code=\w{32}&empty&flag=true&list%5b1%5d=1&list%5b2%5d=2&state&text=a%20b%2c%c3%a9%c3%a9$/,
    )
  })

  test('a state comes back in the form in which it was given', async () => {
    const json = { ...user, response_type: 'code', client_id: 'app' }
    const send = (state: unknown) => gateway.send('POST', '/plain/oauth2/authorize', secure, { ...json, state })
    assert.match((await send(['a', true])).json.redirect_uri, /&state%5b1%5d=a&state%5b2%5d=true$/)
    assert.match((await send({ deep: [] })).json.redirect_uri, /&from=gateway$/)
    const refused = await gateway.send('POST', '/plain/oauth2/token?state=a&state=b', secure, '')
    assert.deepEqual(refused.json.state, ['a', 'b'])
  })

  const odd: readonly (readonly [name: string, more: object, description: string])[] = [
    ['a scope that is a number', { scope: 123 }, 'scope must be a string'],
    ['a scope that is null', { scope: null }, 'scope must be a string'],
    [
      'an address that is a list',
      { redirect_uri: [redirectUri] },
      'Invalid redirect_uri that does not match with any redirect_uri created with the application',
    ],
    ['an empty challenge', { code_challenge: '' }, 'code_challenge is empty'],
  ]
  for (const [name, more, description] of odd) {
    test(`${name} is refused`, async () => {
      const json = { ...user, response_type: 'code', client_id: 'app', ...more }
      const answer = await gateway.send('POST', '/plain/oauth2/authorize', secure, json)
      assert.equal(answer.status, 400)
      assert.equal(new URL(answer.json.redirect_uri).searchParams.get('error_description'), description)
    })
  }

  test('addresses are those of a host, by name or by number', async () => {
    const description = async (uri: string) =>
      (await gateway.admin('POST', '/consumers/alice/oauth2', { name: 'a', redirect_uris: [uri] })).json.fields
    for (const uri of ['http://[::1]:80/x', 'https://me:you@app.test?x', 'com.app.test://back'])
      assert.equal(await description(uri), undefined, uri)
    for (const uri of ['http://[::1/x', 'a_b://app.test', 'urn:x', 'http:///x'])
      assert.deepEqual(await description(uri), { redirect_uris: [`cannot parse '${uri}'`] })
  })

  test('parameters may stand in the query, and in JSON', async () => {
    const query = new URLSearchParams({ response_type: 'code', client_id: 'app', provision_key: 'provision' })
    const answer = await gateway.send('POST', `/plain/oauth2/authorize?${String(query)}`, secure, {
      authenticated_userid: 'u',
    })
    assert.equal(typeof parametersOf(answer)['code'], 'string')
  })
})

suite('proof of possession of a code (PKCE)', () => {
  const verifier = randomBytes(40).toString('base64url')
  const challenge = { code_challenge: hash('sha256', verifier, 'base64url'), code_challenge_method: 'S256' }

  test('who proves it gets the token', async () => {
    const code = await codeOf('plain', challenge)
    assert.equal((await byCode('plain', code, { code_verifier: verifier })).status, 200)
  })

  test('nobody else does', async () => {
    const code = await codeOf('plain', challenge)
    assert.deepEqual(told(await byCode('plain', code)), [
      400,
      'invalid_request',
      'code_verifier is required for PKCE authorization requests',
    ])
    assert.deepEqual(told(await byCode('plain', code, { code_verifier: 'short' })), [
      400,
      'invalid_request',
      'code_verifier must be between 43 and 128 characters',
    ])
    assert.deepEqual(told(await byCode('plain', code, { code_verifier: 'x'.repeat(43) })), [
      400,
      'invalid_grant',
      'Invalid code',
    ])
    const asJson = { grant_type: 'authorization_code', code, ...app, code_verifier: 12 }
    assert.deepEqual(told(await gateway.send('POST', '/plain/oauth2/token', secure, asJson)), [
      400,
      'invalid_request',
      'code_verifier is not a string',
    ])
    assert.equal((await byCode('plain', code, { code_verifier: verifier })).status, 200)
  })

  test('what is no base64 is a challenge that nobody meets', async () => {
    const code = await codeOf('plain', { code_challenge: '!!!' })
    assert.equal((await byCode('plain', code, { code_verifier: verifier })).json.error, 'invalid_grant')
  })

  test('public clients have to prove it, all have where that is strict', async () => {
    const description = (answer: TestAnswer) => new URL(answer.json.redirect_uri).searchParams.get('error_description')
    assert.equal(
      description(await authorize('plain', { client_id: 'public' })),
      'code_challenge is required for public clients',
    )
    assert.equal(
      description(await authorize('strict', { scope: 'email' })),
      'code_challenge is required for confidential clients',
    )
    const code = await codeOf('plain', { client_id: 'public', ...challenge })
    const form = { grant_type: 'authorization_code', code, client_id: 'public', code_verifier: verifier }
    assert.deepEqual(told(await tokenBy('plain', { ...form, client_secret: 'x' })), [
      400,
      'invalid_request',
      'client_secret is disallowed for public clients',
    ])
    assert.equal((await tokenBy('plain', form)).status, 200)
  })
})

suite('implicit grant', () => {
  test('the token comes in the fragment, and cannot be renewed', async () => {
    const parameters = parametersOf(await authorize('plain', { response_type: 'token', state: 's' }), 'hash')
    const { access_token = '', ...rest } = parameters
    assert.deepEqual(rest, { token_type: 'bearer', expires_in: '7200', state: 's' })
    assert.equal((await get('/plain', access_token)).status, 200)
  })
})

suite('client credentials', () => {
  const form = { grant_type: 'client_credentials' }

  test('a client gets a token for itself, also without addresses', async () => {
    const { status, json } = await tokenBy('plain', {
      ...form,
      client_id: 'bare',
      client_secret: 'secret',
      scope: 'phone',
    })
    assert.equal(status, 200)
    assert.deepEqual(Object.keys(json).sort(), ['access_token', 'expires_in', 'token_type'])
    const { headers } = (await get('/plain', json.access_token)).json
    assert.deepEqual([headers['X-Authenticated-Scope'], headers['X-Authenticated-UserId']], ['phone', undefined])
  })

  test('it may prove itself in the header', async () => {
    const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
    assert.equal((await tokenBy('plain', form, basic('app:secret'))).status, 200)
    const refused = await tokenBy('plain', form, basic('app:wrong'))
    assert.deepEqual(told(refused), [401, 'invalid_client', 'Invalid client authentication'])
    assert.equal(refused.headers['www-authenticate'], 'Basic realm="OAuth2.0"')
  })

  test('only who has the provision key may ask for a user', async () => {
    const asUser = { ...form, ...app, authenticated_userid: 'user-2' }
    assert.deepEqual(told(await tokenBy('plain', asUser)), [400, 'invalid_provision_key', 'Invalid provision_key'])
    const { json } = await tokenBy('plain', { ...asUser, provision_key: 'provision' })
    assert.equal((await get('/plain', json.access_token)).json.headers['X-Authenticated-UserId'], 'user-2')
  })

  const refusals: readonly (readonly [name: string, form: Record<string, string>, error: string])[] = [
    ['another secret', { ...app, client_secret: 'x' }, 'invalid_client'],
    ['no secret', { client_id: 'app' }, 'invalid_client'],
    ['an unknown client', { client_id: 'x', client_secret: 'x' }, 'invalid_client'],
    ['an unknown scope', { ...app, scope: 'x' }, 'invalid_scope'],
    ['another grant', { ...app, grant_type: 'x' }, 'unsupported_grant_type'],
    ['a grant of every object', { ...app, grant_type: 'constructor' }, 'unsupported_grant_type'],
  ]
  for (const [name, more, error] of refusals) {
    test(`${name} is ${error}`, async () => {
      const answer = await tokenBy('plain', { ...form, ...more })
      assert.deepEqual([answer.status, answer.json.error], [400, error])
    })
  }

  test('a scope has to be asked for where that is mandatory', async () => {
    assert.deepEqual(told(await tokenBy('strict', { ...form, ...app })), [
      400,
      'invalid_scope',
      'You must specify a scope',
    ])
  })

  test('a grant that is not enabled is unsupported', async () => {
    assert.deepEqual(told(await tokenBy('few', { ...form, ...app })), [
      400,
      'unsupported_grant_type',
      'Invalid grant_type',
    ])
  })

  test('a secret of which only a hash is kept is proven all the same', async () => {
    const hashed = (client_secret: string) => tokenBy('plain', { ...form, client_id: 'hashed', client_secret })
    assert.equal((await hashed('secret')).status, 200)
    assert.equal((await hashed('Secret')).status, 400)
    const { client_secret } = (await gateway.admin('GET', '/oauth2/hashed')).json
    assert.match(client_secret, /^\$pbkdf2-sha512\$i=10000,l=32\$/)
    assert.equal((await hashed(client_secret)).status, 400)
    // What was read is written back, as decK does.
    await gateway.admin('PATCH', '/consumers/alice/oauth2/hashed', { client_secret, hash_secret: true })
    assert.equal((await hashed('secret')).status, 200)
  })
})

suite('password', () => {
  const form = { grant_type: 'password', ...app, ...user }

  test('your application, which checked the password, gets a token for the user', async () => {
    const { status, json } = await tokenBy('plain', form)
    assert.equal(status, 200)
    assert.equal((await get('/plain', json.access_token)).json.headers['X-Authenticated-UserId'], 'user-1')
    assert.equal(typeof json.refresh_token, 'string')
  })

  test('it needs the provision key and a user', async () => {
    assert.equal((await tokenBy('plain', { ...form, provision_key: '' })).json.error, 'invalid_provision_key')
    assert.equal(
      (await tokenBy('plain', { ...form, authenticated_userid: '' })).json.error,
      'invalid_authenticated_userid',
    )
  })
})

suite('refresh', () => {
  const first = async (name: string) =>
    (await tokenBy(name, { grant_type: 'password', ...app, ...user, scope: 'email' })).json
  const renew = (name: string, refresh_token: string, more: Record<string, string> = {}) =>
    tokenBy(name, { grant_type: 'refresh_token', refresh_token, ...app, ...more })

  test('a new pair takes the place of the old one, which ends', async () => {
    const old = await first('plain')
    const { status, json } = await renew('plain', old.refresh_token)
    assert.equal(status, 200)
    assert.notEqual(json.refresh_token, old.refresh_token)
    assert.equal((await get('/plain', old.access_token)).status, 401)
    const { headers } = (await get('/plain', json.access_token)).json
    assert.deepEqual([headers['X-Authenticated-Scope'], headers['X-Authenticated-UserId']], ['email', 'user-1'])
    assert.deepEqual(told(await renew('plain', old.refresh_token)), [400, 'invalid_request', 'Invalid refresh_token'])
  })

  test('of two renewals at the same time one succeeds', async () => {
    const { refresh_token } = await first('plain')
    const answers = await Promise.all([renew('plain', refresh_token), renew('plain', refresh_token)])
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((one, other) => one - other),
      [200, 400],
    )
  })

  test('a refresh token may stay the same', async () => {
    const old = await first('reuse')
    const { json } = await renew('reuse', old.refresh_token)
    assert.equal(json.refresh_token, old.refresh_token)
    assert.equal((await get('/reuse', old.access_token)).status, 401)
    assert.equal((await get('/reuse', json.access_token)).status, 200)
  })

  test('it is good for its own client and service only', async () => {
    const { refresh_token } = await first('plain')
    assert.deepEqual(told(await renew('plain', refresh_token, { client_id: 'hashed' })), [
      400,
      'invalid_client',
      'Invalid client authentication',
    ])
    assert.equal((await renew('other', refresh_token)).json.error_description, 'Invalid refresh_token')
  })
})

suite('tokens', () => {
  const token = async (name: string): Promise<string> =>
    (await tokenBy(name, { grant_type: 'client_credentials', ...app })).json.access_token

  test('a request without a token, or with a bad one, is challenged', async () => {
    const none = await gateway.send('GET', '/plain')
    assert.deepEqual(told(none), [401, 'invalid_request', 'The access token is missing'])
    assert.equal(none.headers['www-authenticate'], 'Bearer')
    const bad = await get('/brief', 'guessed')
    assert.deepEqual(told(bad), [401, 'invalid_token', 'The access token is invalid or has expired'])
    assert.equal(
      bad.headers['www-authenticate'],
      'Bearer realm="brief", error="invalid_token", error_description="The access token is invalid or has expired"',
    )
  })

  test('a token may stand in the header under two names, in the query, and in a form', async () => {
    const access_token = await token('plain')
    for (const scheme of ['bearer', 'Token']) {
      assert.equal((await gateway.send('GET', '/plain', { authorization: `${scheme} ${access_token}` })).status, 200)
    }
    assert.equal((await gateway.send('GET', `/plain?access_token=${access_token}`)).status, 200)
    assert.equal((await post('/plain', { access_token })).status, 200)
    assert.equal((await gateway.send('GET', '/plain', { authorization: `Basic ${access_token}` })).status, 401)
    assert.equal((await gateway.send('POST', '/plain', {}, { access_token })).status, 200)
    const number = await gateway.send('POST', '/plain', {}, { access_token: 5 })
    assert.equal(number.json.error_description, 'The access token is missing')
  })

  test('the header of a name with `_` may be written with `-`, and is hidden either way', async () => {
    for (const header of ['app_token', 'App-Token']) {
      const { status, json } = await gateway.send('GET', '/hidden', { [header]: `Bearer ${await token('hidden')}` })
      assert.equal(status, 200)
      assert.deepEqual(
        Object.keys(json.headers).filter((name) => /token/i.test(name)),
        [],
      )
    }
  })

  test('a token is good for its own service, unless credentials are global', async () => {
    assert.equal((await get('/other', await token('plain'))).status, 401)
    const everywhere = await token('global')
    assert.equal((await get('/global2', everywhere)).status, 200)
    const refused = await get('/plain', everywhere)
    assert.match(refused.json.error_description, /^The access token is global/)
  })

  test('a token ends with its time, its client, or when it is deleted', async () => {
    const brief = await token('brief')
    const eternal = await token('eternal')
    assert.equal((await get('/brief', brief)).status, 200)
    await new Promise((resolve) => setTimeout(resolve, 2100))
    assert.equal((await get('/brief', brief)).status, 401)
    assert.equal((await get('/eternal', eternal)).status, 200)
    assert.equal((await gateway.admin('DELETE', `/oauth2_tokens/${eternal}`)).status, 204)
    assert.equal((await get('/eternal', eternal)).status, 401)
  })

  test('tokens are written and read by the Admin API, too', async () => {
    const [{ id: credential }, { id: own }] = [
      (await gateway.admin('GET', '/oauth2/app')).json,
      (await gateway.admin('GET', '/services/plain')).json,
    ]
    const { access_token } = await made('/oauth2_tokens', {
      credential: { id: credential },
      service: { id: own },
      expires_in: 0,
      scope: 'email',
      authenticated_userid: 'someone',
    })
    assert.equal((await get('/plain', access_token ?? '')).json.headers['X-Authenticated-UserId'], 'someone')
    const listed = await gateway.admin('GET', '/oauth2/app/oauth2_tokens')
    assert.ok(listed.json.data.some((one: Record<string, unknown>) => one['access_token'] === access_token))
  })
})

suite('safety', () => {
  test('nothing is given over a line that is not safe', async () => {
    const headers = { 'X-Forwarded-Proto': 'http' }
    for (const endpoint of ['token', 'authorize']) {
      const answer = await post(`/plain/oauth2/${endpoint}`, { state: 's' }, headers)
      assert.deepEqual([...told(answer), answer.json.state], [400, 'access_denied', 'You must use HTTPS', 's'])
    }
    const two = await post('/plain/oauth2/token', {}, { 'X-Forwarded-Proto': 'https, https' })
    assert.equal(two.json.error_description, 'Only one X-Forwarded-Proto header allowed')
  })

  test('the endpoints take POST only, with and without a slash at the end', async () => {
    for (const path of ['/plain/oauth2/token', '/plain/oauth2/token/']) {
      const answer = await gateway.send('GET', path)
      assert.deepEqual(told(answer), [405, 'invalid_method', 'The HTTP method GET is invalid for the token endpoint'])
    }
    assert.equal((await gateway.send('PUT', '/plain/oauth2/authorize')).status, 405)
  })

  test('whatever is sent as parameters, the answer is never a failure', async () => {
    const bodies = [
      '{"client_id":{},"grant_type":[],"scope":1,"code":null}',
      '[]',
      'null',
      '{',
      '"x"',
      '{"code":"\\ud800"}',
    ]
    for (const endpoint of ['token', 'authorize']) {
      for (const body of bodies) {
        const answer = await gateway.send(
          'POST',
          `/plain/oauth2/${endpoint}`,
          { ...secure, 'Content-Type': 'application/json' },
          body,
        )
        assert.equal(answer.status, 400, body)
      }
    }
  })
})

test('without a database a client is told that nothing can be given', async () => {
  const declared = await startTestGateway({
    settings: { trusted_ips: '127.0.0.1' },
    yaml: `
_format_version: '3.0'
services:
  - name: echo
    url: http://127.0.0.1:8080
    routes: [{ name: r, paths: [/r] }]
    plugins:
      - name: oauth2
        config: { enable_client_credentials: true, accept_http_if_already_terminated: true }
consumers:
  - username: alice
    oauth2_credentials: [{ name: app, client_id: app, client_secret: secret, hash_secret: true }]
`,
  })
  try {
    const answer = await declared.send('POST', '/r/oauth2/token', secure, { grant_type: 'client_credentials', ...app })
    assert.deepEqual(told(answer), [
      503,
      'temporarily_unavailable',
      'this needs a database: without one the configuration is only read',
    ])
  } finally {
    await declared.stop()
  }
})
