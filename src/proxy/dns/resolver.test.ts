import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Addresses, type Failure, isFailure, notFound, serverFailure, timedOut } from './address.ts'
import {
  type Answer,
  type Reply,
  a,
  aaaa,
  cname,
  noSuchName,
  serverFailed,
  srv,
  startNameServer,
} from '../../../test/dns/name-server.ts'
import { type ResolverOptions, createResolver } from './resolver.ts'

const directory = mkdtempSync(join(tmpdir(), 'gibbon-dns-'))
const fileOf = (name: string, text: string) => {
  const file = join(directory, name)
  writeFileSync(file, text)
  return file
}
const noHosts = fileOf('hosts', '')
const plainConf = fileOf('resolv.conf', 'options timeout:1 attempts:1\n')

async function start(t: TestContext, zone: Record<string, Reply>, options: ResolverOptions = {}) {
  const server = await startNameServer((question) => zone[question])
  const clock = { time: 1_000_000 }
  const defaults = { hostsFile: noHosts, resolvConfFile: plainConf, order: ['LAST', 'A'], now: () => clock.time }
  const resolver = createResolver({ ...defaults, servers: [server.address], ...options })
  t.after(async () => {
    resolver.close()
    await server.close()
  })
  return { resolver, clock, zone, questions: server.questions }
}

const texts = (answer: Addresses | Failure) =>
  isFailure(answer) ? answer.failed : answer.map(({ address }) => address)

test('a name is asked for once, then answered at once until its time to live is over', async (t) => {
  const { resolver, clock, questions } = await start(t, { 'api.test A': [a('10.0.0.2', 60), a('10.0.0.1', 30)] })
  const first = resolver.lookup('api.test')
  assert(first instanceof Promise)
  assert.deepEqual(texts(await first), ['10.0.0.1', '10.0.0.2'])
  clock.time += 29_999
  assert.deepEqual(resolver.lookup('api.test'), await first)
  assert.deepEqual(questions, ['api.test A'])
})

test('many requests for one name ask one question', async (t) => {
  const { resolver, questions } = await start(t, { 'api.test A': [a('10.0.0.1', 60)] })
  await Promise.all(Array.from({ length: 100 }, async () => resolver.lookup('api.test')))
  assert.equal(questions.length, 1)
})

test('an expired answer is used while a new one is fetched', async (t) => {
  const { resolver, clock, zone, questions } = await start(t, { 'api.test A': [a('10.0.0.1', 30)] })
  await resolver.lookup('api.test')
  zone['api.test A'] = [a('10.0.0.9', 30)]
  clock.time += 30_000
  assert.deepEqual(texts(now(resolver.lookup('api.test'))), ['10.0.0.1'])
  await until(() => texts(resolver.lookup('api.test') as Addresses)[0] === '10.0.0.9')
  assert.equal(questions.length, 2)
})

test('the same answer fetched again is the same array, however the server orders it', async (t) => {
  const { resolver, clock, zone, questions } = await start(t, { 'api.test A': [a('10.0.0.1', 30), a('10.0.0.2', 30)] })
  const first = await resolver.lookup('api.test')
  zone['api.test A'] = [a('10.0.0.2', 30), a('10.0.0.1', 30)]
  clock.time += 30_000
  void resolver.lookup('api.test')
  await until(() => questions.length === 2)
  await settled()
  clock.time += 29_999
  assert.equal(resolver.lookup('api.test'), first)
})

test('a server that fails leaves the old answer in use, until staleTtl is over', async (t) => {
  const { resolver, clock, zone, questions } = await start(
    t,
    { 'api.test A': [a('10.0.0.1', 30)] },
    { staleTtl: 100, errorTtl: 5 },
  )
  await resolver.lookup('api.test')
  zone['api.test A'] = serverFailed
  clock.time += 31_000
  const stale = resolver.lookup('api.test')
  await until(() => questions.length === 2)
  await settled()
  assert.equal(resolver.lookup('api.test'), stale)
  assert.equal(questions.length, 2, 'asks again after errorTtl, not at once')
  clock.time += 100_000
  assert.deepEqual(await resolver.lookup('api.test'), serverFailure)
})

test('a name that no longer exists is forgotten, whatever staleTtl says', async (t) => {
  const { resolver, clock, zone } = await start(t, { 'api.test A': [a('10.0.0.1', 30)] })
  await resolver.lookup('api.test')
  zone['api.test A'] = noSuchName
  clock.time += 30_000
  void resolver.lookup('api.test')
  await until(() => resolver.lookup('api.test') === notFound)
})

test('failures are remembered for a short time, each kind for its own', async (t) => {
  const { resolver, clock, zone } = await start(
    t,
    { 'gone.test A': noSuchName, 'empty.test A': [], 'sick.test A': serverFailed },
    { notFoundTtl: 30, errorTtl: 1 },
  )
  assert.equal(await resolver.lookup('gone.test'), notFound)
  assert.equal(await resolver.lookup('empty.test'), notFound)
  assert.equal(await resolver.lookup('sick.test'), serverFailure)
  zone['gone.test A'] = zone['sick.test A'] = [a('10.0.0.1', 30)]
  clock.time += 999
  assert.equal(resolver.lookup('sick.test'), serverFailure)
  clock.time += 1
  assert.deepEqual(texts(await resolver.lookup('sick.test')), ['10.0.0.1'])
  assert.equal(resolver.lookup('gone.test'), notFound)
  clock.time += 29_000
  assert.deepEqual(texts(await resolver.lookup('gone.test')), ['10.0.0.1'])
})

test('a silent server is a timeout, and holds up no other name', async (t) => {
  const { resolver } = await start(t, { 'slow.test A': 'silence', 'api.test A': [a('10.0.0.1', 30)] })
  const slow = resolver.lookup('slow.test')
  assert.deepEqual(texts(await resolver.lookup('api.test')), ['10.0.0.1'])
  assert.equal(await slow, timedOut)
})

test('a time to live of 0 does not mean a question per request', async (t) => {
  const { resolver, clock, questions } = await start(t, { 'api.test A': [a('10.0.0.1', 0)] })
  await resolver.lookup('api.test')
  clock.time += 999
  for (let count = 0; count < 100; count++) assert(!(resolver.lookup('api.test') instanceof Promise))
  assert.equal(questions.length, 1)
})

test('a name that does not serve any more is asked for before its time, once a second at most', async (t) => {
  const { resolver, clock, zone, questions } = await start(t, { 'moved.test A': [a('10.0.0.1', 3000)] })
  assert.equal(resolver.renew('moved.test'), undefined)
  await resolver.lookup('moved.test')
  zone['moved.test A'] = [a('10.0.0.2', 3000)]
  clock.time += 999
  assert.equal(resolver.renew('moved.test'), undefined)
  clock.time += 1
  const [one, other] = [resolver.renew('moved.test'), resolver.renew('moved.test')]
  assert.deepEqual(texts(now(resolver.lookup('moved.test'))), ['10.0.0.1'])
  assert.equal(one, other)
  assert.deepEqual(texts((await one) ?? notFound), ['10.0.0.2'])
  assert.deepEqual(texts(now(resolver.lookup('moved.test'))), ['10.0.0.2'])
  assert.equal(questions.length, 2)
  assert.equal(resolver.renew('localhost'), undefined)
})

test('validTtl stands in place of the time to live of the records', async (t) => {
  const { resolver, clock, questions } = await start(t, { 'api.test A': [a('10.0.0.1', 1)] }, { validTtl: 500 })
  await resolver.lookup('api.test')
  clock.time += 499_999
  await resolver.lookup('api.test')
  assert.equal(questions.length, 1)
})

test('IP literals and localhost need no server', async (t) => {
  const { resolver, questions } = await start(t, {})
  assert.deepEqual(resolver.lookup('192.0.2.1'), [{ address: '192.0.2.1', family: 4 }])
  assert.deepEqual(resolver.lookup('2001:db8::1'), [{ address: '2001:db8::1', family: 6 }])
  assert.deepEqual(resolver.lookup('[2001:db8::1]'), [{ address: '2001:db8::1', family: 6 }])
  assert.deepEqual(resolver.lookup('localhost'), [{ address: '127.0.0.1', family: 4 }])
  assert.deepEqual(questions, [])
})

test('the hosts file goes before every server', async (t) => {
  const hostsFile = fileOf('own-hosts', '10.1.1.1 Api.Test alias # note\n::2 api.test\nnonsense here\n::3 six.test\n')
  const { resolver } = await start(t, { 'api.test A': [a('10.0.0.1', 30)] }, { hostsFile })
  assert.deepEqual(texts(now(resolver.lookup('API.test'))), ['10.1.1.1'])
  assert.deepEqual(texts(now(resolver.lookup('six.test'))), ['::3'])
})

test('a chain of CNAMEs ends in addresses', async (t) => {
  const chain: Answer[] = [cname('b.test', 60), { ...a('10.0.0.1', 5), owner: 'b.test' }]
  const { resolver } = await start(t, { 'a.test A': chain })
  assert.deepEqual(texts(await resolver.lookup('a.test')), ['10.0.0.1'])
})

test('types are asked for in order, beginning with the one that succeeded before', async (t) => {
  const zone = { 'six.test AAAA': [aaaa([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7], 10)] }
  const { resolver, clock, questions } = await start(t, zone, {
    order: ['LAST', 'SRV', 'A', 'AAAA', 'CNAME'],
    staleTtl: 0,
  })
  assert.deepEqual(await resolver.lookup('six.test'), [{ address: '2001:db8::7', family: 6 }])
  clock.time += 10_000
  await resolver.lookup('six.test')
  assert.deepEqual(questions, ['six.test SRV', 'six.test A', 'six.test AAAA', 'six.test AAAA'])
})

test('SRV records of the best priority give addresses with port and weight, and are asked for again soon', async (t) => {
  const { resolver, clock, zone } = await start(
    t,
    {
      'web.test SRV': [srv(1, 10, 7001, 'one.test'), srv(1, 0, 0, 'two.test'), srv(2, 5, 7003, 'spare.test')],
      'one.test A': [a('10.0.0.1', 60)],
      'two.test A': [a('10.0.0.2', 60)],
    },
    { order: ['SRV', 'A'] },
  )
  assert.deepEqual(await resolver.lookup('web.test'), [
    { address: '10.0.0.1', family: 4, port: 7001, weight: 10, name: 'one.test' },
    { address: '10.0.0.2', family: 4, weight: 1, name: 'two.test' },
  ])
  // Their hosts' addresses may be kept for a minute.
  zone['web.test SRV'] = [srv(1, 10, 7002, 'one.test')]
  clock.time += 10_000
  await resolver.lookup('web.test')
  await until(() => (resolver.lookup('web.test') as Addresses)[0]?.port === 7002)
})

test('an SRV record that names itself ends in a failure, not in a loop', async (t) => {
  const zone = { 'loop.test SRV': [srv(1, 1, 80, 'loop.test')] }
  const { resolver, questions } = await start(t, zone, { order: ['SRV', 'A'] })
  assert.equal(await resolver.lookup('loop.test'), notFound)
  assert(questions.length <= 3)
})

test('a short name is tried in the search domains first, a long one last, and one with a final dot never', async (t) => {
  const resolvConfFile = fileOf('search.conf', 'search cluster.local test\noptions ndots:2 timeout:1\n')
  const { resolver, questions } = await start(t, { 'web.test A': [a('10.0.0.1', 30)] }, { resolvConfFile })
  assert.deepEqual(texts(await resolver.lookup('web')), ['10.0.0.1'])
  assert.equal(await resolver.lookup('web.'), notFound)
  assert.equal(await resolver.lookup('a.b.example'), notFound)
  assert.deepEqual(questions, [
    'web.cluster.local A',
    'web.test A',
    'web A',
    'a.b.example A',
    'a.b.example.cluster.local A',
    'a.b.example.test A',
  ])
})

test('a flood of names stays within maxEntries, and the names in use stay remembered', async (t) => {
  const { resolver, questions } = await start(t, { 'api.test A': [a('10.0.0.1', 3000)] }, { maxEntries: 50 })
  await resolver.lookup('api.test')
  for (let batch = 0; batch < 20; batch++) {
    await Promise.all(Array.from({ length: 25 }, async (_, index) => resolver.lookup(`${batch}-${index}.flood.test`)))
    assert(!(resolver.lookup('api.test') instanceof Promise))
    assert(resolver.size <= 50)
  }
  assert.equal(questions.filter((question) => question === 'api.test A').length, 1)
})

test('more names at once than could be remembered are refused, not queued', async (t) => {
  const { resolver } = await start(t, {}, { maxEntries: 10 })
  const answers = Array.from({ length: 100 }, (_, index) => resolver.lookup(`${index}.flood.test`))
  assert.equal(answers.filter((answer) => answer === serverFailure).length, 90)
  await Promise.all(answers.filter((answer) => answer instanceof Promise))
})

test('a name that cannot be one is not found', async (t) => {
  const { resolver } = await start(t, {})
  for (const name of [
    '',
    '.',
    'a..b',
    'x'.repeat(300),
    `${'y'.repeat(64)}.test`,
    'nul\0.test',
    '__proto__',
    'sp ace.test',
  ]) {
    assert.equal(await resolver.lookup(name), notFound, JSON.stringify(name))
  }
})

test('no server to be reached is a failure', async (t) => {
  const { resolver } = await start(t, {}, { servers: ['127.0.0.1:1'] })
  const answer = await resolver.lookup('api.test')
  assert(isFailure(answer) && answer !== notFound)
})

function now<T>(value: T | Promise<T>): T {
  assert(!(value instanceof Promise), 'answered at once')
  return value
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 20))

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    assert(tries < 200, 'did not come about')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
