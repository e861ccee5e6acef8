import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { keptKeys } from './kept-keys.ts'

function world(t: TestContext) {
  const folder = join(mkdtempSync(join(tmpdir(), 'gibbon-kept-')), 'keys')
  t.after(() => rmSync(join(folder, '..'), { recursive: true }))
  const clock = { now: 1_700_000_000 }
  const warnings: string[] = []
  const open = () =>
    keptKeys(
      folder,
      (text) => void warnings.push(text),
      () => clock.now,
    )
  return { folder, clock, open, warnings }
}

test('what was fetched is there after a restart, for a week, and for its issuer alone', (t) => {
  const { folder, clock, open } = world(t)
  open().save('a', '[{"kid":"1"}]')
  assert.equal(open().load('a'), '[{"kid":"1"}]')
  assert.equal(open().load('b'), undefined)
  assert.equal(statSync(join(folder, readdirSync(folder)[0]!)).mode & 0o077, 0)
  clock.now += 7 * 86_400
  assert.equal(open().load('a'), '[{"kid":"1"}]')
  clock.now += 1
  assert.equal(open().load('a'), undefined)
  assert.deepEqual(readdirSync(folder), [], 'old files are gone')
})

test('what is damaged is not used', (t) => {
  const { folder, open } = world(t)
  const kept = open()
  kept.save('a', '[]')
  writeFileSync(join(folder, readdirSync(folder)[0]!), '{"address":"a","keys":[')
  assert.equal(kept.load('a'), undefined)
})

test('where nothing can be written that is told, and nothing fails', (t) => {
  const { folder, open, warnings } = world(t)
  writeFileSync(folder, 'a file')
  open().save('a', '[]')
  assert.match(warnings[0] ?? '', /cannot keep the keys of an issuer/)
})
