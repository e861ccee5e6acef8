/** Nodes on one database: what one writes the others have, in order and whole, whatever happens between them and the database. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { partitionOf, type Partition } from '../../../test/postgres/partition.ts'
import { type PostgresServer, startPostgres, withoutPostgres } from '../../../test/postgres/server.ts'
import { insertAll, refused, sampleKinds, succeed, temporaryFolder } from '../sample.ts'
import type { Change, Store } from '../store.ts'
import { connect, type Database, type Query } from './connection.ts'
import { openPostgresStore, type OpenOptions } from './open.ts'
import { statements } from './statements.ts'

describe('nodes on one database', { skip: withoutPostgres ?? false }, () => {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server.stop())

  /** A node with a copy of its own; the same folder is the same node. */
  async function node(
    t: TestContext,
    database: Database,
    { folder, ...options }: Partial<OpenOptions> & { folder?: string } = {},
  ): Promise<Store> {
    const opened: Store[] = []
    const close = async () => {
      await opened[0]?.close()
    }
    const place = folder ?? temporaryFolder(t, close)
    const file = join(place, 'shared.db')
    const store = await openPostgresStore({ database, file, kinds: sampleKinds, patienceMs: 60_000, ...options })
    opened.push(store)
    if (folder !== undefined) t.after(close)
    return store
  }
  const through = (database: Database, { port }: Partition): Database => ({ ...database, port, timeoutMs: 3000 })
  const run = async (database: Database, ...queries: Query[]) => {
    const connection = await connect(database)
    const rows = await connection.run(queries)
    connection.end()
    return rows
  }

  test('commits of three nodes at once come to each in one order, none skipped, none by half', async (t) => {
    const database = await server.database()
    const nodes = await Promise.all([node(t, database), node(t, database), node(t, database)])
    const seen = nodes.map((): number[] => [])
    const halves: string[] = []
    for (const [at, store] of nodes.entries()) {
      const { reader } = store
      store.onCommit(async (_, changes) => {
        seen[at]?.push(...changes.map(({ revision }) => revision))
        if (reader.count('services') !== reader.count('routes')) halves.push(`node ${at} at ${reader.revision}`)
      })
    }
    const writer = async (store: Store, name: string) => {
      for (let round = 0; round < 15; round++) {
        const id = `${name}${round}`
        await succeed(
          store,
          { do: 'insert', kind: 'services', entity: { id, name: id } },
          { do: 'insert', kind: 'routes', entity: { id, name: id, service: { id } } },
        )
        assert.ok(store.reader.get('services', id), 'the node that took it has it when it answers')
      }
    }
    await Promise.all(nodes.flatMap((store, at) => Array.from('abcd', (name) => writer(store, `${at}${name}`))))
    await until(() => nodes.every(({ reader }) => reader.renew() === 360))
    await until(() => seen.every((revisions) => revisions.length >= 360))
    const everyRevision = Array.from({ length: 360 }, (_, at) => at + 1)
    assert.deepEqual(seen, [everyRevision, everyRevision, everyRevision])
    assert.deepEqual(halves, [])
    const contents = nodes.map(contentOf)
    assert.ok(isDeepStrictEqual(contents[1], contents[0]) && isDeepStrictEqual(contents[2], contents[0]))
  })

  test('of three nodes that want the same name one gets it', async (t) => {
    const database = await server.database()
    const nodes = await Promise.all([node(t, database), node(t, database), node(t, database)])
    const outcomes = await Promise.all(
      nodes.map((store, at) =>
        store.write([{ do: 'insert', kind: 'services', entity: { id: `s${at}`, name: 'mine' } }]),
      ),
    )
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
    const codes = outcomes.flatMap((outcome) => (outcome.ok ? [] : outcome.error.code))
    assert.deepEqual(codes, ['unique', 'unique'])
  })

  test('a node may refer to what another one has only just written, and sees it when it asks', async (t) => {
    const database = await server.database()
    const [one, other] = await Promise.all([node(t, database), node(t, database, { pollMs: 60_000 })])
    await insertAll(one, [['services', { id: 's1', name: 'a' }]])
    await insertAll(other, [['routes', { id: 'r1', service: { id: 's1' } }]])
    assert.equal((await refused(one, { do: 'delete', kind: 'services', id: 's1' })).code, 'referenced')
    await insertAll(one, [['services', { id: 's2', name: 'b' }]])
    await other.refresh()
    assert.equal(other.reader.get('services', 's2')?.['name'], 'b')
  })

  test('what nobody notified is found all the same', async (t) => {
    const database = await server.database()
    const store = await node(t, database, { pollMs: 20 })
    const told: (readonly Change[])[] = []
    store.onCommit(async (_, changes) => void told.push(changes))
    const say = statements(database.schema, 1000)
    const put = { kind: 'services', id: 's1', body: '{"id":"s1","name":"x"}', msLeft: null, keys: [], links: [] }
    const change = { revision: 1, kind: 'services', id: 's1', operation: 'insert' } as const
    const [advance] = say.advance(1, 'a stamp')
    assert.ok(advance)
    await run(database, ...say.lock, ...say.put([put]), ...say.record([change], 'a stamp'), advance, say.commit)
    await until(() => told.length > 0)
    assert.deepEqual(told, [[change]])
    assert.deepEqual(store.reader.get('services', 's1'), { id: 's1', name: 'x' })
  })

  test('many changes are followed as one, and a node behind the log copies afresh', async (t) => {
    const database = await server.database()
    const folder = temporaryFolder(t)
    const writer = await node(t, database, { keep: 3000 })
    const first = await openPostgresStore({ database, file: join(folder, 'shared.db'), kinds: sampleKinds })
    const sizes = new Set<number>()
    first.onCommit(async () => void sizes.add(first.reader.count('services')))
    await succeed(writer, replaceAll(2500, 'a'))
    await until(() => sizes.size > 0)
    assert.deepEqual([...sizes], [2500], 'never a part of it')
    await first.close()

    await succeed(writer, replaceAll(2500, 'b'))
    await succeed(writer, replaceAll(2500, 'c'))
    const again = await openPostgresStore({ database, file: join(folder, 'shared.db'), kinds: sampleKinds })
    t.after(() => again.close())
    // With a copy to serve, a start does not wait for long.
    await until(() => again.reader.renew() === writer.reader.revision)
    assert.ok(isDeepStrictEqual(contentOf(again), contentOf(writer)))
    assert.equal(again.reader.changesSince(2500), undefined, 'what was between is not told, but that it is not known')
    await insertAll(writer, [['consumers', { id: 'c1', username: 'late' }]])
    await until(() => again.reader.renew() === writer.reader.revision)
    assert.equal(again.reader.by('consumers', 'username', 'late')?.id, 'c1')
    assert.equal(again.reader.changesSince(7500)?.length, 1)
  })

  test('a database that was set back to an older backup is noticed, and every reader told', async (t) => {
    const database = await server.database()
    const store = await node(t, database)
    await insertAll(store, [
      ['services', { id: 's1', name: 'kept' }],
      ['services', { id: 's2', name: 'lost' }],
    ])
    const before = store.reader.revision
    const told: number[] = []
    store.onCommit(async (revision) => void told.push(revision))
    const tables = `${database.schema}.gibbon`
    await run(
      database,
      { text: `DELETE FROM ${tables}_unique_keys WHERE id = 's2'` },
      { text: `DELETE FROM ${tables}_entities WHERE id = 's2'` },
      { text: `DELETE FROM ${tables}_changes WHERE revision = 2` },
      { text: `UPDATE ${tables}_head SET revision = 1` },
    )
    await until(() => told.length > 0)
    assert.equal(store.reader.get('services', 's2'), undefined)
    assert.equal(store.reader.get('services', 's1')?.['name'], 'kept')
    assert.ok(store.reader.revision > before)
    assert.equal(store.reader.changesSince(before), undefined)
    await insertAll(store, [['services', { id: 's3', name: 'lost' }]])
  })

  test('a copy that is not what the database holds is refused by it, and made anew', async (t) => {
    const database = await server.database()
    const store = await node(t, database)
    const other = await node(t, database)
    await insertAll(other, [['services', { id: 's1', name: 'taken' }]])
    await until(() => store.reader.renew() === 1)
    // As a bug or a disk might: the database has a name that no log tells of.
    const tables = `${database.schema}.gibbon`
    await run(
      database,
      {
        text: `INSERT INTO ${tables}_entities (kind, id, body) VALUES ('services', 's2', '{"id":"s2","name":"hidden"}')`,
      },
      {
        text: `INSERT INTO ${tables}_unique_keys (kind, field, digest, id) VALUES ('services', 'name', sha256('hidden'), 's2')`,
      },
    )
    const insert = { do: 'insert', kind: 'services', entity: { id: 's3', name: 'hidden' } } as const
    assert.equal((await refused(store, insert)).code, 'unavailable')
    assert.deepEqual(await refused(store, insert), { code: 'unique', kind: 'services', fields: { name: 'hidden' } })
  })

  test('cut off from the database a node reads on, refuses writes within a second, and goes on by itself', async (t) => {
    const database = await server.database()
    const partition = await partitionOf(server.port)
    t.after(() => partition.close())
    const states: (string | undefined)[] = []
    const store = await node(t, through(database, partition), {
      patienceMs: 800,
      onState: (problem) => states.push(problem?.message),
    })
    const other = await node(t, database)
    await insertAll(store, [['services', { id: 's1', name: 'a' }]])
    assert.equal(store.reachable(), true)

    partition.cut()
    const writes = Array.from({ length: 20 }, (_, at) =>
      store.write([{ do: 'insert', kind: 'services', entity: { id: `p${at}`, name: `p${at}` } }]),
    )
    const outcomes = await Promise.all(writes)
    for (const outcome of outcomes) assert.match(JSON.stringify(outcome), /unavailable.*does not answer/)
    await until(() => !store.reachable())
    await store.refresh()
    assert.equal(store.reader.get('services', 's1')?.['name'], 'a')
    assert.equal((await refused(store, { do: 'delete', kind: 'services', id: 's1' })).code, 'unavailable')
    await insertAll(other, [['services', { id: 's2', name: 'b' }]])

    partition.heal()
    await until(() => store.reachable() && store.reader.renew() >= other.reader.renew())
    assert.equal(store.reader.get('services', 's2')?.['name'], 'b')
    await insertAll(store, [['services', { id: 's3', name: 'c' }]])
    assert.match(String(states[0]), /does not answer/)
    assert.equal(states.at(-1), undefined)
  })

  test('what was given up before it was sent is not written later, when the database answers again', async (t) => {
    const database = await server.database()
    const partition = await partitionOf(server.port)
    t.after(() => partition.close())
    const away = { ...through(database, partition), timeoutMs: 60_000 }
    const store = await node(t, away, { patienceMs: 300, pollMs: 60_000 })
    // Until nothing is on its way to the database that a write would have to wait for.
    await sleep(200)
    partition.cut()
    const given = [1, 2].map((at) => store.write([{ do: 'insert', kind: 'services', entity: { id: `s${at}` } }]))
    for (const outcome of await Promise.all(given)) assert.match(JSON.stringify(outcome), /nothing was written/)
    partition.heal()
    await until(() => store.reachable())
    const again = { do: 'insert', kind: 'services', entity: { id: 's1' } } as const
    await until(async () => (await store.write([again])).ok)
    await store.refresh()
    assert.equal(store.reader.count('services'), 1)
    const tables = `${database.schema}.gibbon`
    const [rows] = await run(database, { text: `SELECT id FROM ${tables}_entities WHERE kind = 'services'` })
    assert.deepEqual(rows, [{ id: 's1' }])
  })

  test('a content that takes longer to go through than the database may be silent is written all the same', async (t) => {
    const database = await server.database()
    const store = await node(t, database, { patienceMs: 500 })
    const entities = function* () {
      for (let at = 0; at < 3000; at++) {
        // As checking a million entities keeps the thread busy.
        if (at % 1000 === 500) keepBusy(300)
        yield { kind: 'services', entity: { id: `s${at}`, name: `n${at}` } }
      }
    }
    await succeed(store, { do: 'replace-all', entities: entities() })
    assert.equal(store.reader.count('services'), 3000)
  })

  test('a write that is tried again has no more time than the first attempt had left', async (t) => {
    const database = await server.database()
    const store = await node(t, database, { patienceMs: 2000 })
    const other = await connect(database)
    await other.run(statements(database.schema, 1000).lock)
    const insert = { do: 'insert', kind: 'services', entity: { id: 's1' } } as const
    const outcome = await store.write([insert], performance.now() - 2000)
    assert.match(JSON.stringify(outcome), /unavailable.*does not answer; nothing was written/)
    assert.equal(store.reachable(), true, 'which says nothing of the database')
    other.end()
    await succeed(store, insert)
  })

  test('a node that restarts while the database is down serves what it last had', async (t) => {
    const database = await server.database()
    const partition = await partitionOf(server.port)
    const folder = temporaryFolder(t)
    const before = await openPostgresStore({
      database: through(database, partition),
      file: join(folder, 'shared.db'),
      kinds: sampleKinds,
    })
    await insertAll(before, [['services', { id: 's1', name: 'a' }]])
    await before.close()
    await partition.close()

    const after = await node(t, through(database, partition), { folder })
    assert.equal(after.reader.get('services', 's1')?.['name'], 'a')
    assert.equal(after.reachable(), false)
    const error = await refused(after, { do: 'delete', kind: 'services', id: 's1' })
    assert.match(JSON.stringify(error), /unavailable.*ECONNREFUSED.*nothing was written/)
    await assert.rejects(node(t, through(database, partition)), /there is no copy of it on this node yet/)
  })

  test('a database without our tables, or with those of another version, is refused with what to do', async (t) => {
    const database = await server.database()
    await assert.rejects(node(t, { ...database, schema: 'nowhere' }), /run gibbon migrations bootstrap/)
    const store = await node(t, database)
    await insertAll(store, [['services', { id: 's1' }]])
    await run(database, { text: `UPDATE ${database.schema}.gibbon_head SET version = 99` })
    await until(() => !store.reachable())
    assert.match(JSON.stringify(await refused(store, { do: 'delete', kind: 'services', id: 's1' })), /newer Gibbon/)
    await assert.rejects(node(t, database), /newer Gibbon/)
    await run(database, { text: `UPDATE ${database.schema}.gibbon_head SET version = 1` })
    await until(() => store.reachable())
    await succeed(store, { do: 'delete', kind: 'services', id: 's1' })
  })

  test('one that falls silent in the midst of a write holds up the others for a few seconds at most', async (t) => {
    const database = await server.database()
    const store = await node(t, database, { patienceMs: 800 })
    const silent = await connect(database)
    await silent.run(statements(database.schema, 1000).lock)
    const insert = { do: 'insert', kind: 'services', entity: { id: 's1' } } as const
    assert.match(JSON.stringify(await refused(store, insert)), /unavailable.*lock timeout.*nothing was written/)
    assert.equal(store.reachable(), true)
    await silent.ended
    await succeed(store, insert)
  })

  test('the death of the copy’s thread costs a moment', async (t) => {
    const database = await server.database()
    const threads: { terminate(): Promise<number> }[] = []
    const remember = (thread: { terminate(): Promise<number> }) => void threads.push(thread)
    process.on('worker', remember)
    t.after(() => process.off('worker', remember))
    const store = await node(t, database)
    await insertAll(store, [['services', { id: 's1' }]])
    await threads.at(-1)?.terminate()
    await until(async () => (await store.write([{ do: 'upsert', kind: 'services', entity: { id: 's2' } }])).ok)
    assert.equal(store.reader.count('services'), 2)
  })

  test('a damaged copy is made anew', async (t) => {
    const database = await server.database()
    const folder = temporaryFolder(t)
    const file = join(folder, 'shared.db')
    const { writeFileSync } = await import('node:fs')
    writeFileSync(file, 'no database at all\n'.repeat(1000))
    const reported: string[] = []
    const store = await node(t, database, { folder, report: ({ message }) => void reported.push(message) })
    await insertAll(store, [['services', { id: 's1' }]])
    assert.match(String(reported), /not a file of Gibbon.*made anew/)
  })
})

function keepBusy(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

const replaceAll = (count: number, name: string) => ({
  do: 'replace-all' as const,
  entities: Array.from({ length: count }, (_, at) => ({
    kind: 'services',
    entity: { id: `s${at}`, name: `${name}${at}`, tags: [name] },
  })),
})

/** All that a store holds and finds. */
function contentOf({ reader }: Store): Record<string, unknown> {
  const byKind = Object.fromEntries(sampleKinds.map(({ kind }) => [kind, [...reader.all(kind)]]))
  const byName = byKind['services']?.map(({ name }) => reader.by('services', 'name', String(name))?.id)
  return { ...byKind, byName, tags: reader.tags({ size: 1000 }).rows }
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let triesLeft = 600; !(await isSo()); triesLeft--) {
    if (triesLeft === 0) throw new Error(`waited in vain for ${isSo.toString()}`)
    await sleep(20)
  }
}
