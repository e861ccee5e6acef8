import assert from 'node:assert/strict'
import { test } from 'node:test'
import { copyOf, grown, release } from './growing.ts'

test('what comes byte by byte is copied a few times at most, and takes a quarter more than it is', () => {
  const text = Buffer.from('0123456789'.repeat(3200))
  let kept: Buffer = Buffer.alloc(0)
  let copied = 0
  for (let at = 0; at < text.length; at++) {
    const next = grown(kept, at, text, at, at + 1)
    if (next !== kept) copied += at
    kept = next
  }
  assert.deepEqual(kept.subarray(0, text.length), text)
  assert.ok(copied < 6 * text.length, `${copied} bytes`)
  assert.ok(kept.length <= text.length * 1.25 + 64, `${kept.length} bytes`)
})

test('memory is given back at once where all of it is ours', () => {
  const own = Buffer.allocUnsafeSlow(1000)
  const part = own.subarray(0, 500)
  release(part)
  assert.equal(own.length, 1000)
  release(own)
  assert.equal(own.length, 0)
})

test('a copy keeps nothing alive but itself', () => {
  const copy = copyOf(Buffer.from('hello'), 1, 3)
  assert.deepEqual([copy.toString(), copy.buffer.byteLength], ['el', 2])
})
