import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { emptyMap, mapOf } from './persistent-map.ts'

const keys = fc.nat({ max: 300 }).map((number) => `key-${number}`)
/** A value to set, or undefined to delete. */
const edits = fc.array(fc.array(fc.tuple(keys, fc.option(fc.nat({ max: 3 }), { nil: undefined })), { maxLength: 120 }))

test('edits do what they do to a plain map, leave the maps before as they were, and tell the keys that changed', () => {
  fc.assert(
    fc.property(edits, (steps) => {
      let plain = new Map<string, number>()
      let map = emptyMap<number>()
      for (const step of steps) {
        const [plainBefore, before] = [plain, map]
        plain = new Map(plainBefore)
        const edit = before.edit()
        for (const [key, value] of step) {
          if (value === undefined) {
            plain.delete(key)
            edit.delete(key)
          } else {
            plain.set(key, value)
            edit.set(key, value)
          }
          assert.equal(edit.get(key), value)
        }
        map = edit.done()
        assert.equal(before.size, plainBefore.size)
        assert.deepEqual(new Map(before.entries()), plainBefore)
        assert.equal(map.size, plain.size)
        assert.deepEqual(new Map(map.entries()), plain)
        for (const key of ['key-1', 'key-2']) {
          assert.equal(map.has(key), plain.has(key))
          assert.equal(map.get(key), plain.get(key))
        }
        const all = new Set([...plain.keys(), ...plainBefore.keys()])
        const changed = [...all].filter((key) => plain.get(key) !== plainBefore.get(key))
        assert.deepEqual([...map.changedSince(before)].toSorted(), changed.toSorted())
      }
    }),
    { numRuns: 200 },
  )
})

test('an edit that changes nothing gives the same map', () => {
  const map = mapOf([
    ['a', 1],
    ['b', 2],
  ])
  const edit = map.edit()
  edit.set('a', 1)
  edit.delete('c')
  assert.equal(edit.done(), map)
})

test('an edit of one entry among ten thousand leaves nearly all shards shared', () => {
  const map = mapOf(Array.from({ length: 10_000 }, (_, at) => [`00000000-0000-4000-8000-${at}`, at] as const))
  const edit = map.edit()
  edit.set('00000000-0000-4000-8000-77', -1)
  const shards = (some: unknown) => (some as { shards: readonly Map<string, number>[] }).shards
  const [one, other] = [shards(map), shards(edit.done())]
  const copied = one.filter((shard, at) => shard !== other[at])
  assert.equal(copied.length, 1)
  assert.ok((copied[0]?.size ?? Infinity) < 100)
})
