import assert from 'node:assert/strict'
import { after, suite, test, type TestContext } from 'node:test'
import { noRedis, startRedis } from '../../../test/plugins/redis.ts'
import { countMemory, CountTable } from '../../pdk/counts.ts'
import type { Change, Changed } from '../../pdk/entities.ts'
import { redisAt } from '../../pdk/redis.ts'
import { testEntities } from '../../pdk/testing.ts'
import { Limiter } from './limiter.ts'
import { createSharer, type SharerOptions } from './sharer.ts'
import type { Shared } from './sharing.ts'

const moment = Date.UTC(2026, 4, 5, 6, 7, 30) / 1000

/** A node whose clock can be set, and which adds up when it is told to. */
function nodeAt(at: Shared, places: Pick<SharerOptions, 'redisAt' | 'change' | 'metric'>) {
  const clock = { now: moment }
  const logged: string[] = []
  const log = (message: string) => void logged.push(message)
  const memory = countMemory()
  const table = new CountTable(memory)
  const sharer = createSharer({ table, log: { err: log, notice: log }, ...places, now: () => clock.now })
  const limits = [
    { period: 'minute', most: 10 },
    { period: 'hour', most: 1000 },
  ] as const
  const onCount: ConstructorParameters<typeof Limiter>[0]['onCount'] = (counted, place) =>
    sharer.share({ ...counted, place, at })
  const limiter = new Limiter({ limits, scope: {}, table, onCount })
  /** Sends so many requests, Alice's where nobody else is named; gives how many passed. */
  const send = (requests: number, identifier = 'alice'): number =>
    Array.from({ length: requests }, () => limiter.count(identifier, clock.now).used[0]!).filter((used) => used < 10)
      .length
  // Behind the chance in the hashes are the cells.
  const loseAll = (): void => void new Uint8Array(memory, 16).fill(0)
  return { clock, logged, sharer, send, loseAll }
}

const noRedisAt = () => assert.fail('Redis was asked')
const nothing = { change: () => assert.fail('the database was asked'), metric: () => undefined }

function inMemory() {
  const entities = testEntities()
  return {
    entities,
    places: {
      redisAt: noRedisAt,
      change: (changes: readonly Change[]) => entities.write(changes),
      metric: (id: string) => entities.get('ratelimiting_metrics', id)?.entity,
    },
  }
}

function closing(t: TestContext, ...nodes: readonly ReturnType<typeof nodeAt>[]): void {
  t.after(() => Promise.all(nodes.map(({ sharer }) => sharer.close())))
}

test('nodes know what others have counted once both have added up', async (t) => {
  const { places } = inMemory()
  const [one, other] = [nodeAt('database', places), nodeAt('database', places)]
  closing(t, one, other)
  assert.deepEqual([one.send(6), other.send(3)], [6, 3])
  for (const node of [one, other, one]) await node.sharer.addUp()
  assert.deepEqual([one.send(5), other.send(5)], [1, 1])
  for (const node of [one, other, one, other]) await node.sharer.addUp()
  assert.deepEqual([one.send(1), other.send(1)], [0, 0])
})

test('what is counted while nodes add up is neither lost nor added twice', async (t) => {
  const { entities, places } = inMemory()
  const held = Promise.withResolvers<void>()
  const change = async (changes: readonly Change[]) => {
    const changed = await entities.write(changes)
    await held.promise
    return changed
  }
  const node = nodeAt('database', { ...places, change })
  closing(t, node)
  node.send(2)
  const adding = node.sharer.addUp()
  node.send(3)
  held.resolve()
  await adding
  await node.sharer.addUp()
  await node.sharer.addUp()
  assert.equal(node.send(10), 5)
})

test('windows that are over are forgotten, and new ones begin from nothing', async (t) => {
  const { places } = inMemory()
  const [one, other] = [nodeAt('database', places), nodeAt('database', places)]
  closing(t, one, other)
  one.send(10)
  await one.sharer.addUp()
  other.send(1)
  await other.sharer.addUp()
  for (const node of [one, other]) node.clock.now += 60
  assert.deepEqual([one.send(4), other.send(4)], [4, 4])
  for (const node of [one, other, one]) await node.sharer.addUp()
  assert.deepEqual([one.send(9), other.send(9)], [2, 2])
})

test('while the database is away a node counts for itself, says so once, and makes up for it later', async (t) => {
  const { entities, places } = inMemory()
  let isAway = true
  const change = async (changes: readonly Change[]): Promise<Changed> =>
    isAway ? { ok: false, reason: 'unavailable', message: 'it is away' } : entities.write(changes)
  const [one, other] = [nodeAt('database', { ...places, change }), nodeAt('database', places)]
  closing(t, one, other)
  one.send(7)
  await one.sharer.addUp()
  await one.sharer.addUp()
  assert.deepEqual(one.logged, ['rate-limiting: nodes cannot count together in the database: it is away'])
  assert.equal(one.send(1), 1)
  isAway = false
  await one.sharer.addUp()
  assert.equal(one.logged.length, 2)
  other.send(1)
  await other.sharer.addUp()
  assert.equal(other.send(5), 1)
})

suite('in Redis', { skip: noRedis }, async () => {
  const redis = await startRedis()
  after(() => redis.stop())
  const nodes = (t: TestContext) => {
    const made = [0, 1].map((at) => {
      const place = redis.place({ timeout: 20_000 + at })
      return nodeAt({ redis: place, rate: 60 }, { redisAt, ...nothing })
    }) as [ReturnType<typeof nodeAt>, ReturnType<typeof nodeAt>]
    closing(t, ...made)
    return made
  }

  test('nodes add up there, and counts end with their windows', async (t) => {
    const [one, other] = nodes(t)
    assert.deepEqual([one.send(6), other.send(3)], [6, 3])
    for (const node of [one, other, one]) await node.sharer.addUp()
    assert.deepEqual([one.send(5), other.send(5)], [1, 1])
    const direct = redisAt(redis.place())
    for (const name of (await direct.command(['KEYS', 'ratelimit:*'])) as string[]) {
      const length = name.endsWith(':hour') ? 3600 : 60
      const left = Number(await direct.command(['TTL', name]))
      assert.ok(left > length - 30 && left <= length, `${name}: ${left} s`)
    }
  })

  test('what it loses a node goes on to know', async (t) => {
    const [one] = nodes(t)
    await redisAt(redis.place()).command(['FLUSHALL'])
    one.send(6)
    await one.sharer.addUp()
    await redisAt(redis.place()).command(['FLUSHALL'])
    await one.sharer.addUp()
    await one.sharer.addUp()
    assert.equal(one.send(10), 4)
  })
})

test('what was counted last is added when a node stops, and nothing twice that is being added', async () => {
  const { places } = inMemory()
  const [one, other] = [nodeAt('database', places), nodeAt('database', places)]
  one.send(4)
  void one.sharer.addUp()
  void one.sharer.addUp()
  one.send(3)
  await one.sharer.close()
  other.send(1)
  await other.sharer.addUp()
  assert.equal(other.send(10), 2)
  await other.sharer.close()
})

test('a count that has lost its place on the node learns anew what was counted', async (t) => {
  const { places } = inMemory()
  const one = nodeAt('database', places)
  closing(t, one)
  one.send(6)
  await one.sharer.addUp()
  // As when many others are counted: the place is another's, and the next request takes a new one.
  one.loseAll()
  assert.equal(one.send(1), 1)
  await one.sharer.addUp()
  await one.sharer.addUp()
  assert.equal(one.send(10), 3)
})

test('where a stranger has very many counts made, each has its turn, and no turn has many', async (t) => {
  const { entities, places } = inMemory()
  const sizes: number[] = []
  const change = async (changes: readonly Change[]) => {
    sizes.push(changes.length)
    return entities.write(changes)
  }
  const node = nodeAt('database', { ...places, change })
  closing(t, node)
  for (let stranger = 0; stranger < 1500; stranger++) node.send(1, `stranger-${stranger}`)
  await node.sharer.addUp()
  assert.equal(
    sizes.reduce((sum, size) => sum + size),
    2000,
  )
  await node.sharer.addUp()
  // Two windows of each, once.
  assert.equal(
    sizes.reduce((sum, size) => sum + size),
    3000,
  )
  assert.ok(sizes.every((size) => size <= 500))
})
