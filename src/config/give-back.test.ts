import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { giveBackMemory } from './give-back.ts'

test('what nobody holds any more is gone after a large configuration, and not looked for after a small one', async () => {
  const forgotten = new WeakRef({ nodes: Array.from({ length: 1000 }, (_, at) => ({ at })) })
  // A weak reference keeps what it was made of until the turn is over.
  await sleep(1)
  giveBackMemory(99_999)
  assert.ok(forgotten.deref())
  await sleep(1)
  giveBackMemory(100_000)
  assert.equal(forgotten.deref(), undefined)
  assert.equal('gc' in globalThis, false)
})
