import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import * as fc from 'fast-check'
import { insertAll, sampleKinds, sampleStore, succeed, temporaryFolder } from '../sample.ts'
import type { Page, PageRequest, Reader, Store, Stored } from '../store.ts'
import { openStore } from './open.ts'
import { openReader } from './reader.ts'

/** A store with the path of its file, for readers beside its own. */
async function storeWithFile(t: TestContext): Promise<{ store: Store; file: string; reader: () => Reader }> {
  const readers: Reader[] = []
  const folder = temporaryFolder(t, async () => {
    for (const reader of readers) reader.close()
    await store.close()
  })
  const file = join(folder, 'gibbon.db')
  const store = await openStore({ file, kinds: sampleKinds })
  const reader = () => {
    const opened = openReader(file, sampleKinds)
    readers.push(opened)
    return opened
  }
  return { store, file, reader }
}

test('a reader stays at its revision until it is renewed', async (t) => {
  const { store, reader } = await storeWithFile(t)
  const own = reader()
  await insertAll(store, [['services', { id: 's1', name: 'a' }]])
  assert.equal(own.revision, 0)
  assert.equal(own.get('services', 's1'), undefined)
  // Longer than it takes a reader to look for a fresh transaction.
  await sleep(150)
  assert.equal(own.get('services', 's1'), undefined)
  assert.equal(own.renew(), 1)
  assert.deepEqual(own.get('services', 's1'), { id: 's1', name: 'a' })
  assert.deepEqual(own.changesSince(0), [{ revision: 1, kind: 'services', id: 's1', operation: 'insert' }])
  assert.deepEqual(own.changesSince(1), [])
  assert.equal(own.changesSince(2), undefined)
})

test('readers that renew never skip a revision and always see whole batches', async (t) => {
  const { store, reader } = await storeWithFile(t)
  const own = reader()
  const seen: number[] = []
  const done = new AbortController()
  const watch = async () => {
    while (!done.signal.aborted) {
      const before = own.revision
      own.renew()
      seen.push(...(own.changesSince(before) ?? []).map(({ revision }) => revision))
      assert.equal(own.count('services'), own.count('routes'))
      await sleep(1)
    }
  }
  const watched = watch()
  const writer = async (name: string) => {
    for (let at = 0; at < 40; at++) {
      const id = `${name}${at}`
      await succeed(
        store,
        { do: 'insert', kind: 'services', entity: { id, name: id } },
        { do: 'insert', kind: 'routes', entity: { id, name: id, service: { id } } },
      )
    }
  }
  await Promise.all(Array.from('abcdefghij', writer))
  await sleep(20)
  done.abort()
  await watched
  assert.deepEqual(
    seen,
    Array.from({ length: 800 }, (_, at) => at + 1),
  )
})

test('the write-ahead log is begun anew while readers hold their transactions', async (t) => {
  const { store, file, reader } = await storeWithFile(t)
  const own = reader()
  store.onCommit(async () => void own.renew())
  const filler = 'x'.repeat(200_000)
  let highest = 0
  for (let at = 0; at < 600; at++) {
    await succeed(store, {
      do: 'upsert',
      kind: 'services',
      entity: { id: `s${at % 5}`, name: null, filler: `${at}${filler}` },
    })
    highest = Math.max(highest, statSync(`${file}-wal`).size)
  }
  // 120 MB were written; without a new beginning the log would hold them all.
  assert.ok(highest < 80e6, `the log grew to ${highest} bytes`)
})

test('pages follow each other by id, and the last one has no offset', async (t) => {
  const store = await sampleStore(t)
  await insertAll(
    store,
    ['d', 'b', 'a', 'c'].map((id) => ['services', { id }] as const),
  )
  const first = store.reader.page('services', { size: 2 })
  assert.deepEqual(first, { entities: [{ id: 'a' }, { id: 'b' }], offset: 'b' })
  assert.deepEqual(store.reader.page('services', { size: 2, offset: 'b' }), { entities: [{ id: 'c' }, { id: 'd' }] })
  assert.deepEqual(store.reader.page('services', { size: 2, offset: 'zzz' }), { entities: [] })
  assert.deepEqual(store.reader.page('routes', { size: 2 }), { entities: [] })
})

const tagNames = ['red', 'green', 'blue', 'ünï, x']

test('pages filtered by tags and by a link hold what a plain filter finds, whatever their size', async (t) => {
  const store = await sampleStore(t)
  const services = ['s1', 's2'].map((id) => ({ kind: 'services', entity: { id, name: id } }))
  const routes = Array.from({ length: 120 }, (_, at) => ({
    id: `r${(at * 37) % 120}`,
    service: at % 3 === 0 ? null : { id: `s${at % 3}` },
    tags: tagNames.filter((_, bit) => (at >> bit) & 1),
  }))
  await succeed(store, {
    do: 'replace-all',
    entities: [...services, ...routes.map((entity) => ({ kind: 'routes', entity }))],
  })

  const filter = fc.record(
    {
      tags: fc.record({
        names: fc.subarray([...tagNames, 'none'], { minLength: 1 }),
        match: fc.constantFrom('all', 'any'),
      }),
      link: fc.record({ field: fc.constant('service'), id: fc.constantFrom('s1', 's2', 'none') }),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(filter, fc.integer({ min: 1, max: 50 }), (filter, size) => {
      const wanted = routes.filter((route) => matches(route, filter)).map(({ id }) => id)
      assert.deepEqual(
        [...pages(store.reader, { ...filter, size })].map(({ id }) => id),
        wanted.sort(),
      )
    }),
  )
})

function matches(
  route: { readonly tags: readonly string[]; readonly service: { readonly id: string } | null },
  { tags, link }: Partial<PageRequest>,
): boolean {
  const found = (tags?.names ?? []).map((name) => route.tags.includes(name))
  if (tags && !(tags.match === 'all' ? found.every(Boolean) : found.some(Boolean))) return false
  return !link || route.service?.id === link.id
}

function* pages(reader: Reader, request: PageRequest): Iterable<Stored> {
  let page: Page = reader.page('routes', request)
  yield* page.entities
  while (page.offset !== undefined) {
    assert.equal(page.entities.length, request.size)
    page = reader.page('routes', { ...request, offset: page.offset })
    assert.notEqual(page.entities.length, 0)
    yield* page.entities
  }
}

test('tags are listed with their bearers by id, one tag alone when it is named', async (t) => {
  const store = await sampleStore(t)
  await insertAll(store, [
    ['services', { id: '2', tags: ['b', 'a', 'a'] }],
    ['consumers', { id: '1', tags: ['a b'] }],
    ['routes', { id: '3', tags: ['a'] }],
    ['consumers', { id: '2', tags: ['a'] }],
  ])
  const rows = [
    { tag: 'a b', kind: 'consumers', id: '1' },
    { tag: 'a', kind: 'consumers', id: '2' },
    { tag: 'a', kind: 'services', id: '2' },
    { tag: 'b', kind: 'services', id: '2' },
    { tag: 'a', kind: 'routes', id: '3' },
  ]
  for (const size of [1, 2, 3, 4, 5, 6]) {
    assert.deepEqual(allTags(store.reader, size), rows)
    assert.deepEqual(
      allTags(store.reader, size, 'a'),
      rows.filter(({ tag }) => tag === 'a'),
    )
  }
  await succeed(store, { do: 'update', kind: 'services', entity: { id: '2', tags: null } })
  assert.equal(allTags(store.reader, 10).length, 3)
})

function allTags(reader: Reader, size: number, tag?: string): unknown[] {
  const named = tag === undefined ? { size } : { size, tag }
  let page = reader.tags(named)
  const rows = [...page.rows]
  while (page.offset !== undefined) {
    page = reader.tags({ ...named, offset: page.offset })
    rows.push(...page.rows)
  }
  return rows
}

test('a page costs a page, not the table', async (t) => {
  const store = await sampleStore(t)
  const common = Array.from({ length: 20_000 }, (_, at) => ({
    kind: 'consumers',
    entity: {
      id: `c${String(at).padStart(6, '0')}`,
      username: `u${at}`,
      custom_id: null,
      tags: at === 19_999 ? ['all', 'rare'] : ['all'],
    },
  }))
  await succeed(store, { do: 'replace-all', entities: common })
  const costs = (request: PageRequest) => {
    const start = process.hrtime.bigint()
    for (let round = 0; round < 20; round++) store.reader.page('consumers', request)
    return Number(process.hrtime.bigint() - start) / 20e6
  }
  const requests: PageRequest[] = [
    { size: 1 },
    { size: 1, offset: 'c015000' },
    { size: 1, tags: { names: ['all'], match: 'all' } },
    { size: 1, tags: { names: ['all', 'rare'], match: 'all' } },
    { size: 1, tags: { names: ['all', 'rare'], match: 'any' }, offset: 'c015000' },
  ]
  for (const request of requests) {
    const ms = costs(request)
    assert.ok(ms < 2, `${JSON.stringify(request)} took ${ms} ms; reading the whole table takes more than 50`)
  }
})

test('asking by a field that is not unique, or a link that is none, is a mistake in the program', async (t) => {
  const store = await sampleStore(t)
  assert.throws(() => store.reader.by('services', 'port', '80'), TypeError)
  assert.throws(() => store.reader.page('services', { size: 1, link: { field: 'name', id: 'x' } }), TypeError)
})
