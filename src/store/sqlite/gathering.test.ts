import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gathering } from './gathering.ts'

/** A gathering on a disk of which each commit takes `commitMs`, and the waits that it asked for; `during` arrives while it commits. */
function onDisk(commitMs: number, during: string[][] = []) {
  const groups: string[][] = []
  const waits: { readonly run: () => void; readonly ms: number }[] = []
  let time = 0
  const gatherer = gathering<string>({
    commit: (batches) => {
      groups.push([...batches])
      time += commitMs
    },
    arrived: () => during.shift() ?? [],
    now: () => time,
    wait: (run, ms) => {
      waits.push({ run, ms })
      return setTimeout(() => undefined, 0)
    },
  })
  return { groups, waits, gatherer }
}

test('a lone writer is never kept waiting', () => {
  const { groups, waits, gatherer } = onDisk(8)
  for (const batch of ['a', 'b', 'c']) gatherer.add([batch])
  assert.deepEqual(groups, [['a'], ['b'], ['c']])
  assert.deepEqual(waits, [])
})

test('writers who were answered together are committed together again, as soon as the last of them has written', () => {
  const { groups, gatherer } = onDisk(8)
  gatherer.add(['a', 'b', 'c'])
  for (const batch of ['d', 'e', 'f']) gatherer.add([batch])
  assert.deepEqual(groups, [
    ['a', 'b', 'c'],
    ['d', 'e', 'f'],
  ])
})

test('those whose batches come during a commit are written together with those it answers', () => {
  const { groups, waits, gatherer } = onDisk(3, [['b', 'c']])
  gatherer.add(['a'])
  assert.deepEqual(groups, [['a']])
  assert.equal(waits.length, 1)
  gatherer.add(['d'])
  assert.deepEqual(groups, [['a'], ['b', 'c', 'd']])
})

test('one who does not come back is waited for once, for as long as a commit takes, 5 ms at most', () => {
  const { groups, waits, gatherer } = onDisk(8)
  gatherer.add(['a', 'b', 'c'])
  gatherer.add(['d'])
  gatherer.add(['e'])
  assert.deepEqual(groups, [['a', 'b', 'c']])
  assert.deepEqual(
    waits.map(({ ms }) => ms),
    [5],
  )
  waits[0]?.run()
  gatherer.add(['f', 'g'])
  assert.deepEqual(groups.slice(1), [
    ['d', 'e'],
    ['f', 'g'],
  ])
})

test('nobody waits for a fast disk', () => {
  const { groups, waits, gatherer } = onDisk(0.2)
  gatherer.add(['a', 'b'])
  gatherer.add(['c'])
  assert.deepEqual(groups, [['a', 'b'], ['c']])
  assert.deepEqual(waits, [])
})

test('what waits can be committed at once', () => {
  const { groups, gatherer } = onDisk(8)
  gatherer.add(['a', 'b'])
  gatherer.add(['c'])
  gatherer.flush()
  gatherer.flush()
  assert.deepEqual(groups, [['a', 'b'], ['c']])
})
