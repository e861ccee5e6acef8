import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { storeKinds } from './config/kinds.ts'
import { watchSecrets } from './short-secrets.ts'
import { indexesOf } from './store/kinds.ts'
import { openStore } from './store/sqlite/open.ts'

test('secrets that can be guessed are taken, and warned of when they are written and at the start', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-secrets-'))
  const store = await openStore({ file: join(folder, 'store.db'), kinds: indexesOf(storeKinds) })
  t.after(async () => {
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const warned: unknown[] = []
  const log = { warn: (_: string, fields?: object) => void warned.push(fields) }
  const write = async (key: string, secret: string | null, algorithm = 'HS256') => {
    const entity = { id: crypto.randomUUID(), key, secret, algorithm, consumer: null, rsa_public_key: null }
    assert.equal((await store.write([{ do: 'insert', kind: 'jwt_secrets', entity }])).ok, true)
  }
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
  const entities = ['a', 'b'].map((key) => ({
    kind: 'jwt_secrets',
    entity: {
      id: crypto.randomUUID(),
      key,
      secret: 'secret',
      algorithm: 'HS256',
      consumer: null,
      rsa_public_key: null,
    },
  }))
  await store.write([{ do: 'replace-all', entities }])
  assert.deepEqual(
    warned.map((fields) => (fields as { credentials: number }).credentials),
    [2],
    'many at once are told of once',
  )
  assert.doesNotMatch(JSON.stringify(warned), /"secret"/)
})
