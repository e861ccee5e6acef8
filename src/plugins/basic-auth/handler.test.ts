import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Answer } from '../../pdk/kong.ts'
import { testEntities, testKong, type TestKong } from '../../pdk/testing.ts'
import { basicauth_credentials, passwordHash } from './credentials.ts'
import basicAuth, { type Config } from './handler.ts'

const defaults: Config = { hide_credentials: false, anonymous: null, realm: 'service' }
const alice = { id: 'a11ce000-0000-4000-8000-000000000000', username: 'alice', custom_id: null }
const entities = testEntities()
entities.put('consumers', alice)
for (const [username, password] of Object.entries({ al: 'secret', colon: 'with:colon', clé: 'pässwörd', empty: '' })) {
  const hashed = passwordHash(password, alice.id)
  entities.put('basicauth_credentials', { id: username, username, password: hashed, consumer: { id: alice.id } })
}
entities.put('basicauth_credentials', {
  id: 'orphan',
  username: 'orphan',
  password: passwordHash('x', 'gone'),
  consumer: { id: 'gone' },
})

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

function send(
  headers: readonly (readonly [string, string])[],
  config: Partial<Config> = {},
): { verdict: string | number; kong: TestKong; answer: Answer | undefined } {
  const kong = testKong({ headers }, entities)
  const ready = basicAuth.prepare({ ...defaults, ...config }, { id: 'p', name: 'basic-auth' })
  const answer = basicAuth.access!(kong, ready) as Answer | undefined
  return { verdict: answer?.status ?? String(kong.identity?.credential?.id), kong, answer }
}

const rows: readonly (readonly [name: string, header: string, verdict: string | number])[] = [
  ['a good password', basic('al:secret'), 'al'],
  ['a wrong password', basic('al:Secret'), 401],
  ['a password that only begins right', basic('al:secretly'), 401],
  ['no password', basic('al:'), 401],
  ['an empty password that is right', basic('empty:'), 'empty'],
  ['a password with a colon', basic('colon:with:colon'), 'colon'],
  ['names and passwords in UTF-8', basic('clé:pässwörd'), 'clé'],
  ['a name that nobody has', basic('nobody:secret'), 401],
  ['a name in another case', basic('AL:secret'), 401],
  ['colons before the name', basic('::al:secret'), 'al'],
  ['no name', basic(':secret'), 401],
  ['no colon', basic('al'), 401],
  ['a scheme in small letters', basic('al:secret').replace('Basic', 'basic'), 'al'],
  ['a scheme in capitals', basic('al:secret').replace('Basic', 'BASIC'), 401],
  ['text before the scheme', `Hello ${basic('al:secret')}`, 'al'],
  ['a scheme without a space', basic('al:secret').replace(' ', ''), 'al'],
  ['another scheme', 'Bearer abc', 401],
  ['no base64', 'Basic !!!', 401],
  ['base64 with one character left over', 'Basic YWw6c', 401],
  ['what follows the padding', `${basic('al:secret')}=junk`, 'al'],
  ['a credential without a consumer', basic('orphan:x'), 401],
]

for (const [name, header, verdict] of rows) {
  test(`${name}: ${verdict}`, () => {
    assert.equal(send([['Authorization', header]]).verdict, verdict)
  })
}

test('without a header the answer challenges with the realm', () => {
  const { answer } = send([], { realm: 'my realm' })
  assert.equal(answer?.status, 401)
  assert.equal(new Map(answer.headers).get('WWW-Authenticate'), 'Basic realm="my realm"')
})

const both = (proxy: string, own: string) =>
  [
    ['Proxy-Authorization', proxy],
    ['Authorization', own],
  ] as const

test('Proxy-Authorization decides where its user exists, else Authorization does', () => {
  assert.equal(send(both(basic('al:secret'), basic('al:bad'))).verdict, 'al')
  assert.equal(send(both(basic('al:bad'), basic('al:secret'))).verdict, 401)
  assert.equal(send(both(basic('nobody:x'), basic('al:secret'))).verdict, 'al')
  assert.equal(send(both('Bearer x', basic('al:secret'))).verdict, 'al')
})

test('hidden credentials are taken out of the headers that were looked at', () => {
  const hidden = (headers: Parameters<typeof send>[0]) => [
    ...send(headers, { hide_credentials: true }).kong.upstreamHeaders.keys(),
  ]
  assert.deepEqual(hidden([['Authorization', basic('al:secret')]]), ['proxy-authorization', 'authorization'])
  assert.deepEqual(hidden(both(basic('al:secret'), basic('al:bad'))), ['proxy-authorization'])
})

test('passwords are kept as the hash that Kong keeps', () => {
  const entity = { password: 'pw', consumer: { id: '00000201-0000-4000-8000-000000000000' } }
  const kept = basicauth_credentials.$transform(entity, new Set(['password']))
  assert.deepEqual(kept, { password: '465d36ff93b14becd5b391004f5ed2eb482ba6cb' })
})

test('a password that was not sent stays as it is', () => {
  assert.deepEqual(basicauth_credentials.$transform({ password: 'hash', consumer: { id: 'x' } }, new Set(['tags'])), {})
})

test('a password that was changed, and one whose consumer is gone, ends at once what was remembered of it', () => {
  const authorization = [['Authorization', basic('turn:first')]] as const
  const put = (password: string) =>
    entities.put('basicauth_credentials', {
      id: 'turn',
      username: 'turn',
      password: passwordHash(password, bob.id),
      consumer: { id: bob.id },
    })
  const bob = { id: 'b0b00000-0000-4000-8000-000000000000', username: 'bob', custom_id: null }
  entities.put('consumers', bob)
  put('first')
  assert.deepEqual([send(authorization).verdict, send(authorization).verdict], ['turn', 'turn'])
  put('second')
  assert.equal(send(authorization).verdict, 401)
  put('first')
  assert.equal(send(authorization).verdict, 'turn')
  entities.put('consumers', { ...bob, custom_id: 'new' })
  assert.equal(new Map(send(authorization).kong.identity?.headers).get('X-Consumer-Custom-ID'), 'new')
  entities.delete('consumers', bob.id)
  assert.equal(send(authorization).verdict, 401)
})

test('what was remembered is hidden from the upstream all the same', () => {
  const authorization = [['Authorization', basic('al:secret')]] as const
  send(authorization)
  assert.deepEqual(
    [...send(authorization, { hide_credentials: true }).kong.upstreamHeaders.keys()],
    ['proxy-authorization', 'authorization'],
  )
})

test('after three wrong passwords nobody is let in by that name for a while, by the right one neither', () => {
  const guarded = (text: string) =>
    send([['Authorization', basic(text)]], { brute_force_protection: { strategy: 'memory' } })
  const verdicts = ['clé:pässwörd', 'clé:a', 'clé:b', 'clé:c', 'clé:pässwörd', 'clé:d'].map(
    (text) => guarded(text).verdict,
  )
  assert.deepEqual(verdicts, ['clé', 401, 401, 401, 429, 429])
  const { answer, kong } = guarded('clé:pässwörd')
  assert.match(String(new Map(answer?.headers).get('Retry-After')), /^([1-9]|10)$/)
  assert.equal(kong.identity, undefined)
  assert.deepEqual(
    ['nobody:a', 'nobody:b', 'nobody:c', 'nobody:d'].map((text) => guarded(text).verdict),
    [401, 401, 401, 429],
  )
  assert.equal(send([['Authorization', basic('clé:pässwörd')]]).verdict, 'clé')
})

test('a name that has to wait goes on as the anonymous consumer where there is one', () => {
  const config: Partial<Config> = { anonymous: alice.id, brute_force_protection: { strategy: 'memory' } }
  for (const password of ['a', 'b', 'c']) send([['Authorization', basic(`colon:${password}`)]], config)
  const { verdict, kong } = send([['Authorization', basic('colon:with:colon')]], config)
  assert.equal(verdict, 'undefined')
  assert.equal(kong.identity?.consumer?.id, alice.id)
})
