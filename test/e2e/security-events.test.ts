/** Events of identity providers on a whole gateway: in force in every worker when they are answered. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { sendTo } from '../admin/fixture.ts'
import { createProvider, keyNamed } from '../identity-provider.ts'
import { startForTest } from './gateway.ts'

const listening = async (t: TestContext, serve: RequestListener): Promise<string> => {
  const server = createServer(serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const json = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A gateway, and the sender of events that it believes: nothing but Node's cryptography. */
async function world(t: TestContext) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const { d: _, ...jwk } = privateKey.export({ format: 'jwk' })
  const issuer = await listening(t, (_request, response) =>
    response.end(JSON.stringify({ keys: [{ ...jwk, kid: 'one', use: 'sig', alg: 'ES256' }] })),
  )
  const { gateway } = await startForTest(t)
  const admin = async (method: string, path: string, body?: object) => {
    const answer = await sendTo(gateway.adminPorts[0]!, method, path, body)
    assert.ok(answer.status < 300, answer.text)
    return answer.json as { data: Record<string, unknown>[] }
  }
  await admin('PUT', '/routes/all', { paths: ['/'] })
  await admin('PUT', '/plugins/0c4e4b1e-8a36-4b8f-9a4c-0d4a2b1f6e11', {
    name: 'jwt',
    route: { name: 'all' },
    config: {
      issuers: [{ issuer, jwks_uri: `${issuer}/jwks` }],
      consumer_optional: true,
      check_revocation: true,
      security_events: { path: '/events', audience: ['gateway'] },
    },
  })
  const signed = (claims: object, typ = 'secevent+jwt', key = privateKey): string => {
    const text = `${json({ alg: 'ES256', kid: 'one', typ })}.${json({ iss: issuer, ...claims })}`
    return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  }
  const now = Math.floor(Date.now() / 1000)
  const event = (events: object, more: object = {}): string =>
    signed({ aud: 'gateway', iat: now, jti: randomUUID(), events, ...more })
  const url = `http://127.0.0.1:${gateway.proxyPorts[0]}`
  const post = async (body: string, type: string) => {
    const response = await fetch(`${url}/events`, { method: 'POST', headers: { 'content-type': type }, body })
    return { status: response.status, body: await response.text() }
  }
  const push = (body: string) => post(body, 'application/secevent+jwt')
  const logOut = (token: string) =>
    post(String(new URLSearchParams({ logout_token: token })), 'application/x-www-form-urlencoded')
  /** What each of many new connections gets, which the workers share: 503 where it is let in, with no service behind. */
  const ask = async (token: string) => {
    const headers = { authorization: `Bearer ${token}`, connection: 'close' }
    const answers = await Promise.all(Array.from({ length: 12 }, () => fetch(url, { headers })))
    return [...new Set(answers.map(({ status }) => status))]
  }
  const access = (claims: object): string => signed({ iat: now - 5, exp: now + 600, ...claims }, 'at+jwt')
  return { gateway, admin, issuer, now, signed, event, push, logOut, post, ask, access, url }
}

const session = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const disabled = 'https://schemas.openid.net/secevent/risc/event-type/account-disabled'
const logout = 'http://schemas.openid.net/event/backchannel-logout'
const taken = { status: 202, body: '' }

test('pushed events end sessions, accounts and tokens in every worker, and nobody else’s', async (t) => {
  const { issuer, event, push, ask, access, now } = await world(t)
  const [al, bo, cy] = [access({ sub: 'al', sid: 's1' }), access({ sub: 'bo', sid: 's2' }), access({ sub: 'cy' })]
  const [di, di2] = [access({ sub: 'di', jti: 'd1' }), access({ sub: 'di', jti: 'd2' })]
  for (const token of [al, bo, cy, di, di2]) assert.deepEqual(await ask(token), [503])

  const complex = { format: 'complex', session: { format: 'opaque', id: 's1' }, user: { format: 'opaque', id: 'bo' } }
  assert.deepEqual(await push(event({ [session]: { event_timestamp: now } }, { sub_id: complex })), taken)
  assert.deepEqual([await ask(al), await ask(bo)], [[401], [503]])

  assert.deepEqual(
    await push(event({ [disabled]: { subject: { subject_type: 'iss-sub', iss: issuer, sub: 'bo' } } })),
    taken,
  )
  assert.deepEqual([await ask(bo), await ask(cy)], [[401], [503]])
  while (Date.now() / 1000 < now + 1) await new Promise((resolve) => setTimeout(resolve, 50))
  assert.deepEqual(await ask(access({ sub: 'bo', iat: now + 1 })), [503], 'what is issued after it is good')

  const oneToken = { subject: { format: 'jwt_id', iss: issuer, jti: 'd1' } }
  const revoked = 'https://schemas.openid.net/secevent/oauth/event-type/token-revoked'
  assert.deepEqual(await push(event({ [revoked]: oneToken })), taken)
  assert.deepEqual([await ask(di), await ask(di2)], [[401], [503]])

  const others = { subject: { format: 'iss_sub', iss: 'https://other.test', sub: 'cy' } }
  assert.deepEqual(await push(event({ [disabled]: others })), taken)
  assert.deepEqual(await push(event({ 'https://schemas.openid.net/secevent/ssf/event-type/verification': {} })), taken)
  assert.deepEqual(await ask(cy), [503], 'an issuer speaks of no one else’s tokens, and other events end nothing')
})

test('an event once more does nothing, also where tokens were given back since, and an old one comes too late', async (t) => {
  const { admin, event, push, ask, access, now } = await world(t)
  const token = access({ sub: 'al' })
  const text = event({ [disabled]: {} }, { sub: 'al' })
  assert.deepEqual(await push(text), taken)
  assert.deepEqual(await ask(token), [401])
  const { data } = await admin('GET', '/jwt-revocations')
  assert.equal(data.length, 1)
  const day = 86_400 + 3600
  assert.ok(
    Number(data[0]!['ttl']) > day - 400 && Number(data[0]!['ttl']) <= day + 1,
    'and as far as clocks may differ',
  )
  await admin('DELETE', `/jwt-revocations/${String(data[0]!['id'])}`)
  assert.deepEqual(await ask(token), [503])
  assert.deepEqual(await push(text), taken)
  assert.deepEqual(await ask(token), [503])

  const many = await Promise.all(Array.from({ length: 20 }, () => push(event({ [disabled]: {} }, { sub: 'al' }))))
  assert.ok(
    many.every(({ status }) => status === 202),
    'many at once of one subject',
  )
  assert.deepEqual(await ask(token), [401])
  assert.equal((await admin('GET', '/jwt-revocations')).data.length, 1)

  assert.deepEqual(await push(event({ [disabled]: {} }, { sub: 'bo', iat: now - 100_000 })), taken)
  assert.equal((await admin('GET', '/jwt-revocations')).data.length, 1, 'all tokens of that time are over')
})

test('nothing but what an issuer signed for this receiver is believed, and the sender is told why', async (t) => {
  const { signed, event, push, logOut, post, ask, access, now, url } = await world(t)
  const token = access({ sub: 'al', sid: 's1' })
  const stranger = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
  const good = { aud: 'gateway', iat: now, jti: 'x', sub: 'al', events: { [disabled]: {} } }
  const refused: readonly (readonly [string, string])[] = [
    ['', 'invalid_request'],
    ['a.b.c', 'invalid_request'],
    ['x'.repeat(100_000), 'invalid_request'],
    [signed(good, 'JWT'), 'invalid_request'],
    [signed(good, 'logout+jwt'), 'invalid_request'],
    [signed({ ...good, iss: 'https://other.test' }), 'invalid_issuer'],
    [signed({ ...good, aud: ['other'] }), 'invalid_audience'],
    [signed({ ...good, iat: now + 3600 }), 'invalid_request'],
    [signed({ ...good, iat: String(now) }), 'invalid_request'],
    [signed({ ...good, exp: now - 3600 }), 'invalid_request'],
    [signed({ ...good, jti: '' }), 'invalid_request'],
    [signed({ ...good, jti: 'x'.repeat(300) }), 'invalid_request'],
    [signed({ ...good, events: {} }), 'invalid_request'],
    [signed({ ...good, events: { [disabled]: true } }), 'invalid_request'],
    [
      signed({ ...good, events: Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`urn:${n}`, {}])) }),
      'invalid_request',
    ],
    [signed(good, 'secevent+jwt', stranger), 'authentication_failed'],
    [event({ [disabled]: {} }, { sub: 'al' }).replace(/\.[^.]*$/, '.AAAA'), 'authentication_failed'],
  ]
  for (const [text, code] of refused) {
    const { status, body } = await push(text)
    assert.equal(status, 400, text)
    assert.equal((JSON.parse(body) as { err: string }).err, code, body)
  }
  const ends = { aud: 'gateway', iat: now, exp: now + 60, jti: 'y', sid: 's1', events: { [logout]: {} } }
  const notLogouts = [
    signed({ ...ends, nonce: 'n' }, 'logout+jwt'),
    signed({ ...ends, sid: undefined }, 'logout+jwt'),
    signed({ ...ends, events: undefined }, 'logout+jwt'),
    signed({ ...ends, events: { [disabled]: {} } }, 'logout+jwt'),
    signed(ends, 'at+jwt'),
    token,
  ]
  for (const text of notLogouts) {
    const { status, body } = await logOut(text)
    assert.deepEqual([status, (JSON.parse(body) as { error: string }).error], [400, 'invalid_request'], text)
  }
  const twice = `logout_token=${signed(ends, 'logout+jwt')}&logout_token=a`
  assert.equal((await post(twice, 'application/x-www-form-urlencoded')).status, 400)
  assert.equal((await post(JSON.stringify({ logout_token: 'a' }), 'application/json')).status, 400)
  const got = await fetch(`${url}/events`)
  assert.deepEqual([got.status, got.headers.get('allow')], [405, 'POST'])
  assert.deepEqual(await ask(token), [503])

  assert.deepEqual(await ask(signed(ends, 'logout+jwt')), [401], 'what tells of tokens is none')
  assert.deepEqual(await logOut(signed(ends, 'logout+jwt')), { status: 200, body: '' })
  assert.deepEqual(await ask(token), [401])
  assert.deepEqual(await ask(access({ sub: 'al', sid: 's2' })), [503], 'another session of the same subject goes on')
})

test('an issuer that is asked tells the same, is told what was taken and what was not, and may be out for a while', async (t) => {
  const { admin, event, signed, ask, access, issuer, now } = await world(t)
  const waiting: Record<string, string> = {}
  const reports: { ack: string[]; setErrs: Record<string, { err: string }> }[] = []
  let [isOut, authorization] = [true, '' as string | undefined]
  const stream = await listening(t, (request, response) => {
    authorization = request.headers.authorization
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      if (isOut) return response.writeHead(503).end()
      const report = JSON.parse(body) as (typeof reports)[number]
      reports.push(report)
      for (const jti of [...report.ack, ...Object.keys(report.setErrs)]) delete waiting[jti]
      // It holds the request for a moment, until there is something to tell.
      const answer = () => response.end(JSON.stringify({ sets: waiting, moreAvailable: false }))
      if (Object.keys(waiting).length > 0) return answer()
      setTimeout(answer, 100)
    })
  })
  await admin('PATCH', '/plugins/0c4e4b1e-8a36-4b8f-9a4c-0d4a2b1f6e11', {
    config: {
      security_events: {
        audience: ['gateway'],
        streams: [{ endpoint: stream, authorization: 'Bearer of-the-stream' }],
      },
    },
  })
  const [al, bo] = [access({ sub: 'al' }), access({ sub: 'bo' })]
  assert.deepEqual([await ask(al), await ask(bo)], [[503], [503]])
  waiting['good'] = event({ [disabled]: {} }, { sub: 'al' })
  waiting['bad'] = signed({ aud: 'other', iat: now, jti: 'b', sub: 'bo', events: { [disabled]: {} } })
  isOut = false
  const deadline = Date.now() + 20_000
  while (Object.keys(waiting).length > 0 && Date.now() < deadline) await new Promise((done) => setTimeout(done, 20))
  assert.deepEqual(waiting, {})
  const told = reports.find(({ ack }) => ack.length > 0)
  assert.deepEqual([told?.ack, told?.setErrs['bad']?.err], [['good'], 'invalid_audience'])
  assert.deepEqual([await ask(al), await ask(bo)], [[401], [503]])
  assert.equal(authorization, 'Bearer of-the-stream')

  waiting['next'] = event({ [disabled]: { subject: { format: 'iss_sub', iss: issuer, sub: 'bo' } } })
  while (waiting['next'] !== undefined && Date.now() < deadline) await new Promise((done) => setTimeout(done, 20))
  assert.deepEqual(await ask(bo), [401])

  await admin('PATCH', '/plugins/0c4e4b1e-8a36-4b8f-9a4c-0d4a2b1f6e11', { enabled: false })
  const before = reports.length
  await new Promise((done) => setTimeout(done, 500))
  assert.ok(reports.length - before <= 1, 'who is no longer named is no longer asked')
})

test('a real identity provider logs a client out by the back channel', async (t) => {
  let serve: RequestListener | undefined
  const issuer = await listening(t, (request, response) => serve?.(request, response))
  const { gateway } = await startForTest(t)
  const url = `http://127.0.0.1:${gateway.proxyPorts[0]}`
  const provider = createProvider(issuer, {
    keys: [keyNamed('first')],
    client: { backchannel_logout_uri: `${url}/logout` },
    features: { backchannelLogout: { enabled: true } },
  })
  serve = provider.callback()
  const admin = async (method: string, path: string, body: object) => {
    const answer = await sendTo(gateway.adminPorts[0]!, method, path, body)
    assert.ok(answer.status < 300, answer.text)
  }
  await admin('PUT', '/routes/all', { paths: ['/'] })
  await admin('POST', '/plugins', {
    name: 'jwt',
    config: {
      issuers: [{ issuer }],
      consumer_optional: true,
      check_revocation: true,
      security_events: { path: '/logout', audience: ['app'] },
    },
  })
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from('app:app-secret').toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: 'grant_type=client_credentials&scope=orders:read&resource=urn:orders',
  })
  const { access_token: token } = (await response.json()) as { access_token: string }
  const ask = async () => (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status
  assert.equal(await ask(), 503)
  const client = await provider.Client.find('app')
  await client!.backchannelLogout('somebody-else', 'any')
  assert.equal(await ask(), 503)
  await client!.backchannelLogout('app', 'any')
  assert.equal(await ask(), 401)
})
