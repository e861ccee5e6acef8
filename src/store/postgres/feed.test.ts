import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headOf, newsOf } from './feed.ts'

const followed = { revision: 7, stamp: 'a' }
const anchor = {
  revision: 7,
  kind: 'services',
  id: 's7',
  operation: 'insert',
  stamp: 'a',
  body: '{}',
  expires_at: null,
}
const next = {
  revision: 8,
  kind: 'tokens',
  id: 't1',
  operation: 'insert',
  stamp: 'b',
  body: '{}',
  expires_at: 3_600_500,
}
const head = { version: 1, revision: 8, clockAheadMs: 0 }

test('a time to live ends by the clock of the database, whatever the one here says', () => {
  const ahead = headOf([{ version: 1, revision: 8, now: Date.now() + 3_600_000 }])
  const news = newsOf([anchor, next], followed, ahead)
  assert.ok(news.is === 'changes')
  assert.ok(Math.abs((news.changes[0]?.expiresAt ?? 0) - 500) < 1000)
})

test('the change that is known already has to be there, with its stamp', () => {
  assert.deepEqual(newsOf([anchor, next], followed, head), {
    is: 'changes',
    changes: [{ revision: 8, kind: 'tokens', id: 't1', operation: 'insert', body: '{}', expiresAt: 3_600_500 }],
    followed: { revision: 8, stamp: 'b' },
  })
  assert.deepEqual(newsOf([anchor], followed, head), { is: 'changes', changes: [], followed })
  for (const rows of [[], [next], [{ ...anchor, stamp: 'other' }, next]]) {
    assert.deepEqual(newsOf(rows, followed, head), { is: 'lost' })
  }
})
