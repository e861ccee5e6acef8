import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { countMemory, CountTable } from './counts.ts'

const count = (table: CountTable, name: string, end = 60, now = 0): number =>
  table.add(table.placeOf(name, end, now), 1)

test('each name is counted for itself, by whoever looks at the same memory', () => {
  const memory = countMemory()
  const [one, other] = [new CountTable(memory), new CountTable(memory)]
  assert.deepEqual([count(one, 'a'), count(other, 'a'), count(one, 'b'), count(one, 'a')], [0, 1, 0, 2])
  assert.equal(other.at(other.placeOf('a', 60, 0)), 3)
})

test('workers that count at the same moment count as many together as one would', async () => {
  const memory = countMemory()
  const [names, most] = [2000, 20]
  const workers = Array.from(
    { length: 4 },
    () => new Worker(new URL('./counts.child.ts', import.meta.url), { workerData: { memory, names, most } }),
  )
  const counted = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0] as number))
  assert.equal(
    counted.reduce((sum, one) => sum + one),
    names * most,
  )
})

test('strangers by the million push out few of those who are counted often, and take no more memory', () => {
  const table = new CountTable(countMemory())
  const known = Array.from({ length: 1000 }, (_, index) => `known-${index}`)
  for (let round = 0; round < 10; round++) for (const name of known) count(table, name)
  for (let stranger = 0; stranger < 2_000_000; stranger++) count(table, `stranger-${stranger}`)
  const kept = known.filter((name) => table.at(table.placeOf(name, 60, 0)) === 10)
  assert.ok(kept.length >= 999, `${kept.length} are still counted`)
})

test('what is over is forgotten before anything that is not, however often it was counted', () => {
  const table = new CountTable(countMemory())
  const over = Array.from({ length: 1_500_000 }, (_, index) => `over-${index}`)
  for (const name of over) table.add(table.placeOf(name, 60, 0), 100)
  const present = Array.from({ length: 20_000 }, (_, index) => `present-${index}`)
  for (const name of present) count(table, name, 120, 60)
  assert.ok(present.every((name) => table.at(table.placeOf(name, 120, 60)) === 1))
})

test('a place tells when it has been given to another name', () => {
  const table = new CountTable(countMemory())
  const place = table.placeOf('a', 60, 0)
  assert.equal(table.holds(place), true)
  for (let other = 0; other < 20_000_000 && table.holds(place); other++) table.placeOf(`other-${other}`, 120, 60)
  assert.equal(table.holds(place), false)
})

test('a count that cannot grow any more stays where it is', () => {
  const table = new CountTable(countMemory())
  const place = table.placeOf('a', 60, 0)
  table.add(place, 0xffff_ff00)
  table.add(place, 1)
  table.add(place, 1000)
  assert.equal(table.at(place), 0xffff_ff00)
})

test('another process goes on with what is counted, but for what is over and what it is not told', () => {
  const [before, later] = [new CountTable(countMemory()), 70]
  const names = Array.from({ length: 1000 }, (_, index) => `name-${index}`)
  for (const name of names) before.add(before.placeOf(name, 100, later), 3_000_000_000)
  count(before, 'over')
  const left = before.placeOf('left', 100, later)
  before.add(left, 5)
  const after = new CountTable(countMemory(before.save(later, [left])))
  const known = (name: string) => after.at(after.placeOf(name, 100, later))
  assert.ok(names.every((name) => known(name) === 3_000_000_000))
  assert.deepEqual([known('over'), known('left')], [0, 0])
})

test('of very many counts another process is told those that have counted most', () => {
  const before = new CountTable(countMemory())
  for (let name = 0; name < 400_000; name++) count(before, `once-${name}`)
  const often = Array.from({ length: 1000 }, (_, index) => `often-${index}`)
  for (const name of often) before.add(before.placeOf(name, 60, 0), 2)
  const saved = before.save(0, [])
  assert.ok(saved.length <= 16 + 250_000 * 16)
  const after = new CountTable(countMemory(saved))
  assert.ok(often.every((name) => after.at(after.placeOf(name, 60, 0)) === 2))
})
