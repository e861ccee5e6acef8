import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { localEntities, type LocalEntities } from './local.ts'
import { insertAll, sampleKinds, sampleStore, succeed } from './sample.ts'
import type { Operation, Store } from './store.ts'

/** A store with a worker's memory of it that adopts each commit before it is answered. */
async function worker(
  t: TestContext,
  options: Partial<Parameters<typeof localEntities>[1]> = {},
): Promise<{ store: Store; local: LocalEntities }> {
  const store = await sampleStore(t)
  const local = localEntities(store.reader, { kinds: sampleKinds, ...options })
  store.onCommit(async (_, changes) => local.adopt(changes))
  return { store, local }
}

const alice = { id: 'c1', username: 'alice', custom_id: null, tags: ['a'] }
const herKey = { id: 'j1', key: 'k1', consumer: { id: 'c1' } }

test('an entity is read once, and found by its id and each of its unique fields', async (t) => {
  const { store, local } = await worker(t)
  await insertAll(store, [['consumers', { ...alice, custom_id: 'x' }]])
  const found = local.by('consumers', 'username', 'alice')
  assert.deepEqual(found?.entity, { ...alice, custom_id: 'x' })
  assert.equal(local.get('consumers', 'c1'), found)
  assert.equal(local.by('consumers', 'custom_id', 'x'), found)
  assert.equal(local.stats().reads, 1)
})

test('an entity is frozen all the way down', async (t) => {
  const { store, local } = await worker(t)
  await insertAll(store, [['consumers', alice]])
  const entity = local.get('consumers', 'c1')?.entity
  assert.ok(Object.isFrozen(entity))
  assert.ok(Object.isFrozen(entity?.['tags']))
})

test('absence is remembered until the value is there', async (t) => {
  const { store, local } = await worker(t)
  for (let round = 0; round < 3; round++) {
    assert.equal(local.by('consumers', 'username', 'alice'), undefined)
    assert.equal(local.get('consumers', 'c1'), undefined)
    assert.equal(local.by('consumers', 'username', 'bob'), undefined)
  }
  assert.deepEqual([local.stats().reads, local.stats().absent], [3, 3])
  await insertAll(store, [['consumers', alice]])
  assert.equal(local.by('consumers', 'username', 'alice')?.entity.id, 'c1')
  assert.equal(local.by('consumers', 'username', 'bob'), undefined)
  assert.equal(local.stats().reads, 4, 'bob is still known to be absent')
  await succeed(store, { do: 'update', kind: 'consumers', entity: { ...alice, username: 'bob' } })
  assert.equal(local.by('consumers', 'username', 'bob')?.entity.id, 'c1')
  assert.equal(local.by('consumers', 'username', 'alice'), undefined)
})

test('a change ends exactly the entities that it touches', async (t) => {
  const { store, local } = await worker(t)
  await insertAll(store, [
    ['consumers', alice],
    ['consumers', { id: 'c2', username: 'bob' }],
    ['jwt_secrets', herKey],
    ['jwt_secrets', { id: 'j2', key: 'k2', consumer: { id: 'c2' } }],
  ])
  const held = () => [
    local.get('consumers', 'c1'),
    local.by('jwt_secrets', 'key', 'k1'),
    local.get('consumers', 'c2'),
    local.by('jwt_secrets', 'key', 'k2'),
  ]
  const first = held()
  const lives = () => first.map((loaded) => loaded?.live)
  await succeed(store, { do: 'update', kind: 'jwt_secrets', entity: { ...herKey, secret: 'new' } })
  assert.deepEqual(lives(), [true, false, true, true])
  assert.equal(local.by('jwt_secrets', 'key', 'k1')?.entity['secret'], 'new')
  await succeed(store, { do: 'delete', kind: 'consumers', id: 'c2' })
  assert.deepEqual(lives(), [true, false, false, false])
  assert.equal(local.by('jwt_secrets', 'key', 'k2'), undefined)
  assert.equal(held()[0], first[0])
})

test('a credential that is deleted and made anew with the same id and key is another one', async (t) => {
  const { store, local } = await worker(t)
  await insertAll(store, [
    ['consumers', alice],
    ['jwt_secrets', herKey],
  ])
  const before = local.by('jwt_secrets', 'key', 'k1')
  await succeed(
    store,
    { do: 'delete', kind: 'jwt_secrets', id: 'j1' },
    { do: 'insert', kind: 'jwt_secrets', entity: herKey },
  )
  const after = local.by('jwt_secrets', 'key', 'k1')
  assert.deepEqual([before?.live, after?.live, before === after], [false, true, false])
})

test('adopting everything forgets everything', async (t) => {
  const { store, local } = await worker(t)
  await insertAll(store, [['consumers', alice]])
  const loaded = local.get('consumers', 'c1')
  local.by('consumers', 'username', 'nobody')
  local.adopt('all')
  assert.equal(loaded?.live, false)
  assert.deepEqual(local.stats(), { entities: 0, bytes: 0, absent: 0, reads: 2 })
  assert.notEqual(local.get('consumers', 'c1'), loaded)
})

const crowd = (count: number): Operation => ({
  do: 'replace-all',
  entities: Array.from({ length: count }, (_, at) => ({
    kind: 'consumers',
    entity: { id: `c${at}`, username: `u${at}`, custom_id: null },
  })),
})

test('memory stays within its budget, what was pushed out is not live, and what is used often stays', async (t) => {
  const { store, local } = await worker(t, { bytes: 200_000 })
  await succeed(store, crowd(5000))
  const often = local.get('consumers', 'c0')
  const once = local.get('consumers', 'c1')
  for (let at = 2; at < 5000; at++) {
    assert.equal(local.by('consumers', 'username', `u${at}`)?.entity.id, `c${at}`)
    assert.equal(local.get('consumers', 'c0'), often)
    assert.ok(local.stats().bytes <= 200_000)
  }
  assert.deepEqual([often?.live, once?.live], [true, false])
  assert.notEqual(local.by('consumers', 'username', 'u1'), once)
})

test("a stranger's random keys push out no entity and fill no memory", async (t) => {
  const { store, local } = await worker(t, { bytes: 200_000, absentBytes: 100_000 })
  await succeed(store, crowd(100))
  const known = Array.from({ length: 100 }, (_, at) => local.by('consumers', 'username', `u${at}`))
  for (let at = 0; at < 20_000; at++) assert.equal(local.by('consumers', 'username', `stranger ${at}`), undefined)
  for (let at = 0; at < 100; at++) local.by('consumers', 'username', `${'x'.repeat(100_000)}${at}`)
  assert.ok(known.every((loaded) => loaded?.live))
  assert.ok(local.stats().absent < 1500)
})

test('an entity larger than a fair share is given, but not as live', async (t) => {
  const { store, local } = await worker(t, { bytes: 8000 })
  await insertAll(store, [['consumers', { ...alice, custom_id: 'x'.repeat(2000) }]])
  const large = local.get('consumers', 'c1')
  assert.deepEqual([large?.entity['username'], large?.live, local.stats().entities], ['alice', false, 0])
})

test('many changes at once are adopted without reading each', async (t) => {
  const { store, local } = await worker(t)
  assert.equal(local.by('consumers', 'username', 'u7'), undefined)
  await succeed(store, crowd(5000))
  assert.equal(local.stats().reads, 1)
  assert.equal(local.by('consumers', 'username', 'u7')?.entity.id, 'c7')
})

test('an entity past its time is unknown at once', async (t) => {
  let now = Date.now()
  const { store, local } = await worker(t, { now: () => now })
  await insertAll(store, [['tokens', { id: 't1', token: 'a', ttl: 1000 }]])
  const loaded = local.by('tokens', 'token', 'a')
  assert.equal(loaded?.live, true)
  now += 1_001_000
  assert.notEqual(local.by('tokens', 'token', 'a'), loaded)
  assert.equal(loaded.live, false)
})

test('a remembered value keeps no longer text alive', async (t) => {
  const { local } = await worker(t, { absentBytes: 64e6 })
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().heapUsed
  for (let at = 0; at < 2000; at++) {
    const head = `${at}${'x'.repeat(20)}${'h'.repeat(30_000)}`
    local.by('consumers', 'username', Buffer.from(head).toString('latin1').slice(0, 24))
  }
  collect()
  assert.equal(local.stats().absent, 2000)
  const grown = process.memoryUsage().heapUsed - before
  assert.ok(grown < 20e6, `the heap grew by ${grown} bytes; the heads together are 60 MB`)
})

test('asking for what is neither an id nor unique is a mistake in the program', async (t) => {
  const { local } = await worker(t)
  assert.throws(() => local.get('nothing', 'x'), TypeError)
  assert.throws(() => local.by('consumers', 'tags', 'x'), TypeError)
})
