import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import type { Answer } from '../../pdk/kong.ts'
import { testKong } from '../../pdk/testing.ts'
import { createStandardWebhooks } from './handler.ts'

const now = 1_700_000_000
const signed = (secret: string, text: string) => `v1,${createHmac('sha256', secret).update(text).digest('base64')}`
const good = signed('secret', `msg.${now}.hello`)

interface Sent {
  readonly id?: string | null
  readonly timestamp?: string | null
  readonly signature?: string | null
  readonly body?: string
}

async function status(
  { id = 'msg', timestamp = String(now), signature = good, body = 'hello' }: Sent,
  tolerance = 300,
) {
  const given: readonly (readonly [string, string | null])[] = [
    ['webhook-id', id],
    ['webhook-timestamp', timestamp],
    ['webhook-signature', signature],
  ]
  const headers = given.flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]))
  const plugin = createStandardWebhooks(() => now)
  const ready = plugin.prepare({ secret_v1: 'secret', tolerance_second: tolerance }, { id: 'p', name: 'p' })
  const answer = (await plugin.access!(testKong({ method: 'POST', headers, body }), ready)) as Answer | undefined
  return answer?.status ?? 200
}

const old = (seconds: number): Sent => ({
  timestamp: String(now - seconds),
  signature: signed('secret', `msg.${now - seconds}.hello`),
})

const rows: readonly (readonly [name: string, sent: Sent, status: number])[] = [
  ['a signed message', {}, 200],
  ['a message without an id', { id: null }, 400],
  ['a message without a timestamp', { timestamp: null }, 400],
  ['a message without a signature', { signature: null }, 400],
  ['another id', { id: 'other' }, 400],
  ['another body', { body: 'hell' }, 400],
  ['no body', { body: '', signature: signed('secret', `msg.${now}.`) }, 400],
  ['another secret', { signature: signed('other', `msg.${now}.hello`) }, 400],
  ['a signature of another version', { signature: good.replace('v1', 'v2') }, 400],
  ['one good signature of several', { signature: `${signed('other', 'x')} ${good}` }, 200],
  ['a timestamp that is no number', { timestamp: 'now' }, 400],
  ['a timestamp in another spelling', { timestamp: '1.7e9' }, 400],
  ['a message as old as may be', old(300), 200],
  ['an older message', old(301), 400],
  ['a message from the future', old(-1000), 200],
]

for (const [name, sent, expected] of rows) {
  test(`${name}: ${expected}`, async () => {
    assert.equal(await status(sent), expected)
  })
}

test('a refusal tells nothing', async () => {
  const plugin = createStandardWebhooks()
  const answer = await plugin.access!(testKong(), { secret_v1: 'secret', tolerance_second: 1 })
  assert.deepEqual(JSON.parse(String((answer as Answer).body)).message, 'Bad request')
})
