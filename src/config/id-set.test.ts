import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { IdSet } from './id-set.ts'

test('an id is in it once, whatever it looks like, among thousands', () => {
  const counted = Array.from({ length: 5000 }, (_, at) => `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`)
  const random = Array.from({ length: 5000 }, () => randomUUID() as string)
  const odd = [
    '',
    'x',
    '00000000-0000-0000-0000-000000000000',
    random[0]!.toUpperCase(),
    `${random[1]!}0`,
    'a'.repeat(36),
  ]
  const ids = [...counted, ...random, ...odd]
  const set = new IdSet()
  for (const id of ids) assert.equal(set.add(id), true, id)
  for (const id of ids) assert.equal(set.add(id), false, id)
  assert.ok(ids.every((id) => set.has(id)))
  assert.ok(Array.from({ length: 1000 }, () => randomUUID()).every((id) => !set.has(id)))
})
