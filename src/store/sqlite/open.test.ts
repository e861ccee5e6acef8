import assert from 'node:assert/strict'
import { statSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { setTimeout as sleep } from 'node:timers/promises'
import { insertAll, refused, sampleKinds, sampleStore, succeed, temporaryFolder } from '../sample.ts'
import type { Change } from '../store.ts'
import { openStore } from './open.ts'

test('ten writers at once all get their answers, in the order of the revisions, and none before the listeners', async (t) => {
  const store = await sampleStore(t)
  const told: number[] = []
  store.onCommit(async (revision, changes) => {
    await sleep(1)
    told.push(...changes.map((change) => change.revision))
    assert.equal(told.at(-1), revision)
  })
  const answered: number[] = []
  const writer = async (name: string) => {
    for (let at = 0; at < 50; at++) {
      const { revision } = await succeed(store, {
        do: 'insert',
        kind: 'services',
        entity: { id: `${name}${at}`, name: `${name}${at}` },
      })
      assert.ok(told.includes(revision), `${revision} was answered before it was told`)
      assert.ok(store.reader.get('services', `${name}${at}`), 'it can be read when it is answered')
      answered.push(revision)
    }
  }
  await Promise.all(Array.from('abcdefghij', writer))
  const everyRevision = Array.from({ length: 500 }, (_, at) => at + 1)
  assert.deepEqual(told, everyRevision)
  assert.deepEqual(answered, everyRevision)
})

test('of ten writers that want the same name one gets it', async (t) => {
  const store = await sampleStore(t)
  const outcomes = await Promise.all(
    Array.from('abcdefghij', (id) => store.write([{ do: 'insert', kind: 'services', entity: { id, name: 'mine' } }])),
  )
  assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
  assert.equal(store.reader.count('services'), 1)
})

test('writes that arrive together are committed and told of together', async (t) => {
  const store = await sampleStore(t)
  const told: (readonly Change[])[] = []
  store.onCommit(async (_, changes) => void told.push(changes))
  await Promise.all(
    Array.from({ length: 200 }, (_, at) =>
      succeed(store, { do: 'insert', kind: 'services', entity: { id: `s${at}` } }),
    ),
  )
  assert.equal(told.flat().length, 200)
  assert.ok(told.length < 100, `200 writes were told of ${told.length} times`)
})

test('a listener that fails holds nobody up, and is reported', async (t) => {
  const reported: string[] = []
  const store = await sampleStore(t, { report: ({ message }) => void reported.push(message) })
  store.onCommit(async () => {
    throw new Error('no worker answers')
  })
  await insertAll(store, [['services', { id: 's1' }]])
  assert.deepEqual(reported, ['no worker answers'])
})

test('a kind that the store does not know is a mistake in the program', async (t) => {
  const store = await sampleStore(t)
  await assert.rejects(store.write([{ do: 'insert', kind: 'nothing', entity: { id: 'x' } }]), TypeError)
  await assert.rejects(
    store.write([{ do: 'replace-all', entities: [{ kind: 'nothing', entity: { id: 'x' } }] }]),
    TypeError,
  )
  await assert.rejects(
    store.write([{ do: 'insert', kind: 'services', entity: { id: 'x', run: () => 1 } }]),
    /could not be cloned/,
  )
  await insertAll(store, [['services', { id: 's1' }]])
})

test('what was written is there after closing and opening again, and the log goes on', async (t) => {
  const file = join(temporaryFolder(t), 'deep', 'prefix', 'gibbon.db')
  const first = await openStore({ file, kinds: sampleKinds })
  await insertAll(first, [['services', { id: 's1', name: 'a' }]])
  await first.close()
  assert.deepEqual(await refused(first, { do: 'delete', kind: 'services', id: 's1' }), {
    code: 'unavailable',
    message: 'the store is closed',
  })
  assert.deepEqual(readdirSync(dirname(file)), ['gibbon.db'])

  const second = await openStore({ file, kinds: sampleKinds })
  assert.deepEqual(second.reader.get('services', 's1'), { id: 's1', name: 'a' })
  assert.equal((await succeed(second, { do: 'insert', kind: 'services', entity: { id: 's2' } })).revision, 2)
  await second.close()
})

test('files are for their owner alone, and so is the folder that was made for them', async (t) => {
  const file = join(temporaryFolder(t), 'prefix', 'gibbon.db')
  const store = await openStore({ file, kinds: sampleKinds })
  await insertAll(store, [['services', { id: 's1' }]])
  const modes = ['gibbon.db', 'gibbon.db-wal', 'gibbon.db-shm', '.'].map(
    (name) => statSync(join(dirname(file), name)).mode & 0o777,
  )
  await store.close()
  assert.deepEqual(modes, [0o600, 0o600, 0o600, 0o700])
})

test('closing waits for what is being written', async (t) => {
  const file = join(temporaryFolder(t), 'gibbon.db')
  const store = await openStore({ file, kinds: sampleKinds })
  const writes = Array.from({ length: 50 }, (_, at) =>
    store.write([{ do: 'insert', kind: 'services', entity: { id: `s${at}` } }]),
  )
  const [written] = await Promise.all([Promise.all(writes), store.close()])
  assert.ok(written.every(({ ok }) => ok))
})

test('a backup is whole, of one moment and private, while writing goes on; it overwrites nothing', async (t) => {
  const store = await sampleStore(t)
  const copy = join(temporaryFolder(t), 'copy.db')
  const done = new AbortController()
  const writer = async (name: string) => {
    for (let at = 0; !done.signal.aborted || at < 20; at++) {
      const id = `${name}${at}`
      await succeed(
        store,
        { do: 'insert', kind: 'services', entity: { id, name: id, filler: 'x'.repeat(5000) } },
        { do: 'insert', kind: 'routes', entity: { id, name: id, service: { id } } },
      )
    }
  }
  const writers = Promise.all(Array.from('abc', writer))
  await sleep(50)
  await store.backup(copy)
  done.abort()
  await writers

  await assert.rejects(store.backup(copy), /EEXIST/)
  assert.equal(statSync(copy).mode & 0o777, 0o600)
  const restored = await openStore({ file: copy, kinds: sampleKinds })
  t.after(() => restored.close())
  assert.ok(restored.reader.count('services') > 0)
  assert.equal(restored.reader.count('services'), restored.reader.count('routes'))
  assert.equal(restored.reader.revision, restored.reader.count('services') * 2)
})

test('a writer that dies is started anew; whoever waited is told that the outcome is not known', async (t) => {
  const threads: Worker[] = []
  const remember = (thread: Worker) => void threads.push(thread)
  process.on('worker', remember)
  t.after(() => process.off('worker', remember))
  const reported: string[] = []
  const store = await sampleStore(t, { report: ({ message }) => void reported.push(message) })
  const told: number[] = []
  store.onCommit(async (_, changes) => void told.push(...changes.map(({ revision }) => revision)))

  for (let death = 0; death < 5; death++) {
    const writes = Array.from({ length: 300 }, (_, at) =>
      store.write([{ do: 'insert', kind: 'services', entity: { id: `s${death}-${at}` } }]),
    )
    await Promise.race(writes)
    await threads.at(-1)?.terminate()
    for (const [at, written] of (await Promise.all(writes)).entries()) {
      if (written.ok) assert.ok(store.reader.get('services', `s${death}-${at}`))
      else assert.match(JSON.stringify(written.error), /unavailable.*not known/)
    }
    await insertAll(store, [['services', { id: `after ${death}` }]])
  }
  assert.equal(threads.length, 6)
  assert.equal(reported.length, 5)
  assert.deepEqual(
    told,
    Array.from({ length: store.reader.revision }, (_, at) => at + 1),
    'the listeners missed nothing',
  )
})
