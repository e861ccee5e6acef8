import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import type { Answer } from '../../pdk/kong.ts'
import { testEntities, testKong, type RequestDescription, type TestKong } from '../../pdk/testing.ts'
import { createHmacAuth, type Config } from './handler.ts'

const defaults: Config = {
  hide_credentials: false,
  clock_skew: 300,
  anonymous: null,
  validate_request_body: false,
  enforce_headers: [],
  algorithms: ['hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512'],
  realm: null,
}
const date = 'Mon, 23 Nov 2026 10:00:00 GMT'
const now = Date.parse(date) / 1000
const alice = { id: 'a11ce000-0000-4000-8000-000000000000', username: 'alice', custom_id: null }
const entities = testEntities()
entities.put('consumers', alice)
entities.put('hmacauth_credentials', { id: 'c1', username: 'al', secret: 'key', consumer: { id: alice.id } })
entities.put('hmacauth_credentials', { id: 'c2', username: 'open', secret: '', consumer: { id: alice.id } })
entities.put('hmacauth_credentials', { id: 'c3', username: 'none', secret: null, consumer: { id: alice.id } })

async function send(
  request: RequestDescription,
  config: Partial<Config> = {},
  clock = now,
): Promise<{ verdict: string; kong: TestKong; answer: Answer | undefined }> {
  const plugin = createHmacAuth(() => clock)
  const kong = testKong(request, entities)
  const ready = plugin.prepare({ ...defaults, ...config }, { id: 'p', name: 'hmac-auth' })
  const answer = (await plugin.access!(kong, ready)) as Answer | undefined
  const message = answer && (JSON.parse(String(answer.body)) as { message: string }).message
  return { verdict: message ?? String(kong.identity?.credential?.id), kong, answer }
}

/** An Authorization header with a right signature of `text`. */
function signed(headers: string, text: string, { algorithm = 'sha256', secret = 'key', username = 'al' } = {}): string {
  const signature = createHmac(algorithm, secret).update(text).digest('base64')
  return `hmac username="${username}", algorithm="hmac-${algorithm}", headers="${headers}", signature="${signature}"`
}

const dated = (authorization: string, ...more: [string, string][]): RequestDescription => ({
  headers: [['Date', date], ['Authorization', authorization], ...more],
})
const good = dated(signed('date', `date: ${date}`))

const unverifiable = 'HMAC signature cannot be verified'
const different = 'HMAC signature does not match'
const badDate = 'HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication'

for (const algorithm of ['sha1', 'sha256', 'sha384', 'sha512']) {
  test(`hmac-${algorithm} is verified`, async () => {
    const request = dated(signed('date', `date: ${date}`, { algorithm }))
    assert.equal((await send(request)).verdict, 'c1')
    const others = defaults.algorithms!.filter((name) => name !== `hmac-${algorithm}`)
    assert.equal((await send(request, { algorithms: others })).verdict, unverifiable)
  })
}

type Row = readonly [name: string, request: RequestDescription, verdict: string, config?: Partial<Config>]

const rows: readonly Row[] = [
  ['no header', {}, 'Unauthorized'],
  ['no date', { headers: [['Authorization', signed('date', '')]] }, badDate],
  ['no scheme that is known', dated('Basic YWw6a2V5'), unverifiable],
  ['a name that nobody has', dated(signed('date', `date: ${date}`, { username: 'nobody' })), unverifiable],
  ['another secret', dated(signed('date', `date: ${date}`, { secret: 'other' })), different],
  [
    'an empty secret, which everyone knows',
    dated(signed('date', `date: ${date}`, { secret: '', username: 'open' })),
    different,
  ],
  ['a credential without a secret', dated(signed('date', `date: ${date}`, { username: 'none' })), different],
  ['a signature that is no base64', dated(signed('date', 'x').replace(/signature=".*"/, 'signature="!"')), different],
  ['a signature that only begins right', dated(signed('date', `date: ${date}`).replace(/.{8}"$/, '"')), different],
  ['an unknown algorithm', dated(signed('date', `date: ${date}`).replace('sha256', 'md5')), unverifiable],
  [
    'an algorithm of every object',
    dated(signed('date', `date: ${date}`).replace('hmac-sha256', 'toString')),
    unverifiable,
  ],
  ['a header that was not sent', dated(signed('date x-none', `date: ${date}\nx-none:`)), 'c1'],
  ['a header in any case', dated(signed('DATE', `DATE: ${date}`)), 'c1'],
  ['two spaces between names', dated(signed('date  date', `date: ${date}\n:\ndate: ${date}`)), 'c1'],
  ['the scheme with a capital', dated(signed('date', `date: ${date}`).replace('hmac', 'Hmac')), 'c1'],
  ['no white space', dated(signed('date', `date: ${date}`).replaceAll(', ', ',')), 'c1'],
  ['text before the scheme', dated(`Then: ${signed('date', `date: ${date}`)}`), 'c1'],
  [
    'the request target',
    {
      ...dated(signed('date @request-target', `date: ${date}\n@request-target: post /a%2Fb?c=d&e`)),
      method: 'POST',
      path: '/a%2Fb?c=d&e',
    },
    'c1',
  ],
  [
    'the request line',
    { ...dated(signed('request-line', 'DELETE /a?b HTTP/1.1')), method: 'DELETE', path: '/a?b' },
    'c1',
  ],
  ['an enforced header that is signed', good, 'c1', { enforce_headers: ['date'] }],
  ['an enforced header that is not', good, unverifiable, { enforce_headers: ['date', 'host'] }],
]

for (const [name, request, verdict, config] of rows) {
  test(`${name}: ${verdict}`, async () => {
    assert.equal((await send(request, config)).verdict, verdict)
  })
}

test('a date may be as far from now as the skew, on either side', async () => {
  for (const [away, verdict] of [
    [-301, badDate],
    [-300, 'c1'],
    [300, 'c1'],
    [301, badDate],
  ] as const) {
    assert.equal((await send(good, {}, now + away)).verdict, verdict)
  }
})

test('one good date of X-Date and Date is enough', async () => {
  const authorization = signed('date', `date: ${date}`)
  assert.equal((await send(dated(authorization, ['X-Date', 'yesterday']))).verdict, 'c1')
  const late = signed('x-date', `x-date: ${date}`)
  const request: RequestDescription = {
    headers: [
      ['Date', 'x'],
      ['X-Date', date],
      ['Authorization', late],
    ],
  }
  assert.equal((await send(request)).verdict, 'c1')
})

test('Proxy-Authorization decides where it holds a signature', async () => {
  const wrong = signed('date', 'x')
  const right = signed('date', `date: ${date}`)
  assert.equal((await send(dated(wrong, ['Proxy-Authorization', right]))).verdict, 'c1')
  assert.equal((await send(dated(right, ['Proxy-Authorization', wrong]))).verdict, different)
  assert.equal((await send(dated(right, ['Proxy-Authorization', 'Basic x']))).verdict, 'c1')
})

test('a hidden signature is taken out of the header that it was in', async () => {
  const { kong } = await send(good, { hide_credentials: true })
  assert.deepEqual([...kong.upstreamHeaders], [['authorization', null]])
})

const digest = (body: string) => `SHA-256=${createHash('sha256').update(body).digest('base64')}`

for (const [name, body, header, verdict] of [
  ['its digest', 'hello', digest('hello'), 'c1'],
  ["another body's digest", 'hello', digest('hell'), different],
  ['no digest', 'hello', undefined, different],
  ['no digest, being empty', '', undefined, 'c1'],
  ['a digest of another kind', 'hello', 'MD5=XUFAKrxLKna5cZ2REBfFkg==', different],
] as const) {
  test(`a body with ${name}: ${verdict}`, async () => {
    const request = {
      ...dated(signed('date', `date: ${date}`), ...(header ? [['Digest', header] as [string, string]] : [])),
      body,
    }
    assert.equal((await send(request, { validate_request_body: true })).verdict, verdict)
  })
}

test('the challenge names the realm', async () => {
  const challenge = async (realm: string | null) =>
    new Map((await send({}, { realm })).answer?.headers).get('WWW-Authenticate')
  assert.deepEqual([await challenge(null), await challenge('r')], ['hmac', 'hmac realm="r"'])
})
