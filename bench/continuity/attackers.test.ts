import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attack } from './attackers.ts'

const each = 20
const megabyte = 2 ** 20

test('connections that are held by all kinds of attackers leave good clients alone, and cost little', async () => {
  const attackers = {
    idle: each,
    'slow head': each,
    'slow body': each,
    'slow read': each,
    'short read': each,
    'full head': each,
    'full body': each,
    'HTTP/2 idle': each,
    'HTTP/2 full head': each,
    'HTTP/2 full bodies': each,
    'HTTP/2 slow read': each,
  }
  const { held, lost, grownBytes } = await attack({ attackers, seconds: 1, perSecond: 50 })
  assert.deepEqual(lost, [])
  assert.ok(held >= 11 * each, `${held} are held`)
  // Heaps that have just begun to work are in it, too.
  assert.ok(grownBytes < 128 * megabyte, `${grownBytes / megabyte} MiB more`)
})
