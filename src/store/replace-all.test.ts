import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onEachStore } from '../../test/store/each.ts'
import { insertAll, refused, sampleStore, succeed } from './sample.ts'
import type { Operation, Store, Stored } from './store.ts'

const replaceAll = (...entities: [kind: string, entity: Stored][]): Operation => ({
  do: 'replace-all',
  entities: entities.map(([kind, entity]) => ({ kind, entity })),
})

const changesOf = async (store: Store, operation: Operation) =>
  (await succeed(store, operation)).changes.map(({ kind, id, operation }) => `${operation} ${kind} ${id}`)

onEachStore('only what differs is changed', async (store) => {
  await insertAll(store, [
    ['services', { id: 's1', name: 'a', port: 80 }],
    ['services', { id: 's2', name: 'b', port: 80 }],
    ['services', { id: 's3', name: 'c', port: 80 }],
  ])
  const changes = await changesOf(
    store,
    replaceAll(
      ['services', { port: 80, name: 'a', id: 's1' }],
      ['services', { id: 's2', name: 'b', port: 81 }],
      ['services', { id: 's4', name: 'd', port: 80 }],
    ),
  )
  assert.deepEqual(changes, ['delete services s3', 'update services s2', 'insert services s4'])
  assert.deepEqual(
    [...store.reader.all('services')].map(({ id }) => id),
    ['s1', 's2', 's4'],
  )
})

onEachStore('entities may come before what they refer to, and swap their unique values', async (store) => {
  await insertAll(store, [
    ['services', { id: 's1', name: 'a' }],
    ['services', { id: 's2', name: 'b' }],
  ])
  await succeed(
    store,
    replaceAll(
      ['routes', { id: 'r1', service: { id: 's3' } }],
      ['services', { id: 's1', name: 'b' }],
      ['services', { id: 's2', name: 'a' }],
      ['services', { id: 's3', name: 'c' }],
    ),
  )
  assert.equal(store.reader.by('services', 'name', 'a')?.id, 's2')
  assert.equal(store.reader.by('services', 'name', 'b')?.id, 's1')
  assert.equal(store.reader.page('routes', { size: 10, link: { field: 'service', id: 's3' } }).entities.length, 1)
})

onEachStore('an entity that differs only in its times of writing stays as it is', async (store) => {
  await insertAll(store, [['services', { id: 's1', name: 'a', created_at: 1, updated_at: 1 }]])
  assert.deepEqual(
    await changesOf(store, replaceAll(['services', { id: 's1', name: 'a', created_at: 9, updated_at: 9 }])),
    [],
  )
  assert.equal(store.reader.get('services', 's1')?.['created_at'], 1)
})

onEachStore('constraints hold within the new content alone', async (store) => {
  await insertAll(store, [['services', { id: 's1', name: 'a' }]])
  const twice = await refused(
    store,
    replaceAll(['services', { id: 's2', name: 'x' }], ['services', { id: 's3', name: 'x' }]),
  )
  assert.deepEqual(twice, { code: 'unique', kind: 'services', fields: { name: 'x' } })
  const same = await refused(store, replaceAll(['services', { id: 's2' }], ['services', { id: 's2' }]))
  assert.deepEqual(same, { code: 'primary', kind: 'services', id: 's2' })
  const gone = await refused(store, replaceAll(['routes', { id: 'r1', service: { id: 's1' } }]))
  assert.deepEqual(gone, { code: 'foreign', field: 'service', kind: 'services', id: 's1' })
  assert.deepEqual(store.reader.get('services', 's1'), { id: 's1', name: 'a' })
})

onEachStore('nothing is a content, too, and leaves no trace of what was there', async (store) => {
  await insertAll(store, [
    ['services', { id: 's1', name: 'a', tags: ['x'] }],
    ['routes', { id: 'r1', service: { id: 's1' }, tags: ['x'] }],
  ])
  await succeed(store, replaceAll())
  assert.deepEqual(store.reader.tags({ size: 10 }).rows, [])
  await insertAll(store, [['services', { id: 's1', name: 'a' }]])
  await succeed(store, { do: 'delete', kind: 'services', id: 's1' })
})

onEachStore(
  'a content larger than the log leaves the newest changes in it, and older readers begin afresh',
  async (store) => {
    const told: (number | undefined)[] = []
    store.onCommit(async (_, changes) => void told.push(changes.at(-1)?.revision))
    const services = Array.from({ length: 5000 }, (_, at): [string, Stored] => [
      'services',
      { id: `s${at}`, name: `n${at}` },
    ])
    assert.equal((await succeed(store, replaceAll(...services))).revision, 5000)
    assert.deepEqual(told, [5000])
    assert.equal(store.reader.changesSince(0), undefined)
    assert.equal(store.reader.changesSince(4899), undefined)
    assert.equal(store.reader.changesSince(4900)?.length, 100)
    assert.equal([...store.reader.all('services')].length, 5000)
  },
  { keep: 100 },
)

onEachStore(
  'a content a little larger than the log does not leave a hole in it',
  async (store) => {
    for (const id of ['a', 'b', 'c']) await insertAll(store, [['services', { id, name: id }]])
    const services = Array.from({ length: 150 }, (_, at): [string, Stored] => ['services', { id: `s${at}` }])
    const { revision } = await succeed(store, replaceAll(...services))
    assert.equal(revision, 156)
    assert.equal(store.reader.changesSince(2), undefined)
    assert.equal(store.reader.changesSince(revision - 101), undefined)
    assert.equal(store.reader.changesSince(revision - 100)?.length, 100)
  },
  { keep: 100 },
)

onEachStore('a random content, replaced by another, is the same as the other alone', async (store) => {
  for (let round = 0; round < 30; round++) {
    const content = randomContent()
    await succeed(store, replaceAll(...content))
    for (const kind of ['services', 'routes', 'plugins']) {
      const wanted = content.filter(([of]) => of === kind).map(([, entity]) => entity)
      assert.deepEqual(
        [...store.reader.all(kind)],
        wanted.sort((a, b) => (a.id < b.id ? -1 : 1)),
      )
    }
    for (const [kind, entity] of content) {
      if (kind === 'services') assert.equal(store.reader.by(kind, 'name', String(entity['name']))?.id, entity.id)
    }
    const tagged = content.filter(([, { tags }]) => Array.isArray(tags)).length
    assert.equal(store.reader.tags({ size: 1000 }).rows.length, tagged)
  }
})

const pick = (count: number) => Math.floor(Math.random() * count)

function randomContent(): [string, Stored][] {
  const ids = Array.from({ length: 1 + pick(20) }, (_, at) => at)
  const services = ids.map((at): [string, Stored] => {
    const id = `s${(at * 7 + pick(2)) % 40}-${at}`
    return ['services', { id, name: `n${at}`, tags: pick(2) ? [`t${pick(3)}`] : null, port: pick(3) }]
  })
  const serviceId = () => services[pick(services.length)]?.[1].id
  const routes = ids.map((at): [string, Stored] => [
    'routes',
    { id: `r${at}`, name: null, service: { id: serviceId() }, tags: null },
  ])
  const plugins = ids.map((at): [string, Stored] => [
    'plugins',
    { id: `p${at}`, name: `${at}`, service: { id: serviceId() }, instance_name: null },
  ])
  return [...plugins, ...routes, ...services]
}

test('a content of thousands is put in force as a whole, while others write', async (t) => {
  const store = await sampleStore(t)
  const many = (count: number, port: number) =>
    replaceAll(
      ...Array.from({ length: count }, (_, at): [string, Stored][] => [
        ['services', { id: `s${at}`, name: `n${at}`, port }],
        ['routes', { id: `r${at}`, service: { id: `s${at}` } }],
      ]).flat(),
    )
  const [first] = await Promise.all([
    store.write([many(3000, 80)]),
    store.write([{ do: 'insert', kind: 'services', entity: { id: 'other', name: 'other' } }]),
  ])
  assert.equal(first.ok && first.changes.filter(({ operation }) => operation === 'insert').length, 6000)
  assert.equal(store.reader.count('services'), 3000)
  assert.deepEqual(await changesOf(store, many(3000, 80)), [])
  assert.equal((await changesOf(store, many(2999, 81))).length, 3001)
  assert.deepEqual(store.reader.by('services', 'name', 'n2998'), { id: 's2998', name: 'n2998', port: 81 })
})

test('of several mistakes the first in the order of the entities is told, and nothing is written', async (t) => {
  const store = await sampleStore(t)
  const mistakes = [
    ['routes', { id: 'r1', service: { id: 'nowhere' } }],
    ['services', { id: 's1', name: 'a' }],
    ['services', { id: 's2', name: 'a' }],
  ] satisfies [string, Stored][]
  assert.equal((await refused(store, replaceAll(...mistakes))).code, 'foreign')
  const [dangling, ...twice] = mistakes
  assert.deepEqual(await refused(store, replaceAll(...twice, dangling as [string, Stored])), {
    code: 'unique',
    kind: 'services',
    fields: { name: 'a' },
  })
  assert.equal(store.reader.count('services'), 0)
})

onEachStore('a content whose entities end in a mistake is not written, and leaves nothing behind', async (store) => {
  await insertAll(store, [['services', { id: 's1', name: 'a' }]])
  const entities = function* () {
    for (let at = 0; at < 2500; at++) yield { kind: 'services', entity: { id: `new${at}`, name: `n${at}` } }
    throw new RangeError('the last one is wrong')
  }
  await assert.rejects(store.write([{ do: 'replace-all', entities: entities() }]), RangeError)
  assert.deepEqual(
    [...store.reader.all('services')].map(({ id }) => id),
    ['s1'],
  )
  assert.deepEqual(await changesOf(store, replaceAll(['services', { id: 's2', name: 'b' }])), [
    'delete services s1',
    'insert services s2',
  ])
  const unknown: Operation = { do: 'replace-all', entities: [{ kind: 'nothing', entity: { id: 'x' } }] }
  await assert.rejects(store.write([unknown]), /knows no kind nothing/)
  await insertAll(store, [['services', { id: 's3', name: 'c' }]])
})

onEachStore('what a content comes to may be told behind it', async (store) => {
  let count = 0
  const entities = function* () {
    for (; count < 1500; count++) yield { kind: 'services', entity: { id: `s${count}`, name: null } }
  }
  const told: Operation = {
    do: 'meta',
    name: 'count',
    get value() {
      return String(count)
    },
  }
  await succeed(store, { do: 'replace-all', entities: entities() }, told)
  assert.equal(store.reader.meta('count'), '1500')
})
