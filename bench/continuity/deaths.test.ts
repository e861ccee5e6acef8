import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tryDeaths } from './deaths.ts'

test('a worker that dies under load costs the connections that it held or had queued, and nothing later', async () => {
  for (const death of await tryDeaths({ ways: ['throws', 'loops'], perSecond: 150 })) {
    assert.deepEqual(death.lostLater, [], death.way)
    assert.ok(death.talksEnded > 0 && death.talksEnded < death.talks, `${death.talksEnded} WebSockets ended`)
    assert.ok(death.answered > 0)
  }
})
