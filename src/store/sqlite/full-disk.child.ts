/** Run by the test of the full disk, in a process whose files may not grow: says as JSON what the store answered. */
import { sampleKinds } from '../sample.ts'
import type { Stored } from '../store.ts'
import { openStore } from './open.ts'

const file = process.argv[2] ?? ''
const store = await openStore({ file, kinds: sampleKinds })
const service = (id: string, length = 1): Stored => ({ id, name: id, filler: 'x'.repeat(length) })
const insert = (entity: Stored) => store.write([{ do: 'insert', kind: 'services', entity }])

// The first keeps the writer busy, so that the other two wait together and share a transaction.
const [first, large, small] = await Promise.all([
  insert(service('first')),
  insert(service('large', 1_000_000)),
  insert(service('small')),
])
const afterwards = await store.write([{ do: 'meta', name: 'done', value: 'yes' }])
console.log(
  JSON.stringify({
    refusal: !large.ok && large.error.code === 'unavailable' && large.error.message,
    small: first.ok && small.ok,
    read: store.reader.get('services', 's7')?.['name'],
    afterwards: afterwards.ok,
  }),
)
await store.close()
