import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTurns } from './turns.ts'

/** Work that ends when it is told to. */
function world(limits: { mostAtOnce: number; mostWaiting: number; longestWaitMs?: number }) {
  const turns = createTurns({ longestWaitMs: 60_000, ...limits })
  const begun: string[] = []
  const ends: (() => void)[] = []
  const take = (client: string, name: string) =>
    turns.take(client, async () => {
      begun.push(name)
      await new Promise<void>((resolve) => ends.push(resolve))
      return name
    })
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  const endOne = async () => {
    ends.shift()?.()
    await settle()
  }
  return { take, begun, endOne, settle }
}

test('who comes later has his turn before the second of another', async () => {
  const { take, begun, endOne, settle } = world({ mostAtOnce: 1, mostWaiting: 10 })
  const all = [take('a', 'a1'), take('a', 'a2'), take('a', 'a3'), take('b', 'b1'), take('c', 'c1'), take('b', 'b2')]
  await settle()
  for (let count = 0; count < 6; count++) await endOne()
  assert.deepEqual(begun, ['a1', 'a2', 'b1', 'c1', 'a3', 'b2'])
  assert.deepEqual(await Promise.all(all), ['a1', 'a2', 'a3', 'b1', 'c1', 'b2'])
})

test('when all places are taken, whoever has most of them gives one up', async () => {
  const { take, begun, endOne, settle } = world({ mostAtOnce: 1, mostWaiting: 3 })
  const flood = Array.from({ length: 5 }, (_, at) => take('a', `a${at}`))
  const other = take('b', 'b')
  assert.equal(await flood[4], 'crowded out')
  assert.equal(await flood[3], 'crowded out')
  const third = take('c', 'c')
  assert.equal(await flood[2], 'crowded out')
  assert.equal(await take('d', 'd'), 'crowded out', 'among equals it is the last')
  await settle()
  for (let count = 0; count < 4; count++) await endOne()
  assert.deepEqual(await Promise.all([flood[0], flood[1], other, third]), ['a0', 'a1', 'b', 'c'])
  assert.deepEqual(begun, ['a0', 'a1', 'b', 'c'])
})

test('nobody waits for longer than he may, and work that fails gives its place on', async () => {
  const turns = createTurns({ mostAtOnce: 1, mostWaiting: 10, longestWaitMs: 20 })
  let end = (): void => undefined
  const first = turns.take('a', () => new Promise((_, reject) => (end = () => reject(new Error('out')))))
  assert.equal(await turns.take('b', async () => 'b'), 'too late')
  const next = turns.take('b', async () => 'b')
  end()
  await assert.rejects(first, /out/)
  assert.equal(await next, 'b')
  assert.equal(await turns.take('c', async () => 'c'), 'c')
})
