import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { STATUS_CODES } from 'node:http'
import { test } from 'node:test'
import type { Answer } from '../../pdk/kong.ts'
import { testEntities, testKong } from '../../pdk/testing.ts'
import { checkInsert } from '../../schema/check.ts'
import { createJwt } from './handler.ts'
import type { Config } from './ready.ts'
import { schema } from './schema.ts'

const text = readFileSync(new URL('example.http', import.meta.url), 'utf8')
const [preamble = '', ...examples] = text.split(/^### /m)
const key = /the key (\S+)/.exec(preamble)![1]!
const secret = /the secret (\S+)\./.exec(preamble)![1]!

const entities = testEntities()
entities.put('consumers', { id: 'a11ce000-0000-4000-8000-000000000000', username: 'alice', custom_id: 'cust-1' })
const consumer = { id: 'a11ce000-0000-4000-8000-000000000000' }
entities.put('jwt_secrets', { id: 'credential', key, secret, algorithm: 'HS256', consumer, rsa_public_key: null })

for (const example of examples) {
  const [name, ...lines] = example.trimEnd().split('\n')

  test(`example.http: ${name}`, () => {
    const settings = lines[0]!.startsWith('# config ') ? JSON.parse(lines.shift()!.slice('# config '.length)) : {}
    const [head, response, body = ''] = lines.join('\n').split('\n\n')
    assert.deepEqual(answerTo(head!, settings), { response, body })
  })
}

/** What comes of a request, written as in the file: below a 200, the headers that the upstream gets. */
function answerTo(head: string, settings: object): { response: string; body: string } {
  const [requestLine = '', ...fields] = head.split('\n')
  const [method, path] = requestLine.split(' ')
  const headers = fields.map((field) => field.split(': ', 2) as [string, string])
  const kong = testKong({ method: method!, path: path!, headers }, entities)
  const jwt = createJwt()
  const ready = jwt.prepare(configOf(settings), { id: 'plugin', name: 'jwt' })
  const answer = jwt.access!(kong, ready) as Answer | undefined
  if (answer)
    return {
      response: written(`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}`, answer.headers),
      body: String(answer.body),
    }
  const claims = (ready.extension?.headers ?? []).map(
    ({ name }) => [name, kong.upstreamHeaders.get(name.toLowerCase())?.join() ?? ''] as const,
  )
  const upstream = [...kong.identity!.headers, ...claims].map(
    ([name, value]) => `${name}: ${name === 'X-Consumer-ID' ? '*' : value}`,
  )
  return { response: 'HTTP/1.1 200 OK', body: upstream.join('\n') }
}

function written(statusLine: string, headers: Answer['headers']): string {
  return [statusLine, ...headers.map(([name, value]) => `${name}: ${value}`)].join('\n')
}

function configOf(settings: object): Config {
  const checked = checkInsert(schema, { config: settings })
  assert.ok(checked.ok)
  return checked.value['config'] as Config
}
