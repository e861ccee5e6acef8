/** Tokens of an identity provider that nobody here wrote, bound to keys and certificates, and opaque ones. */
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import { connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { anyPort, sendTo } from '../admin/fixture.ts'
import { signToken } from '../../src/plugins/jwt/sign.ts'
import { keyNamed, providerOf } from '../identity-provider.ts'
import { issue, type Issued } from './certificates.ts'
import { startForTest } from './gateway.ts'

const signing = keyNamed('k')
const inHeader = 'x-client-certificate'

/** Certificates come in a header there, as from a proxy in front. */
const providerFor = (issuer: string, format: 'jwt' | 'opaque', bound: boolean): RequestListener =>
  providerOf(issuer, {
    keys: [signing],
    format,
    client: { tls_client_certificate_bound_access_tokens: bound },
    features: {
      introspection: { enabled: true },
      revocation: { enabled: true },
      dPoP: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: (context: { get(name: string): string }) => {
          const base64 = context.get(inHeader)
          return base64 === '' ? undefined : new X509Certificate(Buffer.from(base64, 'base64'))
        },
      },
    },
  })

async function world(
  t: TestContext,
  config: (issuer: string) => object,
  format: 'jwt' | 'opaque' = 'jwt',
  bound = false,
) {
  let serve: RequestListener | undefined
  const idp = createServer((request, response) => serve?.(request, response))
  await new Promise<void>((resolve) => idp.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(idp.address() as AddressInfo).port}`
  serve = providerFor(issuer, format, bound)
  const { gateway } = await startForTest(t, () => ({ proxy_listen: [anyPort, { ...anyPort, ssl: true, http2: true }] }))
  t.after(() => {
    idp.closeAllConnections()
    idp.close()
  })
  const admin = async (method: string, path: string, body: object) => {
    const answer = await sendTo(gateway.adminPorts[0]!, method, path, body)
    assert.ok(answer.status < 300, answer.text)
  }
  await admin('PUT', '/routes/all', { paths: ['/'] })
  await admin('PUT', '/consumers/app', {})
  await admin('POST', '/plugins', { name: 'jwt', config: config(issuer) })
  await admin('POST', '/plugins', { name: 'request-termination', config: { status_code: 200, message: 'let in' } })
  const atIssuer = async (path: string, body: string, headers: Record<string, string> = {}) => {
    const authorization = `Basic ${Buffer.from('app:app-secret').toString('base64')}`
    const type = 'application/x-www-form-urlencoded'
    const sent = { authorization, 'content-type': type, ...headers }
    return fetch(issuer + path, { method: 'POST', headers: sent, body })
  }
  const newToken = async (headers: Record<string, string> = {}) => {
    const response = await atIssuer(
      '/token',
      'grant_type=client_credentials&scope=orders:read&resource=urn:orders',
      headers,
    )
    const body = (await response.json()) as { access_token: string; token_type: string }
    assert.equal(response.status, 200, JSON.stringify(body))
    return body
  }
  const ask = (headers: Record<string, string>) => sendTo(gateway.proxyPorts[0]!, 'GET', '/', undefined, headers)
  return { issuer, gateway, ask, newToken, atIssuer }
}

const claims = { consumer_claim: ['client_id'], audience_required: ['orders'], scopes_required: ['orders:read'] }

test('DPoP tokens of a real identity provider are let in with a proof and the nonce, once', async (t) => {
  const { ask, newToken, issuer, gateway } = await world(t, (issuer) => ({
    ...claims,
    issuers: [{ issuer }],
    dpop: { required: true, nonce: true },
  }))
  const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const proof = (payload: object) =>
    signToken(
      {
        header: { typ: 'dpop+jwt', alg: 'ES256', jwk: pair.publicKey.export({ format: 'jwk' }) },
        payload: { jti: randomUUID(), iat: Math.floor(Date.now() / 1000), ...payload },
      },
      'ES256',
      pair.privateKey,
    )
  const { access_token: token, token_type } = await newToken({ DPoP: proof({ htm: 'POST', htu: `${issuer}/token` }) })
  assert.equal(token_type, 'DPoP')
  const htu = `http://127.0.0.1:${gateway.proxyPorts[0]}/`
  const ath = createHash('sha256').update(token).digest('base64url')
  const send = (dpop: string) => ask({ Authorization: `DPoP ${token}`, DPoP: dpop, Connection: 'close' })
  const first = await send(proof({ htm: 'GET', htu, ath }))
  assert.equal(first.status, 401)
  assert.match(String(first.headers['www-authenticate']), /^DPoP error="use_dpop_nonce"/)
  const nonce = String(first.headers['dpop-nonce'])
  const good = proof({ htm: 'GET', htu, ath, nonce })
  const many = await Promise.all(Array.from({ length: 20 }, () => send(good)))
  assert.deepEqual(many.filter(({ status }) => status === 200).length, 1, 'whichever workers they reach')
  assert.equal((await send(proof({ htm: 'GET', htu, ath, nonce }))).status, 200)
  assert.equal((await ask({ Authorization: `Bearer ${token}` })).status, 401)
})

/** A gateway that asks for certificates, and a token of an identity provider that is bound to the client's own. */
async function boundToCertificate(t: TestContext) {
  const own = issue('client')
  const { newToken, gateway } = await world(
    t,
    (issuer) => ({ ...claims, issuers: [{ issuer }], certificate_bound: true }),
    'jwt',
    true,
  )
  const base64 = new X509Certificate(own.cert).raw.toString('base64')
  const { access_token: token } = await newToken({ [inHeader]: base64 })
  return { own, token, ports: gateway.proxyPorts }
}

/** Sends a request over TLS, with a certificate where one is given. */
function askTls(port: number, token: string, own?: Issued): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        rejectUnauthorized: false,
        agent: false,
        headers: { Authorization: `Bearer ${token}` },
        ...(own && { cert: own.cert, key: own.key }),
      },
      (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      },
    )
    request.on('error', reject)
    request.end()
  })
}

test('a token that an identity provider has bound to a certificate is good with that one alone', async (t) => {
  const { own, token, ports } = await boundToCertificate(t)
  const [plain = 0, tls = 0] = ports
  assert.equal(await askTls(tls, token, own), 200)
  assert.equal(await askTls(tls, token, issue('another')), 401)
  assert.equal(await askTls(tls, token), 401)
  assert.equal((await sendTo(plain, 'GET', '/', undefined, { Authorization: `Bearer ${token}` })).status, 401)
})

/** Sends requests one after another over one HTTP/2 connection, with a certificate where one is given. */
async function askHttp2(port: number, token: string, own?: Issued): Promise<(number | undefined)[]> {
  const client = connect(`https://127.0.0.1:${port}`, {
    rejectUnauthorized: false,
    ...(own && { cert: own.cert, key: own.key }),
  })
  const one = () =>
    new Promise<number | undefined>((resolve, reject) => {
      const stream = client.request({ ':path': '/', authorization: `Bearer ${token}` })
      stream.on('response', (headers) => resolve(headers[':status']))
      stream.on('error', reject)
      stream.resume()
    })
  try {
    return [await one(), await one()]
  } finally {
    client.close()
  }
}

test('the same holds over HTTP/2, for every request of the connection', async (t) => {
  const { own, token, ports } = await boundToCertificate(t)
  const [, tls = 0] = ports
  assert.deepEqual(await askHttp2(tls, token, own), [200, 200])
  assert.deepEqual(await askHttp2(tls, token, issue('another')), [401, 401])
  assert.deepEqual(await askHttp2(tls, token), [401, 401])
})

test('opaque tokens of a real identity provider are let in until they are taken back there', async (t) => {
  const { ask, newToken, atIssuer } = await world(
    t,
    (issuer) => ({
      ...claims,
      introspection: {
        endpoint: `${issuer}/token/introspection`,
        client_id: 'app',
        client_secret: 'app-secret',
        ttl: 0,
      },
    }),
    'opaque',
  )
  const { access_token: token } = await newToken()
  assert.ok(!token.includes('.'))
  const send = () => ask({ Authorization: `Bearer ${token}` })
  const answer = await send()
  assert.equal(answer.status, 200, answer.text)
  assert.equal((await ask({ Authorization: 'Bearer made-up' })).status, 401)
  await atIssuer('/token/revocation', `token=${token}`)
  assert.equal((await send()).status, 401)
})
