import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Answer } from '../../pdk/kong.ts'
import { testEntities, testKong, type RequestDescription, type TestKong } from '../../pdk/testing.ts'
import keyAuth, { type Config } from './handler.ts'

const defaults: Config = {
  key_names: ['apikey'],
  key_in_header: true,
  key_in_query: true,
  key_in_body: false,
  hide_credentials: false,
  anonymous: null,
  run_on_preflight: true,
  realm: null,
}

const entities = testEntities()
const alice = { id: 'a11ce000-0000-4000-8000-000000000000', username: 'alice', custom_id: null }
entities.put('consumers', alice)
for (const [id, key] of Object.entries({ c1: 'good', c2: 'clé', c3: 'with space' })) {
  entities.put('keyauth_credentials', { id, key, consumer: { id: alice.id } })
}

async function send(
  request: RequestDescription,
  config: Partial<Config> = {},
): Promise<{ verdict: string; kong: TestKong; answer: Answer | undefined }> {
  const kong = testKong(request, entities)
  const ready = keyAuth.prepare({ ...defaults, ...config }, { id: 'p', name: 'key-auth' })
  const answer = (await keyAuth.access!(kong, ready)) as Answer | undefined
  const message = answer && (JSON.parse(String(answer.body)) as { message: string }).message
  return { verdict: message ?? kong.identity?.credential?.id ?? 'let through', kong, answer }
}

const form = { method: 'POST', headers: [['Content-Type', 'application/x-www-form-urlencoded'] as const] }
const json = { method: 'POST', headers: [['Content-Type', 'application/json'] as const] }
const none = 'No API key found in request'
const several = 'Duplicate API key found'
const wrong = 'Unauthorized'
const bytes = Buffer.from('clé', 'utf8').toString('latin1')

type Row = readonly [name: string, request: RequestDescription, verdict: string, config?: Partial<Config>]

const rows: readonly Row[] = [
  ['no key', {}, none],
  ['a header', { headers: [['ApiKey', 'good']] }, 'c1'],
  ['a header in UTF-8', { headers: [['apikey', bytes]] }, 'c2'],
  ['a wrong key', { headers: [['apikey', 'bad']] }, wrong],
  ['an empty header before a good argument', { path: '/?apikey=good', headers: [['apikey', '']] }, none],
  [
    'two headers',
    {
      headers: [
        ['apikey', 'good'],
        ['apikey', 'good'],
      ],
    },
    several,
  ],
  ['an argument', { path: '/?apikey=good' }, 'c1'],
  ['an escaped argument', { path: '/?api%6Bey=with+space' }, 'c3'],
  ['two arguments', { path: '/?apikey=good&apikey=good' }, several],
  ['a flag', { path: '/?apikey' }, none],
  ['a header before an argument', { path: '/?apikey=bad', headers: [['apikey', 'good']] }, 'c1'],
  ['a header that is not looked at', { headers: [['apikey', 'good']] }, none, { key_in_header: false }],
  ['an argument that is not looked at', { path: '/?apikey=good' }, none, { key_in_query: false }],
  ['a body that is not looked at', { ...form, body: 'apikey=good' }, none],
  ['a form', { ...form, body: 'apikey=good' }, 'c1', { key_in_body: true }],
  ['a form with two keys', { ...form, body: 'apikey=good&apikey=x' }, several, { key_in_body: true }],
  ['a JSON object', { ...json, body: '{"apikey":"good"}' }, 'c1', { key_in_body: true }],
  ['a key that is a number', { ...json, body: '{"apikey":1}' }, none, { key_in_body: true }],
  ['a key that is null', { ...json, body: '{"apikey":null}' }, none, { key_in_body: true }],
  ['a key that is a list', { ...json, body: '{"apikey":["good"]}' }, several, { key_in_body: true }],
  ['a key that is an object', { ...json, body: '{"apikey":{"a":1}}' }, several, { key_in_body: true }],
  ['a lone surrogate', { ...json, body: '{"apikey":"\\ud800"}' }, wrong, { key_in_body: true }],
  ['no JSON', { ...json, body: '{' }, none, { key_in_body: true }],
  ['a body of another type', { method: 'POST', body: 'apikey=good' }, none, { key_in_body: true }],
  ['the second name', { headers: [['token', 'good']] }, 'c1', { key_names: ['apikey', 'token'] }],
  ['a name with _', { headers: [['x-key', 'good']] }, 'c1', { key_names: ['x_key'] }],
  ['a name with -, sent with _', { headers: [['x_key', 'good']] }, none, { key_names: ['x-key'] }],
  [
    'the first name with a wrong key before a good one',
    { headers: [['token', 'good']], path: '/?apikey=bad' },
    wrong,
    { key_names: ['apikey', 'token'] },
  ],
  ['no names at all', { headers: [['apikey', 'good']] }, none, { key_names: [] }],
  ['a preflight request', { method: 'OPTIONS' }, none],
  ['a preflight request that is not looked at', { method: 'OPTIONS' }, 'let through', { run_on_preflight: false }],
]

for (const [name, request, verdict, config] of rows) {
  test(`${name}: ${verdict}`, async () => {
    assert.equal((await send(request, config)).verdict, verdict)
  })
}

test('the upstream learns whose key it is, and which', async () => {
  const { kong } = await send({ headers: [['apikey', 'good']] })
  assert.deepEqual(kong.identity?.headers, [
    ['X-Consumer-ID', alice.id],
    ['X-Consumer-Username', 'alice'],
    ['X-Credential-Identifier', 'c1'],
  ])
})

test('the challenge names the realm', async () => {
  const challenge = async (realm: string | null) =>
    new Map((await send({}, { realm })).answer?.headers).get('WWW-Authenticate')
  assert.equal(await challenge(null), 'Key')
  assert.equal(await challenge('my "own"\r\nx: y'), 'Key realm="my \\"own\\"x: y"')
})

test('a hidden key goes nowhere, wherever it was', async () => {
  const config = { hide_credentials: true, key_in_body: true }
  const { kong, verdict } = await send({ ...form, path: '/?a=1&apikey=good&b=2', body: 'apikey=good&c=3' }, config)
  assert.equal(verdict, 'c1')
  assert.deepEqual(kong.sent, { query: 'a=1&b=2', body: 'c=3' })
  assert.equal(kong.upstreamHeaders.get('apikey'), null)
})

test('a body is left alone where it holds no key', async () => {
  const config = { hide_credentials: true, key_in_body: true }
  const { kong } = await send({ ...json, path: '/?apikey=good', body: '{"a": 1}' }, config)
  assert.equal(kong.sent.body, undefined)
})

test('a request with a key waits for nothing', () => {
  const kong = testKong({ headers: [['apikey', 'good']] }, entities)
  const ready = keyAuth.prepare({ ...defaults, key_in_body: true }, { id: 'p', name: 'key-auth' })
  assert.equal(keyAuth.access!(kong, ready), undefined)
  assert.equal(kong.identity?.credential?.id, 'c1')
})
