import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRecall } from './recall.ts'

const loaded = (live = true) => ({ entity: { id: 'e' }, live })

test('what was verified is known while all that it follows from is live', () => {
  const memory = createRecall<string>(10)
  const [credential, consumer] = [loaded(), loaded()]
  memory.remember('text', { from: [credential, consumer], value: 'alice' })
  assert.equal(memory.recall('text'), 'alice')
  assert.equal(memory.recall('Text'), undefined)
  consumer.live = false
  assert.equal(memory.recall('text'), undefined)
  consumer.live = true
  assert.equal(memory.recall('text'), undefined, 'it is not known again')
})

test('what is in use stays, what is not is forgotten', () => {
  const memory = createRecall<number>(10)
  memory.remember('used', { from: [loaded()], value: -1 })
  memory.remember('unused', { from: [loaded()], value: -2 })
  for (let at = 0; at < 100; at++) {
    memory.remember(`text ${at}`, { from: [loaded()], value: at })
    assert.equal(memory.recall('used'), -1)
  }
  assert.equal(memory.recall('unused'), undefined)
})

test('long texts are not remembered', () => {
  const memory = createRecall<number>(10)
  memory.remember('x'.repeat(513), { from: [], value: 1 })
  assert.equal(memory.recall('x'.repeat(513)), undefined)
})
