import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteQueue } from './byte-queue.ts'

test('what goes in comes out, in the same order, however it is cut', () => {
  const step = fc.oneof(
    fc.record({ put: fc.uint8Array({ maxLength: 9000 }) }),
    fc.record({ take: fc.integer({ min: 1, max: 20_000 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const queue = new ByteQueue()
      let expected = Buffer.alloc(0)
      for (const step of steps) {
        if ('put' in step) {
          queue.append(Buffer.from(step.put), 0, step.put.length)
          expected = Buffer.concat([expected, step.put])
        } else {
          let taken = Buffer.alloc(0)
          const count = queue.take(step.take, (bytes, from, to) => (taken = Buffer.from(bytes.subarray(from, to))))
          assert.equal(taken.length, count)
          assert.ok(count <= step.take && (count > 0 || expected.length === 0))
          assert.deepEqual(taken, expected.subarray(0, count))
          expected = expected.subarray(count)
        }
        assert.equal(queue.length, expected.length)
        assert.ok(queue.size >= queue.length && (queue.length > 0 || queue.size === 0))
        assert.deepEqual(Buffer.concat(queue.pieces()), expected)
      }
    }),
  )
})

test('single bytes take hardly more memory than they are', () => {
  const queue = new ByteQueue()
  for (let count = 0; count < 60_000; count++) queue.append(Buffer.from('x'), 0, 1)
  assert.ok(queue.pieces().length < 20)
  assert.ok(queue.size < 64 * 1024, `${queue.size} bytes`)
})
