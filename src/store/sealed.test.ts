import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type PostgresServer, startPostgres, withoutPostgres } from '../../test/postgres/server.ts'
import type { Schema } from '../schema/field.ts'
import { generateKey, parseKeyring, type Keyring, sealerOf } from './keyring.ts'
import { indexesOf } from './kinds.ts'
import { localEntities } from './local.ts'
import { temporaryFolder } from './sample.ts'
import { openSealed, sealStore, type SealedStore } from './sealed.ts'
import { openPostgresStore } from './postgres/open.ts'
import { openStore } from './sqlite/open.ts'
import { openReader } from './sqlite/reader.ts'
import type { Operation, Store, Stored } from './store.ts'
import { keyrings } from '../entities/keyrings.ts'

const uuid = { type: 'string', uuid: true, auto: true } as const
const credentials: Schema = {
  name: 'credentials',
  fields: [
    { id: uuid },
    { key: { type: 'string', unique: true, $secret: true } },
    { secret: { type: 'string', encrypted: true } },
    { config: { type: 'record', fields: [{ password: { type: 'string', encrypted: true } }] } },
    { note: { type: 'string' } },
  ],
}
const kinds = new Map<string, Schema>([
  ['credentials', credentials],
  ['keyrings', keyrings],
])

const keyringOf = (...keys: string[]): Keyring => {
  const parsed = parseKeyring(keys.join('\n'))
  assert.ok(!('problem' in parsed))
  return parsed
}

const [first, second] = [generateKey(), generateKey()]

interface World {
  readonly folder: string
  /** Opens the store with a keyring, the one before being closed. */
  readonly open: (keyring?: Keyring) => Promise<SealedStore>
  /** The store as it lies on the disk. */
  readonly raw: () => Store
}

function world(t: TestContext): World {
  let current: Store | undefined
  const folder = temporaryFolder(t, async () => current?.close())
  return {
    folder,
    raw: () => current!,
    open: async (keyring) => {
      await current?.close()
      current = await openStore({ file: join(folder, 'store.db'), kinds: indexesOf(kinds) })
      return sealStore(current, { keyring, kinds })
    },
  }
}

const sample = (id: string, rest: Partial<Stored> = {}): Stored => ({
  id,
  key: `key of ${id}`,
  secret: `secret of ${id}`,
  config: { password: `password of ${id}` },
  note: 'for all to see',
  ...rest,
})

async function insert(store: Store, ...entities: Stored[]): Promise<void> {
  const written = await store.write(entities.map((entity) => ({ do: 'insert', kind: 'credentials', entity })))
  assert.ok(written.ok)
}

/** Everything in the store's files. */
const bytesIn = (folder: string): string =>
  readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'latin1'))
    .join('')

/** The files in which a secret of the samples stands in clear. */
const filesInClear = (folder: string, ids: string): string[] =>
  readdirSync(folder).filter((file) =>
    new RegExp(`(key|secret|password) of ${ids}`).test(readFileSync(join(folder, file), 'latin1')),
  )

test('what is written is read as it was, and no secret is in the files', async (t) => {
  const { open, folder, raw } = world(t)
  const store = await open(keyringOf(first))
  await insert(store, sample('a'), sample('b'))
  assert.deepEqual(store.reader.get('credentials', 'a'), sample('a'))
  assert.deepEqual(store.reader.by('credentials', 'key', 'key of b'), sample('b'))
  assert.equal(store.reader.by('credentials', 'key', 'key of c'), undefined)
  assert.deepEqual(store.reader.page('credentials', { size: 10 }).entities, [sample('a'), sample('b')])
  assert.deepEqual([...store.reader.all('credentials')], [sample('a'), sample('b')])
  await raw().backup(join(folder, 'copy.db'))
  assert.deepEqual(filesInClear(folder, '[ab]'), [])
  assert.ok(bytesIn(folder).includes('for all to see'))
})

test('a unique secret stays unique, and the refusal names it as it was written', async (t) => {
  const { open } = world(t)
  const store = await open(keyringOf(first))
  await insert(store, sample('a'))
  const refused = await store.write([
    { do: 'insert', kind: 'credentials', entity: sample('x') },
    { do: 'insert', kind: 'credentials', entity: sample('y', { key: 'key of a' }) },
  ])
  assert.deepEqual(refused, {
    ok: false,
    at: 1,
    error: { code: 'unique', kind: 'credentials', fields: { key: 'key of a' } },
  })
})

test('a change is taken only from who saw the entity as it is, and writing the same changes nothing', async (t) => {
  const { open } = world(t)
  const store = await open(keyringOf(first))
  await insert(store, sample('a'))
  const seen = store.reader.get('credentials', 'a')!
  const changing = (secret: string): Operation => ({
    do: 'update',
    kind: 'credentials',
    entity: { ...seen, secret },
    expected: seen,
  })
  assert.ok((await store.write([changing('another')])).ok)
  const late = await store.write([changing('too late')])
  assert.equal(!late.ok && late.error.code, 'conflict')
  const again = await store.write([{ do: 'upsert', kind: 'credentials', entity: sample('a', { secret: 'another' }) }])
  assert.deepEqual(again.ok && again.changes, [])
  const same = await store.write([
    { do: 'replace-all', entities: [{ kind: 'credentials', entity: sample('a', { secret: 'another' }) }] },
  ])
  assert.deepEqual(same.ok && same.changes, [])
})

test('a store that held secrets in clear is sealed when it is opened with a keyring for the first time', async (t) => {
  const { open, folder } = world(t)
  const clear = await open()
  await insert(clear, ...Array.from({ length: 1200 }, (_, at) => sample(`c${at}`)))
  const store = await open(keyringOf(first))
  assert.deepEqual(store.reader.by('credentials', 'key', 'key of c1100'), sample('c1100'))
  assert.equal(store.reader.count('credentials'), 1200)
  const doubled = await store.write([{ do: 'insert', kind: 'credentials', entity: sample('z', { key: 'key of c7' }) }])
  assert.equal(doubled.ok, false)
  await store.close()
  assert.deepEqual(filesInClear(folder, 'c'), [])
})

test('without its key, or with another one, a sealed store is not opened', async (t) => {
  const { open } = world(t)
  await insert(await open(keyringOf(first)), sample('a'))
  await assert.rejects(open(), /the store is sealed, and needs the key [\da-f]{8}: no keyring_file is given/)
  await assert.rejects(open(keyringOf(second)), /needs the key [\da-f]{8}: the keyring has [\da-f]{8}$/)
  assert.deepEqual((await open(keyringOf(first))).reader.get('credentials', 'a'), sample('a'))
})

test('keys are changed in steps, at each of which everything can be read and found', async (t) => {
  const { open, folder } = world(t)
  const { active: oldId } = keyringOf(first)
  const { active: newId } = keyringOf(second)
  await insert(await open(keyringOf(first)), sample('a'), sample('b'))
  const store = await open(keyringOf(second, first))
  await insert(store, sample('c'))
  assert.deepEqual(store.sealing(), { active: newId, keyring: [newId, oldId], needed: [oldId, newId] })
  // What lies under the old key is changed under the new one.
  const seen = store.reader.get('credentials', 'a')!
  const update: Operation = { do: 'update', kind: 'credentials', entity: { ...seen, note: 'new' }, expected: seen }
  assert.ok((await store.write([update])).ok)
  await assert.rejects(openSealedFile(folder, keyringOf(second)), /needs the key/)

  assert.equal(await store.rotate(), 1)
  assert.deepEqual(store.sealing().needed, [newId])
  const last = await open(keyringOf(second))
  for (const id of ['a', 'b', 'c']) assert.equal(last.reader.by('credentials', 'key', `key of ${id}`)?.id, id)
  assert.equal(await last.rotate(), 0)
  await assert.rejects(open(keyringOf(first)), /needs the key/)
})

const openSealedFile = async (folder: string, keyring: Keyring) => {
  const reader = openReader(join(folder, 'store.db'), indexesOf(kinds))
  try {
    return openSealed(reader, { keyring, kinds })
  } catch (error) {
    reader.close()
    throw error
  }
}

test('a node that still seals with an old key after another has rotated makes the store need it again', async (t) => {
  const { open, raw } = world(t)
  const old = await open(keyringOf(first, second))
  await insert(old, sample('a'))
  const other = await sealStore(raw(), { keyring: keyringOf(second, first), kinds })
  await other.rotate()
  assert.deepEqual(other.sealing().needed, [keyringOf(second).active])
  await insert(old, sample('b'))
  assert.deepEqual(other.sealing().needed, [keyringOf(second).active, keyringOf(first).active])
})

test('a worker opens a secret once, when it is first asked for', async (t) => {
  const { open, folder } = world(t)
  const keyring = keyringOf(first)
  await insert(await open(keyring), sample('a'))
  const reader = await openSealedFile(folder, keyring)
  t.after(() => reader.close())
  const local = localEntities(reader, { kinds: indexesOf(kinds) })
  const found = local.by('credentials', 'key', 'key of a')
  assert.deepEqual(found?.entity, sample('a'))
  assert.equal(local.get('credentials', 'a'), found)
  assert.equal(local.by('credentials', 'key', 'nobody'), undefined)
})

test('a sealed value opens only where it was sealed, and as it was', () => {
  const sealer = sealerOf(keyringOf(first))
  const sealed = sealer.seal('credentials/a/secret', 'text')
  assert.equal(sealer.open('credentials/a/secret', sealed), 'text')
  assert.deepEqual(sealer.seal('credentials/a/secret', 'text'), sealed)
  assert.notDeepEqual(sealer.seal('credentials/b/secret', 'text'), sealed)
  const changed = { $sealed: sealed.$sealed.replace(/.(?=.{4}$)/, (one) => (one === 'A' ? 'B' : 'A')) }
  for (const [place, value] of [
    ['credentials/b/secret', sealed],
    ['credentials/a/key', sealed],
    ['credentials/a/secret', changed],
    ['credentials/a/secret', { $sealed: sealed.$sealed.slice(0, 12) }],
  ] as const) {
    assert.throws(() => sealer.open(place, value), /was changed, or belongs elsewhere/)
  }
})

test('a keyring is keys of 32 bytes, a line each; a slip is told without the key', () => {
  const hex = Buffer.from(first, 'base64').toString('hex')
  assert.deepEqual(parseKeyring(`# ours\n${first} # the first\n\n`), parseKeyring(hex))
  assert.equal(keyringOf(`${second},${first}`).keys.size, 2)
  for (const [text, problem] of [
    ['', 'there is no key in it'],
    [`${first}\nshort`, 'line 2: expected a key of 32 bytes in hexadecimal digits or base64'],
    [`${hex}00`, 'line 1: expected a key of 32 bytes in hexadecimal digits or base64'],
  ] as const) {
    assert.deepEqual(parseKeyring(text), { problem })
  }
})

/** Text that is told also by a piece of it. */
const clear = (size: number): string => 'in-clear-text '.repeat(size)

/** Entities of many sizes that come, change and go in no order, which moves much about in the tables' pages. */
async function stir(store: Store): Promise<void> {
  const write = async (operations: Operation[]) => assert.ok((await store.write(operations)).ok)
  const of = (at: number, size: number): Stored => ({ id: `${(at * 7919) % 1009}`, secret: clear(size) })
  for (let round = 0; round < 3; round++) {
    for (let at = 0; at < 600; at += 20) {
      const some = Array.from({ length: 20 }, (_, more) => of(at + more, 1 + (((at + more) * (31 + round)) % 60)))
      await write(some.map((entity) => ({ do: 'upsert', kind: 'credentials', entity })))
    }
  }
}

const filesWithPieces = (folder: string): string[] =>
  readdirSync(folder).filter((name) => readFileSync(join(folder, name), 'latin1').includes('in-clear'))

test('of what was sealed no piece lies on in the file', async (t) => {
  const { open, raw, folder } = world(t)
  await stir(await open())
  await open(keyringOf(first))
  await raw().close()
  assert.deepEqual(filesWithPieces(folder), [])
})

describe('nodes on one database', { skip: withoutPostgres ?? false }, () => {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server.stop())

  test('of what one of them has sealed no piece lies on in the copies of all, that of one that was away included', async (t) => {
    const database = await server.database()
    const opened = new Map<string, Store>()
    const node = async (folder: string) => {
      const store = await openPostgresStore({ database, file: join(folder, 'shared.db'), kinds: indexesOf(kinds) })
      opened.set(folder, store)
      return store
    }
    const [sealing, following, away] = Array.from({ length: 3 }, (): string => {
      const folder: string = temporaryFolder(t, async () => opened.get(folder)?.close())
      return folder
    }) as [string, string, string]
    const store = await node(sealing)
    for (const folder of [following, away]) await node(folder)
    await stir(store)
    for (const { reader } of opened.values()) while (reader.renew() < store.reader.renew()) await sleep(20)
    await opened.get(away)?.close()
    await sealStore(store, { keyring: keyringOf(first), kinds })
    const { reader } = await node(away)
    for (const each of [reader, opened.get(following)!.reader])
      while (each.renew() < store.reader.renew()) await sleep(20)
    for (const each of opened.values()) await each.close()
    for (const folder of [sealing, following, away]) assert.deepEqual(filesWithPieces(folder), [])
  })
})
