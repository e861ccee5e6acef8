import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sampleKinds, temporaryFolder } from '../sample.ts'
import { openStore } from './open.ts'

/** More of them: `GIBBON_KILL_TRIALS=200 node --test src/store/sqlite/durability.test.ts`. */
const trials = Number(process.env['GIBBON_KILL_TRIALS'] ?? 30)

test(`what was acknowledged survives kill -9 (${trials} times)`, { timeout: trials * 10_000 }, async (t) => {
  const file = join(temporaryFolder(t), 'gibbon.db')
  const acknowledged = new Set<string>()
  for (let trial = 0; trial < trials; trial++) {
    const child = fork(join(import.meta.dirname, 'durability.child.ts'), [file, `t${trial}`])
    const ended = once(child, 'exit')
    await firstOf(child, acknowledged)
    await sleep(Math.random() * 60)
    child.kill('SIGKILL')
    await ended
    checkWhole(file)
  }
  const store = await openStore({ file, kinds: sampleKinds })
  t.after(() => store.close())
  const lost = [...acknowledged].filter((id) => !store.reader.get('services', id) || !store.reader.get('routes', id))
  assert.deepEqual(lost, [])
  assert.equal(store.reader.count('services'), store.reader.count('routes'), 'no batch was written by half')
  const revisions = store.reader.changesSince(0)?.map(({ revision }) => revision)
  assert.deepEqual(
    revisions,
    Array.from({ length: store.reader.revision }, (_, at) => at + 1),
    'the log has no gap',
  )
  assert.equal(store.reader.revision, store.reader.count('services') * 2)
  assert.ok(acknowledged.size > trials, 'the children did write')
})

/** Collects what a child says it was told is written; resolves with the first of it. */
function firstOf(child: ChildProcess, acknowledged: Set<string>): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('message', (id: string) => {
      acknowledged.add(id)
      resolve()
    })
    child.on('exit', (status) => reject(new Error(`the child ended by itself (${status})`)))
  })
}

function checkWhole(file: string): void {
  const db = new DatabaseSync(file)
  const found = db.prepare('PRAGMA integrity_check').all()
  db.close()
  assert.equal(found.length, 1)
  assert.equal(found[0]?.['integrity_check'], 'ok')
}
