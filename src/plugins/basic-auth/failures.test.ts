import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, suite, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { noRedis, startRedis } from '../../../test/plugins/redis.ts'
import { redisAt } from '../../pdk/redis.ts'
import { testKong } from '../../pdk/testing.ts'
import { failureBytes, failuresAt, failuresIn } from './failures.ts'

type Counted = ReturnType<typeof failuresAt>

const alice = { username: 'alice', isKnown: true }
const { log } = testKong()
const inMemory = (now: () => number) => failuresIn(new SharedArrayBuffer(failureBytes), now)

/** A count whose clock can be set. */
function counting() {
  const clock = { now: 1_800_000_000 }
  const failures = inMemory(() => clock.now)
  return { clock, failures, attempt: (isRight: boolean) => failures.attempt(alice, isRight, log) }
}

test('three wrong passwords have no consequence, and then each a longer wait', () => {
  const { clock, attempt } = counting()
  assert.deepEqual(
    [1, 2, 3].map(() => attempt(false)),
    [0, 0, 0],
  )
  const waits = Array.from({ length: 12 }, () => {
    const left = attempt(false)
    clock.now += left
    attempt(false)
    return left
  })
  assert.deepEqual(waits, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600])
})

test('while a name waits a right password is answered as a wrong one is, and neither makes it longer', () => {
  const { clock, attempt } = counting()
  for (let guess = 0; guess < 3; guess++) attempt(false)
  clock.now += 4
  assert.deepEqual([attempt(true), attempt(false), attempt(true)], [6, 6, 6])
  clock.now += 6
  assert.equal(attempt(true), 0)
})

test('a right password ends the count', () => {
  const { attempt } = counting()
  for (const isRight of [false, false, true, false, false]) attempt(isRight)
  assert.deepEqual([attempt(false), attempt(true)], [0, 10])
})

test('a day without a wrong password ends the count', () => {
  const { clock, attempt } = counting()
  for (let guess = 0; guess < 3; guess++) attempt(false)
  clock.now += 86_400
  assert.deepEqual(
    [1, 2, 3].map(() => attempt(false)),
    [0, 0, 0],
  )
})

test('names that there are not wait like others, and however many they are push out none that there is', () => {
  const { failures, attempt } = counting()
  for (let guess = 0; guess < 3; guess++) attempt(false)
  const stranger = (username: string) => failures.attempt({ username, isKnown: false }, false, log)
  for (let name = 0; name < 200_000; name++) stranger(`stranger-${name}`)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => stranger('nobody')),
    [0, 0, 0, 10],
  )
  assert.equal(attempt(true), 10)
})

test('of names that there are, thousands are counted side by side', () => {
  const { failures } = counting()
  const names = Array.from({ length: 2000 }, (_, index) => ({ username: `user-${index}`, isKnown: true }))
  for (const name of [...names, ...names, ...names]) failures.attempt(name, false, log)
  const waiting = names.filter((name) => failures.attempt(name, true, log) === 10)
  assert.ok(waiting.length >= 1990, `${waiting.length} wait`)
})

test('workers that guess at the same moment get no more guesses than one', async () => {
  const memory = new SharedArrayBuffer(failureBytes)
  const workers = Array.from(
    { length: 4 },
    () => new Worker(new URL('./failures.child.ts', import.meta.url), { workerData: { memory, now: 1_800_000_000 } }),
  )
  const counted = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0] as number))
  assert.equal(
    counted.reduce((sum, count) => sum + count),
    3,
  )
})

suite('in Redis', { skip: noRedis }, async () => {
  const redis = await startRedis()
  after(() => redis.stop())
  const nodes = [0, 1].map((database) => {
    // The same server by two connections, as two nodes have it.
    const place = redis.place({ timeout: 2000 + database })
    return failuresAt(
      redisAt(place),
      inMemory(() => 1_800_000_000),
    )
  }) as [Counted, Counted]
  const direct = redisAt(redis.place())

  test('nodes count together, and attempts at once are as good as in a row', async () => {
    const guesses = Array.from({ length: 100 }, (_, at) => nodes[at % 2 === 0 ? 0 : 1].attempt(alice, false, log))
    const left = await Promise.all(guesses)
    assert.equal(left.filter((seconds) => seconds === 0).length, 3)
    for (const node of nodes) isWithin(await node.attempt(alice, true, log), 0, 10)
  })

  test('the wait doubles up to an hour, and counts are kept for a day', async () => {
    const [waits = ''] = (await direct.command(['KEYS', '*:waits'])) as string[]
    const failures = waits.replace(':waits', ':failures')
    const waitAfter = async (count: number) => {
      await direct.command(['DEL', waits])
      await direct.command(['SET', failures, String(count - 1)])
      assert.equal(await nodes[0].attempt(alice, false, log), 0)
      return nodes[1].attempt(alice, true, log)
    }
    isWithin(await waitAfter(4), 10, 20)
    isWithin(await waitAfter(11), 1280, 2560)
    isWithin(await waitAfter(12), 2560, 3600)
    isWithin(await waitAfter(500), 2560, 3600)
    assert.ok(Number(await direct.command(['TTL', failures])) > 86_000)
  })

  test('a right password ends the count', async () => {
    await direct.command(['FLUSHALL'])
    for (const isRight of [false, false, true, false, false]) await nodes[0].attempt(alice, isRight, log)
    assert.equal(await nodes[0].attempt(alice, false, log), 0)
    isWithin(await nodes[1].attempt(alice, true, log), 0, 10)
  })

  test('names that there are not share a bounded number of counts', async () => {
    await direct.command(['FLUSHALL'])
    const names = Array.from({ length: 500 }, (_, index) => `stranger-${index}`)
    await Promise.all(names.map((username) => nodes[0].attempt({ username, isKnown: false }, false, log)))
    const keys = (await direct.command(['KEYS', '*'])) as string[]
    assert.ok(
      keys.every((key) => /^gibbon:basic-auth:\{unknown-\d{1,5}\}:failures$/.test(key)),
      String(keys[0]),
    )
  })

  test('while it is away each node counts for itself, and says so once', async () => {
    await redis.kill()
    const kong = testKong()
    const guesses = [1, 2, 3, 4].map(() => nodes[0].attempt(alice, false, kong.log))
    assert.deepEqual(await Promise.all(guesses), [0, 0, 0, 10])
    assert.deepEqual([await nodes[1].attempt(alice, false, log), await nodes[1].attempt(alice, true, log)], [0, 0])
    assert.deepEqual(
      kong.logged.map(({ level }) => level),
      ['err'],
    )
    assert.match(String(kong.logged[0]?.message), /counted on this node alone/)
    await redis.start()
    while (kong.logged.length < 2) await nodes[0].attempt({ username: 'other', isKnown: true }, true, kong.log)
    assert.match(String(kong.logged[1]?.message), /no longer: .*counted on this node alone/)
  })
})

const isWithin = (seconds: number, above: number, most: number): void =>
  assert.ok(seconds > above && seconds <= most, `${seconds} s`)
