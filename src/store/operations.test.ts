import assert from 'node:assert/strict'
import { onEachStore } from '../../test/store/each.ts'
import { insertAll, refused, succeed } from './sample.ts'
import type { Change } from './store.ts'

onEachStore('an entity is read back as it was written, by id and by each unique field', async (store) => {
  const bob = {
    id: 'c1',
    username: 'böb',
    custom_id: '\u0000 1',
    tags: null,
    nested: { list: [1, 2.5, null], text: '"' },
  }
  await insertAll(store, [['consumers', bob]])
  assert.deepEqual(store.reader.get('consumers', 'c1'), bob)
  assert.deepEqual(store.reader.by('consumers', 'username', 'böb'), bob)
  assert.deepEqual(store.reader.by('consumers', 'custom_id', '\u0000 1'), bob)
  assert.equal(store.reader.by('consumers', 'custom_id', '\u0000'), undefined)
  assert.equal(store.reader.get('services', 'c1'), undefined)
})

onEachStore('a value that is no valid Unicode finds no entity', async (store) => {
  await insertAll(store, [['consumers', { id: 'c1', username: '\ufffd' }]])
  assert.equal(store.reader.by('consumers', 'username', '\ud800'), undefined)
  assert.equal(store.reader.get('consumers', '\ud800'), undefined)
})

onEachStore('a taken id is reported before a taken name', async (store) => {
  await insertAll(store, [['services', { id: 's1', name: 'a' }]])
  const error = await refused(store, { do: 'insert', kind: 'services', entity: { id: 's1', name: 'a' } })
  assert.deepEqual(error, { code: 'primary', kind: 'services', id: 's1' })
})

onEachStore('a taken name is reported before a reference to nothing', async (store) => {
  await insertAll(store, [['routes', { id: 'r1', name: 'a', service: null }]])
  const error = await refused(store, {
    do: 'insert',
    kind: 'routes',
    entity: { id: 'r2', name: 'a', service: { id: 'none' } },
  })
  assert.deepEqual(error, { code: 'unique', kind: 'routes', fields: { name: 'a' } })
})

onEachStore('a reference to nothing is refused, also to a kind that nobody declared', async (store) => {
  assert.deepEqual(
    await refused(store, { do: 'insert', kind: 'routes', entity: { id: 'r1', service: { id: 'none' } } }),
    {
      code: 'foreign',
      field: 'service',
      kind: 'services',
      id: 'none',
    },
  )
  const error = await refused(store, {
    do: 'insert',
    kind: 'services',
    entity: { id: 's1', client_certificate: { id: 'none' } },
  })
  assert.deepEqual(error, { code: 'foreign', field: 'client_certificate', kind: 'certificates', id: 'none' })
})

onEachStore(
  'fields unique together count null as a value, and are reported before a single unique field',
  async (store) => {
    await insertAll(store, [
      ['services', { id: 's1' }],
      ['plugins', { id: 'p1', name: 'jwt', service: null, route: null, consumer: null, instance_name: 'mine' }],
      ['plugins', { id: 'p2', name: 'jwt', service: { id: 's1' }, route: null, consumer: null, instance_name: null }],
    ])
    const again = { id: 'p3', name: 'jwt', service: { id: 's1' }, instance_name: 'mine' }
    assert.deepEqual(await refused(store, { do: 'insert', kind: 'plugins', entity: again }), {
      code: 'unique',
      kind: 'plugins',
      fields: { name: 'jwt', route: null, service: { id: 's1' }, consumer: null },
    })
    const other = { ...again, name: 'key-auth' }
    assert.deepEqual(await refused(store, { do: 'insert', kind: 'plugins', entity: other }), {
      code: 'unique',
      kind: 'plugins',
      fields: { instance_name: 'mine' },
    })
  },
)

onEachStore('null is taken by nobody in a single unique field', async (store) => {
  await insertAll(store, [
    ['consumers', { id: 'c1', username: 'a', custom_id: null }],
    ['consumers', { id: 'c2', username: 'b', custom_id: null }],
  ])
  assert.equal(store.reader.count('consumers'), 2)
})

onEachStore('an update moves the unique values and gives the old ones free', async (store) => {
  await insertAll(store, [
    ['services', { id: 's1', name: 'a' }],
    ['services', { id: 's2', name: 'b' }],
  ])
  const taken = await refused(store, { do: 'update', kind: 'services', entity: { id: 's1', name: 'b' } })
  assert.deepEqual(taken, { code: 'unique', kind: 'services', fields: { name: 'b' } })
  await succeed(store, { do: 'update', kind: 'services', entity: { id: 's1', name: 'c' } })
  await succeed(store, { do: 'update', kind: 'services', entity: { id: 's2', name: 'a' } })
  assert.equal(store.reader.by('services', 'name', 'a')?.id, 's2')
  assert.equal(store.reader.by('services', 'name', 'b'), undefined)
})

onEachStore('an update of what changed meanwhile is a conflict, whatever the order of its keys', async (store) => {
  await insertAll(store, [['services', { id: 's1', name: 'a', port: 80 }]])
  const entity = { id: 's1', name: 'a', port: 81 }
  await succeed(store, { do: 'update', kind: 'services', entity, expected: { port: 80, name: 'a', id: 's1' } })
  const error = await refused(store, {
    do: 'update',
    kind: 'services',
    entity,
    expected: { id: 's1', name: 'a', port: 80 },
  })
  assert.deepEqual(error, { code: 'conflict', kind: 'services', id: 's1' })
})

onEachStore('an update of nothing is absent; an upsert inserts it', async (store) => {
  const entity = { id: 's1', name: 'a' }
  assert.deepEqual(await refused(store, { do: 'update', kind: 'services', entity }), {
    code: 'absent',
    kind: 'services',
    id: 's1',
  })
  assert.equal((await succeed(store, { do: 'upsert', kind: 'services', entity })).changes[0]?.operation, 'insert')
  const changed = await succeed(store, { do: 'upsert', kind: 'services', entity: { id: 's1', name: 'b' } })
  assert.deepEqual(changed.changes, [{ revision: 2, kind: 'services', id: 's1', operation: 'update' }])
})

onEachStore('an update that changes nothing leaves no change in the log', async (store) => {
  await insertAll(store, [['services', { id: 's1', name: 'a' }]])
  const { changes, revision } = await succeed(store, {
    do: 'upsert',
    kind: 'services',
    entity: { name: 'a', id: 's1' },
  })
  assert.deepEqual({ changes, revision }, { changes: [], revision: 1 })
})

onEachStore('what is referred to cannot be deleted; the first kind that refers is named', async (store) => {
  await insertAll(store, [
    ['services', { id: 's1' }],
    ['plugins', { id: 'p1', name: 'jwt', service: { id: 's1' } }],
    ['routes', { id: 'r1', service: { id: 's1' } }],
  ])
  const error = await refused(store, { do: 'delete', kind: 'services', id: 's1' })
  assert.deepEqual(error, { code: 'referenced', kind: 'services', by: 'routes' })
  assert.equal(store.reader.count('plugins'), 1)
})

onEachStore('a deletion takes along what hangs on it, each as a change of its own', async (store) => {
  await insertAll(store, [
    ['consumers', { id: 'c1', username: 'bob' }],
    ['jwt_secrets', { id: 'j1', key: 'k1', consumer: { id: 'c1' }, tags: ['x'] }],
    ['jwt_secrets', { id: 'j2', key: 'k2', consumer: { id: 'c1' } }],
    ['plugins', { id: 'p1', name: 'jwt', consumer: { id: 'c1' } }],
  ])
  const { changes } = await succeed(store, { do: 'delete', kind: 'consumers', id: 'c1' })
  assert.deepEqual(
    changes.map(({ kind, id, operation }) => `${operation} ${kind} ${id}`),
    ['delete jwt_secrets j1', 'delete jwt_secrets j2', 'delete plugins p1', 'delete consumers c1'],
  )
  assert.equal(store.reader.by('jwt_secrets', 'key', 'k1'), undefined)
  assert.deepEqual(store.reader.tags({ size: 10 }).rows, [])
  assert.equal((await refused(store, { do: 'delete', kind: 'consumers', id: 'c1' })).code, 'absent')
})

onEachStore('a deletion can set references to null, unless that makes two the same', async (store) => {
  await insertAll(store, [
    ['key_sets', { id: 'ks1' }],
    ['key_sets', { id: 'ks2' }],
    ['keys', { id: 'k1', kid: 'a', set: { id: 'ks1' } }],
    ['keys', { id: 'k2', kid: 'a', set: { id: 'ks2' } }],
  ])
  const { changes } = await succeed(store, { do: 'delete', kind: 'key_sets', id: 'ks1' })
  assert.deepEqual(
    changes.map(({ operation, id }) => `${operation} ${id}`),
    ['update k1', 'delete ks1'],
  )
  assert.deepEqual(store.reader.get('keys', 'k1'), { id: 'k1', kid: 'a', set: null })
  const error = await refused(store, { do: 'delete', kind: 'key_sets', id: 'ks2' })
  assert.deepEqual(error, { code: 'unique', kind: 'keys', fields: { kid: 'a', set: null } })
})

onEachStore('a batch is written as a whole or not at all, and says which operation failed', async (store) => {
  const written = await store.write([
    { do: 'insert', kind: 'services', entity: { id: 's1', name: 'a' } },
    { do: 'meta', name: 'hash', value: 'x' },
    { do: 'insert', kind: 'services', entity: { id: 's2', name: 'a' } },
  ])
  assert.deepEqual(written, { ok: false, at: 2, error: { code: 'unique', kind: 'services', fields: { name: 'a' } } })
  assert.equal(store.reader.count('services'), 0)
  assert.equal(store.reader.meta('hash'), undefined)
  assert.equal((await succeed(store, { do: 'insert', kind: 'services', entity: { id: 's1', name: 'a' } })).revision, 1)
})

onEachStore('named values are set, replaced and removed', async (store) => {
  await succeed(store, { do: 'meta', name: 'hash', value: 'a' })
  await succeed(store, { do: 'meta', name: 'hash', value: 'b' })
  assert.equal(store.reader.meta('hash'), 'b')
  await succeed(store, { do: 'meta', name: 'hash', value: null })
  assert.equal(store.reader.meta('hash'), undefined)
})

onEachStore('an entity past its time is unknown, and its unique values are free again', async (store) => {
  // The log says so when it is over; nobody has to ask.
  const deleted = new Promise<Change>((resolve) => {
    store.onCommit(async (_, changes) => changes.filter(({ operation }) => operation === 'delete').forEach(resolve))
  })
  await insertAll(store, [
    ['tokens', { id: 't1', token: 'a', ttl: 0.05 }],
    ['tokens', { id: 't2', token: 'b', ttl: 3600 }],
  ])
  const left = Number(store.reader.get('tokens', 't2')?.['ttl'])
  assert.ok(left > 3300 && left <= 3600, `${left} s are left`)
  const { kind, id } = await deleted
  assert.deepEqual([kind, id], ['tokens', 't1'])
  assert.equal(store.reader.get('tokens', 't1'), undefined)
  assert.equal(store.reader.count('tokens'), 1)
  await insertAll(store, [['tokens', { id: 't3', token: 'a', ttl: null }]])
})

onEachStore('who is refused does not wait until what others wrote is in force', async (store) => {
  const { promise: inForce, resolve: putInForce } = Promise.withResolvers<void>()
  store.onCommit(() => inForce)
  const taken = { do: 'insert', kind: 'services', entity: { id: 's1', name: 'taken' } } as const
  let isAnswered = false
  const written = store.write([taken]).then((outcome) => {
    isAnswered = true
    return outcome
  })
  const error = await refused(store, { ...taken, entity: { id: 's2', name: 'taken' } })
  assert.deepEqual([error.code, isAnswered], ['unique', false])
  putInForce()
  assert.ok((await written).ok)
})
