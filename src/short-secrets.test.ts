import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { storeKinds } from './config/kinds.ts'
import { watchSecrets } from './short-secrets.ts'
import { indexesOf } from './store/kinds.ts'
import { openStore } from './store/sqlite/open.ts'

/** A store whose log keeps so many changes, and what is warned of. */
async function world(t: TestContext, keep?: number) {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-secrets-'))
  const kinds = indexesOf(storeKinds)
  const store = await openStore({ file: join(folder, 'store.db'), kinds, ...(keep !== undefined && { keep }) })
  t.after(async () => {
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const warned: unknown[] = []
  const log = { warn: (_: string, fields?: object) => void warned.push(fields) }
  return { store, warned, log }
}

const credential = (key: string, secret: string | null, algorithm = 'HS256') => ({
  kind: 'jwt_secrets',
  entity: { id: crypto.randomUUID(), key, secret, algorithm, consumer: null, rsa_public_key: null },
})

test('secrets that can be guessed are taken, and warned of when they are written and at the start', async (t) => {
  const { store, warned, log } = await world(t)
  const write = async (...given: Parameters<typeof credential>) =>
    assert.equal((await store.write([{ do: 'insert', ...credential(...given) }])).ok, true)
  await write('before', 'short')
  watchSecrets(store, log)
  const told = (key: string, algorithm = 'HS256') => ({ credentials: 1, key, algorithm })
  assert.deepEqual(warned.splice(0), [told('before')])
  await write('long', 'x'.repeat(32))
  await write('elsewhere', '{vault://env/a}')
  await write('public', null, 'RS256')
  assert.deepEqual(warned, [])
  await write('empty', '')
  await write('made', 'x'.repeat(32), 'HS512')
  assert.deepEqual(warned.splice(0), [told('empty'), told('made', 'HS512')])
  const entities = ['a', 'b'].map((key) => credential(key, 'secret'))
  await store.write([{ do: 'replace-all', entities }])
  assert.deepEqual(
    warned.map((fields) => (fields as { credentials: number }).credentials),
    [2],
    'many at once are told of once',
  )
  assert.doesNotMatch(JSON.stringify(warned), /"secret"/)
})

test('they are warned of, too, where more has changed at once than is told singly', async (t) => {
  const { store, warned, log } = await world(t, 1)
  watchSecrets(store, log)
  const long = 'x'.repeat(32)
  const last = ['b', 'c'].map((name) => ({ kind: 'upstreams', entity: { id: crypto.randomUUID(), name } }))
  await store.write([
    { do: 'replace-all', entities: [credential('short', 'secret'), credential('long', long), ...last] },
  ])
  assert.deepEqual(warned, [{ credentials: 1, key: 'short', algorithm: 'HS256' }])
})
