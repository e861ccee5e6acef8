import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, test } from 'node:test'
import type { CommandContext } from './command.ts'
import { command as explainCommand, explain } from './jwt-explain.ts'
import { command as signCommand, sign } from './jwt-sign.ts'
import { run } from './run.ts'
import { startTestAdmin } from '../../test/admin/fixture.ts'
import type { Report } from '../plugins/jwt/report.ts'

const now = 1_700_000_000
const folder = mkdtempSync(join(tmpdir(), 'gibbon-jwt-'))
after(() => rmSync(folder, { recursive: true }))

const file = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** Runs one of the two commands as it would be typed, at the time of this file. */
async function typed(
  name: 'sign' | 'explain',
  ...argv: string[]
): Promise<{ status: number; out: string; err: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const command = name === 'sign' ? signCommand : explainCommand
  const atThatTime = (context: CommandContext) => (name === 'sign' ? sign : explain)(context, () => now)
  const status = await run({ ...command, run: atThatTime }, argv, { stdout, stderr, env: {} })
  return { status, out: textIn(stdout), err: textIn(stderr) }
}

function textIn(stream: PassThrough): string {
  let text = ''
  for (let piece = stream.read(); piece !== null; piece = stream.read()) text += String(piece)
  return text
}

const parts = (token: string) =>
  token
    .trim()
    .split('.', 2)
    .map((part) => Buffer.from(part, 'base64url').toString())

test("the how-to's token is made byte for byte", async () => {
  const { out, status } = await typed(
    'sign',
    '--claim',
    'iss=YJdmaDvVTJxtcWRCvkMikc8oELgAVNcz',
    '--secret',
    'C50k0bcahDhLNhLKSUBSR1OMiFGzNZ7X',
  )
  assert.equal(status, 0)
  assert.equal(
    out,
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJZSmRtYUR2VlRKeHRjV1JDdmtNaWtjOG9FTGdBVk5jeiJ9.xG-DrlD4vcYBqhuhK_jrwFIALvVvU-qTOiNyIfUhn_Y\n',
  )
})

test('claims, times and header members go into the token', async () => {
  const claims = ['--payload', '{"iss":"k"}', '--claim', 'sub=a=b', '--claim', 'admin:=true', '--claim', '__proto__=x']
  const { out } = await typed(
    'sign',
    '--secret',
    's',
    ...claims,
    '--exp',
    '+1h',
    '--nbf=-5m',
    '--iat',
    '--header',
    '{"kid":"1"}',
  )
  assert.deepEqual(parts(out), [
    '{"alg":"HS256","typ":"JWT","kid":"1"}',
    `{"iss":"k","sub":"a=b","admin":true,"__proto__":"x","nbf":${now - 300},"exp":${now + 3600},"iat":${now}}`,
  ])
})

test('a payload to which nothing is added goes into the token as it is', async () => {
  const { out } = await typed('sign', '--secret', 's', '--payload', '{ "iss" : 1e2 }')
  assert.equal(parts(out)[1], '{ "iss" : 1e2 }')
})

test('the header may name the algorithm', async () => {
  const { out } = await typed('sign', '--secret', 's', '--header', '{"alg":"HS512"}', '--json')
  assert.deepEqual(JSON.parse(out).header, { alg: 'HS512', typ: 'JWT' })
})

test('a secret from a file is without the line end behind it', async () => {
  const fromFile = await typed('sign', '--secret-file', file('secret', 'the secret\n'))
  assert.equal(fromFile.out, (await typed('sign', '--secret', 'the secret')).out)
  const base64 = await typed('sign', '--secret-base64', '--secret', 'dGhlIHNlY3JldA==')
  assert.equal(base64.out, fromFile.out)
})

const wrongly: Readonly<Record<string, readonly [argv: readonly string[], says: RegExp]>> = {
  'no secret': [[], /HS256 signs with a secret/],
  'an empty secret': [['--secret', ''], /the secret is empty/],
  'a secret that is no base64': [['--secret', 'hush!', '--secret-base64'], /the secret is not base64/],
  'an unknown algorithm': [['--alg', 'none'], /no algorithm "none"; there are HS256/],
  'two algorithms': [
    ['--alg', 'HS256', '--header', '{"alg":"HS512"}', '--secret', 's'],
    /--alg says HS256, --header says "HS512"/,
  ],
  'no key file': [['--alg', 'ES256'], /ES256 signs with a private key/],
  'a key file that is not there': [['--alg', 'ES256', '--key-file', join(folder, 'none')], /--key-file: ENOENT/],
  'a claim without a value': [['--claim', 'iss', '--secret', 's'], /--claim iss is not NAME=TEXT/],
  'a time that is none': [['--exp', 'tomorrow', '--secret', 's'], /--exp tomorrow is not \+1h/],
  'a payload that is no object': [['--payload', '[1]', '--secret', 's'], /--payload is not a JSON object/],
  'a token as an argument': [['a.b.c'], /nothing is known of "a.b.c"/],
}

for (const [what, [argv, says]] of Object.entries(wrongly)) {
  test(`${what} is told, with status 2`, async () => {
    const { status, out, err } = await typed('sign', ...argv)
    assert.deepEqual({ status, out }, { status: 2, out: '' })
    assert.match(err, says)
    assert.ok(!err.includes('hush'))
  })
}

const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const ecFile = file('ec.pem', ec.privateKey.export({ type: 'pkcs8', format: 'pem' }))

test('a private key that does not suit the algorithm is told', async () => {
  const { status, err } = await typed('sign', '--alg', 'RS256', '--key-file', ecFile)
  assert.equal(status, 2)
  assert.match(err, /RS256 cannot sign with the key in --key-file, which is ec prime256v1/)
})

const hidden = 'hidden-secret'
const jwtSecrets = [
  { key: 'hs', secret: hidden, algorithm: 'HS256' },
  {
    key: 'es',
    secret: hidden,
    algorithm: 'ES256',
    rsa_public_key: ec.publicKey.export({ type: 'spki', format: 'pem' }),
  },
]
const declaration = {
  _format_version: '3.0',
  services: [
    {
      name: 'orders',
      url: 'http://127.0.0.1:9',
      routes: [
        {
          name: 'strict',
          paths: ['/strict'],
          plugins: [{ name: 'jwt', config: { claims_to_verify: ['exp'], realm: 'r' } }],
        },
        {
          name: 'lax',
          paths: ['/lax'],
          plugins: [{ name: 'jwt', config: { secret_is_base64: true, anonymous: 'guest' } }],
        },
      ],
    },
  ],
  consumers: [{ username: 'alice', jwt_secrets: jwtSecrets }, { username: 'guest' }],
}
const yaml = file('kong.json', JSON.stringify(declaration))
const signed = async (...argv: string[]) => (await typed('sign', ...argv)).out.trim()

test('a good token is explained step by step, with the headers that the upstream gets', async () => {
  const token = await signed('--alg', 'ES256', '--key-file', ecFile, '--claim', 'iss=es', '--exp', '+10s')
  const { status, out } = await typed('explain', '--file', yaml, '--on', 'strict', `Bearer ${token}`)
  assert.equal(status, 0)
  assert.match(out, /jwt plugin [\da-f-]{36} on route "strict"/)
  assert.match(out, /ok\s+times\s+exp 1700000010 \(2023-11-14T22:13:30Z\), in 10 s/)
  assert.match(out, /X-Consumer-Username: alice/)
  assert.match(out, /X-Credential-Identifier: es/)
})

test('an expired token is explained with the distance from the clock in seconds, and its answer', async () => {
  const token = await signed('--secret', hidden, '--claim', 'iss=hs', '--exp=-35s')
  const { status, out } = await typed('explain', '--file', yaml, '--on', 'strict', token)
  assert.equal(status, 1)
  assert.match(out, /ok\s+signature/)
  assert.match(out, /FAILED\s+times\s+exp 1699999965 \(2023-11-14T22:12:45Z\), 35 s ago/)
  assert.match(out, /401 \{"exp":"token expired"\}\n {2}WWW-Authenticate: Bearer realm="r", error="invalid_token"/)
  const earlier = await typed('explain', '--file', yaml, '--on', 'strict', '--now=-1m', token)
  assert.equal(earlier.status, 0)
})

test('every plugin is explained where none is chosen, and what would help is hinted at', async () => {
  const { status, out } = await typed(
    'explain',
    '--file',
    yaml,
    await signed('--secret', hidden, '--claim', 'iss=hs', '--exp', '+1m'),
  )
  assert.equal(status, 1)
  assert.match(out, /on route "strict"[^]*let in[^]*on route "lax"[^]*FAILED\s+signature/)
  assert.match(out, /hint: the signature would be right with secret_is_base64: false/)
  assert.match(out, /goes on as the anonymous consumer "guest" in place of 401/)
})

test('what is explained for programs says the same', async () => {
  const { out } = await typed(
    'explain',
    '--file',
    yaml,
    '--on',
    'strict',
    '--json',
    await signed('--secret', 'x', '--claim', 'iss=nobody'),
  )
  const { header, claims, plugins } = JSON.parse(out)
  assert.deepEqual([header.alg, claims.iss], ['HS256', 'nobody'])
  const outcomes = plugins[0].steps.map((step: { step: string; outcome: string }) => `${step.step} ${step.outcome}`)
  assert.deepEqual(outcomes.slice(0, 4), ['find passed', 'decode passed', 'credential failed', 'algorithm not reached'])
  assert.deepEqual(plugins[0].answer.body, { message: "No credentials found for given 'iss'" })
})

test('neither secrets nor keys are printed, and nothing that moves a terminal', async () => {
  const tokens = [
    await signed('--secret', hidden, '--claim', 'iss=hs', '--claim', 'x:="\\u001b[2J\\u009b\\u202e"'),
    await signed('--secret', 'wrong', '--claim', 'iss=es'),
    'x.y.z',
  ]
  for (const token of tokens) {
    for (const json of [[], ['--json']]) {
      const { out, err } = await typed('explain', '--file', yaml, ...json, token)
      assert.ok(!`${out}${err}`.includes(hidden) && !out.includes('PUBLIC KEY'))
      // oxlint-disable-next-line no-control-regex
      if (json.length === 0) assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
    }
  }
})

test('what is missing or unreadable is told', async () => {
  const problem = async (...argv: string[]) => {
    const { status, err } = await typed('explain', ...argv)
    return `${status} ${err}`
  }
  assert.match(await problem(), /^2 .*give the token, or --token-file/)
  assert.match(await problem('a', 'b'), /^2 .*one token at a time/)
  assert.match(await problem('--token-file', join(folder, 'none')), /^2 .*ENOENT/)
  assert.match(await problem('--file', join(folder, 'none'), 'a.b.c'), /^1 .*ENOENT/)
  assert.match(await problem('--file', file('bad.yaml', 'services: 5'), 'a.b.c'), /^1 .*is no valid configuration/)
  assert.match(await problem('--file', yaml, '--on', 'nothing', 'a.b.c'), /^1 .*no jwt plugin is called "nothing"/)
  const gone = createServer().listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port } = gone.address() as AddressInfo
  await new Promise((resolve) => gone.close(resolve))
  assert.match(
    await problem('--admin', `http://127.0.0.1:${port}`, 'a.b.c'),
    /^1 .*http:\/\/127.0.0.1:\d+: .*ECONNREFUSED/,
  )
})

test('a running gateway is asked, and its clock counts', async (t) => {
  const gateway = await startTestAdmin()
  t.after(() => gateway.stop())
  await gateway.send('POST', '/services', { name: 'orders', url: 'http://127.0.0.1:9' })
  await gateway.send('POST', '/services/orders/routes', { name: 'strict', paths: ['/strict'] })
  await gateway.send('POST', '/routes/strict/plugins', { name: 'jwt', config: { claims_to_verify: ['exp'] } })
  await gateway.send('POST', '/consumers', { username: 'alice' })
  await gateway.send('POST', '/consumers/alice/jwt', { ...jwtSecrets[0], key: 'a/b c' })
  const admin = `http://127.0.0.1:${gateway.port}/`
  const token = await signed('--secret', hidden, '--claim', 'iss=a/b c', '--exp', '+60s')
  const expired = await typed('explain', '--admin', admin, token)
  assert.equal(expired.err, '')
  assert.match(expired.out, /by the gateway's clock, which is \d+ s ahead of this machine's/)
  assert.match(expired.out, /on route "strict"[^]*FAILED\s+times\s+exp \d+ \(.*\), \d+ s ago/)
  const earlier = await typed('explain', '--admin', admin, '--on', 'strict', '--now', String(now), '--json', token)
  const { judged_at, plugins } = JSON.parse(earlier.out) as Report
  assert.deepEqual(
    [judged_at, plugins[0]?.accepted, plugins[0]?.upstream_headers.at(-1)],
    [now, true, ['X-Credential-Identifier', 'a/b c']],
  )
  const unknown = await typed('explain', '--admin', admin, await signed('--secret', hidden, '--claim', 'iss=other'))
  assert.match(unknown.out, /no jwt credential has that key/)
  assert.match((await typed('explain', '--admin', admin, '--on', 'none', token)).err, /no jwt plugin is called "none"/)
})
