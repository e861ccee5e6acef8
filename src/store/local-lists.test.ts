import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { localEntities, type LocalEntities } from './local.ts'
import { insertAll, sampleKinds, sampleStore, succeed } from './sample.ts'
import type { Operation, Store } from './store.ts'

async function worker(t: TestContext, listBytes?: number): Promise<{ store: Store; local: LocalEntities }> {
  const store = await sampleStore(t)
  const local = localEntities(store.reader, { kinds: sampleKinds, ...(listBytes !== undefined && { listBytes }) })
  store.onCommit(async (_, changes) => local.adopt(changes))
  await insertAll(store, [
    ['consumers', { id: 'c1', username: 'alice' }],
    ['consumers', { id: 'c2', username: 'bob' }],
    ['jwt_secrets', key('j1', 'c1')],
    ['jwt_secrets', key('j2', 'c1')],
    ['jwt_secrets', key('j3', 'c2')],
  ])
  return { store, local }
}

const key = (id: string, consumer: string) => ({ id, key: `key of ${id}`, consumer: { id: consumer } })
const listOf = (local: LocalEntities, consumer: string) => local.referring('jwt_secrets', 'consumer', consumer)
const idsOf = (local: LocalEntities, consumer: string) => listOf(local, consumer).entities.map(({ id }) => id)

test('a list is read once and stays the same object while nothing of it changes', async (t) => {
  const { store, local } = await worker(t)
  const list = listOf(local, 'c1')
  assert.deepEqual(idsOf(local, 'c1'), ['j1', 'j2'])
  await succeed(store, { do: 'update', kind: 'jwt_secrets', entity: { ...key('j3', 'c2'), secret: 'new' } })
  assert.equal(listOf(local, 'c1'), list)
  assert.equal(list.live, true)
})

test('an empty list is remembered, too, until somebody joins it', async (t) => {
  const { store, local } = await worker(t)
  await insertAll(store, [['consumers', { id: 'c3', username: 'carol' }]])
  const empty = listOf(local, 'c3')
  assert.deepEqual([empty.entities, listOf(local, 'c3') === empty], [[], true])
  await insertAll(store, [['jwt_secrets', key('j4', 'c3')]])
  assert.equal(empty.live, false)
  assert.deepEqual(idsOf(local, 'c3'), ['j4'])
})

const touches: readonly (readonly [what: string, operation: Operation, one: string[], other: string[]])[] = [
  [
    'changed',
    { do: 'update', kind: 'jwt_secrets', entity: { ...key('j1', 'c1'), secret: 'new' } },
    ['j1', 'j2'],
    ['j3'],
  ],
  ['deleted', { do: 'delete', kind: 'jwt_secrets', id: 'j1' }, ['j2'], ['j3']],
  ['moved', { do: 'update', kind: 'jwt_secrets', entity: key('j1', 'c2') }, ['j2'], ['j1', 'j3']],
  ['deleted with what it refers to', { do: 'delete', kind: 'consumers', id: 'c1' }, [], ['j3']],
]

for (const [what, operation, one, other] of touches) {
  test(`an entity that is ${what} ends the lists that it stands in`, async (t) => {
    const { store, local } = await worker(t)
    const lists = [listOf(local, 'c1'), listOf(local, 'c2')]
    await succeed(store, operation)
    assert.equal(lists[0]?.live, false)
    assert.equal(lists[1]?.live, what !== 'moved')
    assert.deepEqual([idsOf(local, 'c1'), idsOf(local, 'c2')], [one, other])
  })
}

test('lists stay within their budget, and those in use stay', async (t) => {
  const { store, local } = await worker(t, 16_000)
  const used = listOf(local, 'c1')
  for (let at = 0; at < 100; at++) {
    await insertAll(store, [['consumers', { id: `d${at}`, username: `user ${at}` }]])
    listOf(local, `d${at}`)
    assert.equal(listOf(local, 'c1'), used)
  }
  assert.equal(used.live, true)
})

test('a list that is too long is read each time', async (t) => {
  const { store, local } = await worker(t, 20_000)
  const keys = Array.from({ length: 1200 }, (_, at) => ['jwt_secrets', key(`k${at}`, 'c1')] as const)
  await insertAll(
    store,
    keys.map(([kind, entity]) => [kind, entity]),
  )
  const list = listOf(local, 'c1')
  assert.deepEqual([list.entities.length, list.live], [1202, false])
})

test('a field that refers to nothing is a mistake in the program', async (t) => {
  const { local } = await worker(t)
  assert.throws(() => local.referring('jwt_secrets', 'key', 'c1'), TypeError)
})
