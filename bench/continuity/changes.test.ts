import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOfOne, seenAfter, tryChanges } from './changes.ts'

test('an answer of one configuration is told from one of two, and from one that is out of date', () => {
  assert.ok(isOfOne(seenAfter(17), 17, 17))
  assert.ok(isOfOne(seenAfter(17), 15, 18))
  assert.ok(!isOfOne(seenAfter(17), 18, 19), 'out of date')
  assert.ok(!isOfOne({ ...seenAfter(17), plugin: seenAfter(7).plugin ?? 0 }, 7, 17), 'mixed')
  assert.ok(isOfOne({ certificate: seenAfter(17).certificate ?? 0 }, 17, 17), 'by what was seen of it')
})

test('changes under traffic lose nothing, and every answer is of one configuration', async () => {
  const { changes, lost, requests, answered, answeredOver, handshakes, ...talk } = await tryChanges({
    changes: 60,
    perSecond: 100,
  })
  assert.equal(changes, 60)
  assert.deepEqual(lost, [])
  assert.equal(answered, requests)
  assert.ok(handshakes > 0)
  assert.ok(Object.values(answeredOver).every((count) => count > 0))
  assert.equal(talk.ended, undefined)
  assert.equal(talk.heard, talk.said)
})
