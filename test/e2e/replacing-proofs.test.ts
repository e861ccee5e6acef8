/** What a process that takes the place of another one has to know of proofs (DPoP), so that each is good once. */
import assert from 'node:assert/strict'
import { createHash, createSecretKey, generateKeyPairSync, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { askLocally } from '../../src/cli/local-admin.ts'
import { thumbprint } from '../../src/plugins/jwt/dpop.ts'
import { signToken } from '../../src/plugins/jwt/sign.ts'
import type { JsonObject } from '../../src/plugins/jwt/token.ts'
import { client, request } from './sockets.ts'
import { startProcess } from './started.ts'

const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const jwk = pair.publicKey.export({ format: 'jwk' }) as JsonObject
const token = signToken(
  { header: { alg: 'HS256' }, payload: { iss: 'issuer', cnf: { jkt: thumbprint(jwk) } } },
  'HS256',
  createSecretKey(Buffer.from('secret')),
)
const ath = createHash('sha256').update(token).digest('base64url')

function proof(nonce?: string): string {
  const iat = Math.floor(Date.now() / 1000)
  const payload = { htm: 'GET', htu: 'http://a.test/', ath, jti: randomUUID(), iat, nonce }
  return signToken({ header: { typ: 'dpop+jwt', alg: 'ES256', jwk }, payload }, 'ES256', pair.privateKey)
}

test('a proof is good once over all processes that follow one another, and nonces stay good', async () => {
  const gateway = await startProcess({})
  const entities = {
    '/consumers/app': {},
    '/consumers/app/jwt/00000000-0000-4000-8000-000000000001': { key: 'issuer', secret: 'secret' },
    '/routes/all': { paths: ['/'] },
    '/plugins/00000000-0000-4000-8000-000000000002': { name: 'jwt', config: { dpop: { required: true, nonce: true } } },
    '/plugins/00000000-0000-4000-8000-000000000003': { name: 'request-termination', config: { status_code: 200 } },
  }
  for (const [path, body] of Object.entries(entities)) assert.ok((await gateway.put(path, body)).ok, path)
  const connect = () => client(Number(new URL(gateway.proxy[0] ?? '').port))
  const ask = async (to: ReturnType<typeof client>, dpop: string): Promise<string> => {
    const before = to.text().length
    to.send(request('/', `Authorization: DPoP ${token}`, `DPoP: ${dpop}`))
    await to.until(new RegExp(`^[^]{${before}}HTTP/1\\.1 \\d+[^]*\\r\\n\\r\\n`))
    return to.text().slice(before)
  }
  const replace = async () => assert.equal((await askLocally(gateway.prefix, 'POST', '/reload')).status, 200)
  const refused = /^HTTP\/1\.1 401 [^]*The proof was used before/

  const [one, other] = [connect(), connect()]
  const nonce = /\r\ndpop-nonce: (\S+)/i.exec(await ask(one, proof()))?.[1]
  await ask(other, proof())
  const atFirst = proof(nonce)
  assert.match(await ask(one, atFirst), /^HTTP\/1\.1 200 /)
  await replace()
  assert.match(await ask(connect(), atFirst), refused)
  const second = connect()
  const atSecond = proof(nonce)
  assert.match(await ask(second, atSecond), /^HTTP\/1\.1 200 /, 'with a nonce of the first process')
  assert.match(await ask(one, atSecond), refused, 'in the first process')
  const late = proof(nonce)
  assert.match(await ask(other, late), /^HTTP\/1\.1 200 /, 'in the first process')
  assert.match(await ask(second, late), refused)
  await replace()
  for (const used of [atFirst, atSecond, late]) assert.match(await ask(connect(), used), refused)
  assert.match(await ask(connect(), proof(nonce)), /^HTTP\/1\.1 200 /)
  assert.equal(await gateway.stop(), 0)
})
