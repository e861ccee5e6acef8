import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { lockPrefix } from './lock.ts'
import { temporaryFolder } from './sample.ts'

const lockModule = JSON.stringify(join(import.meta.dirname, 'lock.ts'))

test('a second instance is refused with the folder and the process that holds it', (t) => {
  const prefix = join(temporaryFolder(t), 'prefix')
  const lock = lockPrefix(prefix)
  assert.throws(
    () => lockPrefix(prefix),
    new RegExp(`cannot lock the prefix ${prefix}: it is in use by process ${process.pid}`),
  )
  lock.release()
  lockPrefix(prefix).release()
  assert.equal(statSync(prefix).mode & 0o777, 0o700)
  assert.equal(statSync(join(prefix, 'gibbon.lock')).mode & 0o777, 0o600)
})

test('releasing twice does no harm to who came after', (t) => {
  const prefix = temporaryFolder(t)
  const first = lockPrefix(prefix)
  first.release()
  const second = lockPrefix(prefix)
  first.release()
  assert.throws(() => lockPrefix(prefix), /in use/)
  second.release()
})

test('the lock dies with its process, killed or not', async (t) => {
  const prefix = temporaryFolder(t)
  const script = `import { lockPrefix } from ${lockModule}; lockPrefix(process.argv[1]); console.log('locked'); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script, prefix], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  assert.throws(() => lockPrefix(prefix), new RegExp(`in use by process ${child.pid}`))
  child.kill('SIGKILL')
  await once(child, 'exit')
  lockPrefix(prefix).release()
})

test('a lock file that is something else is refused by name', (t) => {
  const prefix = temporaryFolder(t)
  writeFileSync(join(prefix, 'gibbon.lock'), 'something else entirely, and quite long at that\n'.repeat(50))
  assert.throws(() => lockPrefix(prefix), /cannot lock the prefix .*gibbon\.lock/)
})
