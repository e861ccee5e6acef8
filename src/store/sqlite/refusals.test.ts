import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, openSync, readFileSync, writeFileSync, writeSync, closeSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'
import { insertAll, sampleKinds, succeed, temporaryFolder } from '../sample.ts'
import { openStore } from './open.ts'

/** A closed store's file with `count` services in it. */
async function closedStore(t: TestContext, count: number): Promise<string> {
  const file = join(temporaryFolder(t), 'gibbon.db')
  const store = await openStore({ file, kinds: sampleKinds })
  const entities = Array.from({ length: count }, (_, at) => ({
    kind: 'services',
    entity: { id: `s${at}`, name: `name of ${at}` },
  }))
  await succeed(store, { do: 'replace-all', entities })
  await store.close()
  return file
}

async function refusesToOpen(file: string, reason: RegExp): Promise<void> {
  const before = readFileSync(file)
  await assert.rejects(openStore({ file, kinds: sampleKinds }), (error: Error) => {
    assert.ok(error.message.includes(file), `${error.message} names the file`)
    assert.match(error.message, reason)
    return true
  })
  assert.deepEqual(readFileSync(file), before, 'the file is left as it was')
}

test('a file of a newer version is refused and left as it is', async (t) => {
  const file = await closedStore(t, 1)
  alter(file, 'PRAGMA user_version = 99')
  await refusesToOpen(file, /written by a newer Gibbon \(store version 99, this one knows 1\)/)
})

test("another program's database is refused and left as it is", async (t) => {
  const file = join(temporaryFolder(t), 'other.db')
  alter(file, 'CREATE TABLE theirs (a)')
  await refusesToOpen(file, /a database of another program/)
})

test('a file that is no database is refused and left as it is', async (t) => {
  const file = join(temporaryFolder(t), 'notes.txt')
  writeFileSync(file, 'not a database at all\n'.repeat(100))
  await refusesToOpen(file, /not a file of Gibbon/)
})

test('a damaged file is refused and left as it is', async (t) => {
  const file = await closedStore(t, 2000)
  scribble(file, 4096, 40_960)
  await refusesToOpen(file, /damaged/)
})

test('a file cut off in the middle is refused and left as it is', async (t) => {
  const file = await closedStore(t, 2000)
  const half = join(temporaryFolder(t), 'half.db')
  copyFileSync(file, half)
  writeFileSync(half, readFileSync(half).subarray(0, statSync(half).size / 2))
  await refusesToOpen(half, /damaged/)
})

test('a folder in place of the file is refused', async (t) => {
  const folder = temporaryFolder(t)
  await assert.rejects(openStore({ file: folder, kinds: sampleKinds }), /cannot use the store .*cannot be opened/)
})

test('damage met while writing is an answer, and the rest of the store stays readable', async (t) => {
  const file = await closedStore(t, 50)
  // The root page of a table that only writing looks at: found where the schema says it is.
  const db = new DatabaseSync(file)
  const { rootpage } = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'unique_keys'").get() as {
    rootpage: number
  }
  db.close()
  const store = await openStore({ file, kinds: sampleKinds })
  t.after(() => store.close())
  scribble(file, (rootpage - 1) * 4096, 4096)
  const written = await store.write([{ do: 'insert', kind: 'services', entity: { id: 'new', name: 'new' } }])
  assert.ok(!written.ok && written.error.code === 'unavailable')
  assert.match(written.error.message, /damaged/)
  assert.equal(store.reader.get('services', 's7')?.['name'], 'name of 7')
})

test('on a full disk a write is refused with nothing lost, and written when there is room again', async (t) => {
  const file = await closedStore(t, 10)
  // No file of the child may grow beyond 256 blocks of 1 KiB; Node ignores the signal that comes with it.
  const script = join(import.meta.dirname, 'full-disk.child.ts')
  const child = spawnSync('bash', ['-c', `ulimit -S -f 256; exec "$0" "$@"`, process.execPath, script, file], {
    encoding: 'utf8',
  })
  assert.equal(child.status, 0, child.stderr)
  const { refusal, small, read, afterwards } = JSON.parse(child.stdout) as Record<string, unknown>
  assert.match(String(refusal), /the disk|full/)
  assert.equal(small, true, 'a batch that fits is written beside the one that does not')
  assert.equal(read, 'name of 7')
  assert.equal(afterwards, true)

  const store = await openStore({ file, kinds: sampleKinds })
  t.after(() => store.close())
  assert.equal(store.reader.count('services'), 12)
})

test('a file that was readable by others is made private', async (t) => {
  const file = await closedStore(t, 1)
  chmodSync(file, 0o644)
  const store = await openStore({ file, kinds: sampleKinds })
  t.after(() => store.close())
  await insertAll(store, [['services', { id: 'x' }]])
  assert.equal(statSync(file).mode & 0o777, 0o600)
})

function alter(file: string, sql: string): void {
  const db = new DatabaseSync(file)
  db.exec(sql)
  db.close()
}

function scribble(file: string, from: number, bytes: number): void {
  const handle = openSync(file, 'r+')
  writeSync(handle, Buffer.alloc(bytes, 0xa5), 0, bytes, from)
  closeSync(handle)
}
