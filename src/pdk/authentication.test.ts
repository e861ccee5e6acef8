import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authenticate, type Authentication } from './authentication.ts'
import { identityOf } from './identity.ts'
import type { AccessKong } from './kong.ts'
import type { Outcome } from './plugin.ts'
import { testEntities, testKong } from './testing.ts'

interface Ready extends Authentication {
  readonly header: string
}

/** An authentication plugin made for this test: it believes the consumer's name that a header holds. */
const attempt = (kong: AccessKong, { header }: Ready): Outcome => {
  const name = kong.request.get_header(header)
  const consumer = kong.entities.by('consumers', 'username', name ?? '')
  if (consumer === undefined) return kong.response.exit(401, { message: `no ${header}` })
  kong.client.authenticate(identityOf(consumer.entity, { id: `${header}-${name}` }, `${header}-${name}`))
  return undefined
}
/** The same, but it has to wait for its answer. */
const attemptLater = async (kong: AccessKong, ready: Ready): Promise<Awaited<Outcome>> => attempt(kong, ready)

const entities = testEntities()
entities.put('consumers', { id: '11111111-1111-4111-8111-111111111111', username: 'alice', custom_id: 'cid-a' })
entities.put('consumers', { id: '22222222-2222-4222-8222-222222222222', username: 'bob' })
entities.put('consumers', { id: '33333333-3333-4333-8333-333333333333', username: 'guest' })

/** What a request with these headers comes to on a route with these plugins, in their order. */
function run(plugins: readonly Ready[], headers: Record<string, string>): string {
  const kong = testKong({ headers: Object.entries(headers) }, entities)
  for (const ready of plugins) {
    const outcome = authenticate(kong, ready, attempt)
    if (outcome && 'status' in outcome) return `${outcome.status} ${String(outcome.body)}`
  }
  const { consumer, credential } = kong.identity ?? {}
  return `${String(consumer?.['username'])} ${credential?.id ?? 'anonymous'}`
}

const and = [
  { header: 'one', anonymous: null },
  { header: 'two', anonymous: null },
]
const or = [
  { header: 'one', anonymous: 'guest' },
  { header: 'two', anonymous: 'guest' },
]
const firstAnonymous = [
  { header: 'one', anonymous: 'guest' },
  { header: 'two', anonymous: null },
]
const secondAnonymous = [
  { header: 'one', anonymous: null },
  { header: 'two', anonymous: 'guest' },
]
const noOne = '401 {"message":"no one"}'
const noTwo = '401 {"message":"no two"}'

// The combinations and their outcomes are those of test/golden's plugins-multi-auth.
const table: readonly (readonly [
  name: string,
  plugins: readonly Ready[],
  headers: Record<string, string>,
  outcome: string,
])[] = [
  ['AND refuses a request with none', and, {}, noOne],
  ['AND refuses a request with the first alone', and, { one: 'alice' }, noTwo],
  ['AND refuses a request with the second alone', and, { two: 'alice' }, noOne],
  ['AND lets the last one say who it is', and, { one: 'alice', two: 'bob' }, 'bob two-bob'],
  ['OR lets a request with none be anonymous', or, {}, 'guest anonymous'],
  ['OR takes the first alone', or, { one: 'bob', two: 'nobody' }, 'bob one-bob'],
  ['OR takes the second alone', or, { one: 'nobody', two: 'bob' }, 'bob two-bob'],
  ['OR lets the first that succeeds win', or, { one: 'alice', two: 'bob' }, 'alice one-alice'],
  ['the first with anonymous, the second must succeed', firstAnonymous, { one: 'alice' }, noTwo],
  ['the first with anonymous, the second says who it is', firstAnonymous, { two: 'alice' }, 'alice two-alice'],
  [
    'the first with anonymous and right, the second still runs',
    firstAnonymous,
    { one: 'alice', two: 'bob' },
    'bob two-bob',
  ],
  ['the second with anonymous, the first must succeed', secondAnonymous, { two: 'alice' }, noOne],
  [
    'the second with anonymous is skipped after the first',
    secondAnonymous,
    { one: 'alice', two: 'bob' },
    'alice one-alice',
  ],
  ['the second with anonymous does not spoil the first', secondAnonymous, { one: 'bob', two: 'nobody' }, 'bob one-bob'],
]

for (const [name, plugins, headers, outcome] of table) {
  test(name, () => assert.equal(run(plugins, headers), outcome))
}

test('the anonymous consumer is named by its username or its id, in any case of letters', () => {
  assert.equal(run([{ header: 'one', anonymous: 'guest' }], {}), 'guest anonymous')
  assert.equal(run([{ header: 'one', anonymous: '33333333-3333-4333-8333-333333333333' }], {}), 'guest anonymous')
  entities.put('consumers', { id: 'abcdefab-1111-4111-8111-111111111111', username: 'letters' })
  assert.equal(run([{ header: 'one', anonymous: 'ABCDEFAB-1111-4111-8111-111111111111' }], {}), 'letters anonymous')
})

test('a username that looks like an id is found', () => {
  const username = '99999999-9999-4999-8999-999999999999'
  entities.put('consumers', { id: '44444444-4444-4444-8444-444444444444', username })
  assert.equal(run([{ header: 'one', anonymous: username }], {}), `${username} anonymous`)
})

test('the upstream is told of the anonymous consumer, and of no credential', () => {
  const kong = testKong({}, entities)
  assert.equal(authenticate(kong, or[0]!, attempt), undefined)
  assert.deepEqual(kong.identity?.headers, [
    ['X-Consumer-ID', '33333333-3333-4333-8333-333333333333'],
    ['X-Consumer-Username', 'guest'],
    ['X-Anonymous-Consumer', 'true'],
  ])
})

test('an anonymous consumer that does not exist is a 500 that names it, and is logged', () => {
  const kong = testKong({}, entities)
  const answer = authenticate(kong, { header: 'one', anonymous: 'nobody-there' }, attempt)
  assert.ok(answer && 'status' in answer)
  assert.equal(answer.status, 500)
  assert.match(String(answer.body), /anonymous consumer nobody-there is configured but doesn't exist/)
  assert.deepEqual(
    kong.logged.map(({ level }) => level),
    ['err'],
  )
  assert.equal(kong.identity, undefined)
})

test('who could not be judged is not anonymous', () => {
  const failing = (kong: AccessKong) => kong.response.error(503)
  const kong = testKong({}, entities)
  const answer = authenticate(kong, or[0]!, failing)
  assert.equal(answer && 'status' in answer && answer.status, 503)
  assert.equal(kong.identity, undefined)
})

test('an anonymous consumer that changed is told as it is now', () => {
  const own = testEntities()
  const outcome = () => {
    const kong = testKong({}, own)
    void authenticate(kong, or[0]!, attempt)
    return kong.identity?.headers.find(([name]) => name === 'X-Consumer-Custom-ID')?.[1]
  }
  own.put('consumers', { id: 'g', username: 'guest', custom_id: 'one' })
  assert.equal(outcome(), 'one')
  own.put('consumers', { id: 'g', username: 'guest', custom_id: 'two' })
  assert.equal(outcome(), 'two')
})

test('a plugin that has to wait is treated like one that has not', async () => {
  const kong = testKong({ headers: [['one', 'alice']] }, entities)
  assert.equal(await authenticate(kong, or[0]!, attemptLater), undefined)
  assert.equal(kong.identity?.consumer?.['username'], 'alice')
  const other = testKong({}, entities)
  assert.equal(await authenticate(other, or[0]!, attemptLater), undefined)
  assert.equal(other.identity?.consumer?.['username'], 'guest')
  const refused = await authenticate(testKong({}, entities), and[0]!, attemptLater)
  assert.equal(refused && refused.status, 401)
})
