/**
 * What the store costs: `node bench/store.ts [--consumers N]` (default 100,000 consumers with a jwt credential each).
 * Everything happens in a temporary folder; the figures are medians where one is worth saying.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { KindIndex } from '../src/store/kinds.ts'
import { localEntities } from '../src/store/local.ts'
import { openStore } from '../src/store/sqlite/open.ts'
import type { Kind, Operation, Store, Stored } from '../src/store/store.ts'

const { values } = parseArgs({ options: { consumers: { type: 'string', default: '100000' } } })
const consumers = Number(values.consumers)

const kinds: KindIndex[] = [
  { kind: 'consumers', unique: ['username', 'custom_id'], together: [], foreign: [], ttl: false },
  {
    kind: 'jwt_secrets',
    unique: ['key'],
    together: [],
    foreign: [{ field: 'consumer', kind: 'consumers', onDelete: 'cascade' }],
    ttl: false,
  },
]

const folder = mkdtempSync(join(tmpdir(), 'gibbon-bench-'))
const file = join(folder, 'gibbon.db')
let store = await openStore({ file, kinds })
try {
  const content = Array.from({ length: consumers }, (_, at) => withCredential(at)).flat()
  await say('load everything', content.length, () => replaceAll(content))
  console.log(`  the write-ahead log: ${(statSync(`${file}-wal`).size / 1e6).toFixed(0)} MB`)
  await say('load it again, nothing changed', content.length, () => replaceAll(content))
  const half = content.filter((_, at) => at % 4 < 2)
  await say('load it without every other consumer', content.length, () => replaceAll(half))
  await say('load it whole again', content.length, () => replaceAll(content))

  // Reading as a worker does right after it has started.
  await store.close()
  store = await openStore({ file, kinds })
  const keys = content.flatMap(({ entity }) => (typeof entity['key'] === 'string' ? entity['key'] : []))
  const some = keys.slice(0, 10_000).sort(() => Math.random() - 0.5)
  await each('read by a unique field, first time', some, (key) => store.reader.by('jwt_secrets', 'key', key))
  await each('read by a unique field', some, (key) => store.reader.by('jwt_secrets', 'key', key))
  await each('read by id', content.slice(0, 10_000), ({ kind, entity }) => store.reader.get(kind, entity.id))
  await each('renew', some, () => store.reader.renew())
  const local = localEntities(store.reader, { kinds })
  for (const key of some) local.by('jwt_secrets', 'key', key)
  await each("hit in a worker's memory", many(some), (key) => local.by('jwt_secrets', 'key', key))
  await each('absent, remembered', many(['nobody']), (key) => local.by('jwt_secrets', 'key', key))
  await each(
    'absent, never asked for',
    some.map((key) => `${key}x`),
    (key) => local.by('jwt_secrets', 'key', key),
  )
  await each('page of 1000', some.slice(0, 20), () => store.reader.page('consumers', { size: 1000 }))

  await writers(1, 2000)
  await writers(10, 5000)
  await say('a batch of 1000 operations, 10 times', 10_000, async () => {
    for (let batch = 0; batch < 10; batch++) {
      await written(Array.from({ length: 500 }, (_, at) => withCredential(2e6 + batch * 500 + at).map(inserted)).flat())
    }
  })
} finally {
  await store.close()
  rmSync(folder, { recursive: true })
}

type Entry = { readonly kind: Kind; readonly entity: Stored }

function withCredential(at: number): [Entry, Entry] {
  const id = randomUUID()
  const times = { created_at: 1_700_000_000, updated_at: 1_700_000_000 }
  return [
    {
      kind: 'consumers',
      entity: { id, username: `consumer-${at}-${id.slice(0, 4)}`, custom_id: null, tags: null, ...times },
    },
    {
      kind: 'jwt_secrets',
      entity: {
        id: randomUUID(),
        consumer: { id },
        key: randomBytes(24).toString('base64url'),
        secret: randomBytes(24).toString('base64url'),
        algorithm: 'HS256',
        rsa_public_key: null,
        tags: null,
        created_at: 1_700_000_000,
      },
    },
  ]
}

function inserted({ kind, entity }: Entry): Operation {
  return { do: 'insert', kind, entity }
}

async function written(operations: readonly Operation[]): ReturnType<Store['write']> {
  const result = await store.write(operations)
  if (!result.ok) throw new Error(JSON.stringify(result.error))
  return result
}

function replaceAll(entities: readonly Entry[]): Promise<unknown> {
  return written([{ do: 'replace-all', entities }])
}

function many<T>(items: readonly T[]): T[] {
  return Array.from({ length: 1_000_000 }, (_, at) => items[at % items.length] as T)
}

/** Writers that each wait for their answer before they write again, as decK's do. */
async function writers(count: number, writes: number): Promise<void> {
  const latencies: number[] = []
  let left = writes
  const writer = async () => {
    while (left-- > 0) {
      const [consumer] = withCredential(1e6 + left)
      const start = performance.now()
      await written([inserted(consumer)])
      latencies.push(performance.now() - start)
    }
  }
  await say(`${count} writer(s), durable`, writes, () => Promise.all(Array.from({ length: count }, writer)))
  latencies.sort((a, b) => a - b)
  const at = (part: number) => `${latencies[Math.floor(latencies.length * part)]?.toFixed(2)} ms`
  console.log(`  median ${at(0.5)}, 99 % ${at(0.99)}`)
}

async function say(what: string, count: number, work: () => Promise<unknown>): Promise<void> {
  const start = performance.now()
  await work()
  report(what, count, performance.now() - start)
}

async function each<T>(what: string, items: readonly T[], work: (item: T) => unknown): Promise<void> {
  const start = performance.now()
  for (const item of items) work(item)
  report(what, items.length, performance.now() - start)
}

function report(what: string, count: number, ms: number): void {
  const single = ms / count
  const unit = single < 0.001 ? `${(single * 1e6).toFixed(0)} ns` : `${(single * 1000).toFixed(1)} us`
  console.log(`${what.padEnd(40)} ${(ms / 1000).toFixed(2).padStart(7)} s for ${count}: ${unit} each`)
}
