import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test, type TestContext } from 'node:test'
import { settingsOf } from '../config/settings.ts'
import { startGateway } from '../main.ts'
import { anyPort } from '../../test/admin/fixture.ts'
import { main } from './commands.ts'

interface Called {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** A prefix, and the command line on it. */
function onPrefix(t: TestContext) {
  const prefix = mkdtempSync(join(tmpdir(), 'gibbon-token-'))
  t.after(() => rmSync(prefix, { recursive: true, force: true }))
  const call = async (...argv: string[]): Promise<Called> => {
    const [stdout, stderr] = [collector(), collector()]
    const env = { KONG_PREFIX: prefix, GIBBON_ADMIN_TOKENS: 'required', KONG_PROXY_LISTEN: '127.0.0.1:0' }
    const status = await main(argv, { stdout: stdout.stream, stderr: stderr.stream, env })
    return { status, stdout: stdout.text(), stderr: stderr.text() }
  }
  return { prefix, call }
}

function collector(): { stream: Writable; text: () => string } {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk.toString()
      done()
    },
  })
  return { stream, text: () => text }
}

const rowsOf = (stdout: string): string[][] =>
  stdout
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s{2,}/))

test('tokens are made, listed and revoked where no gateway runs', async (t) => {
  const { call } = onPrefix(t)
  const made = await call('admin-token', 'create', 'ci', '--role', 'read-only', '--expires', '+1d')
  assert.equal(made.status, 0, made.stderr)
  assert.match(made.stdout, /^gibbon_[0-9a-f]{32}_[\w-]{43}\n$/)
  assert.equal(made.stderr, '')
  const [row] = rowsOf((await call('admin-token', 'list')).stdout)
  assert.deepEqual(row?.slice(0, 2), ['ci', 'read-only'])
  assert.ok(!(await call('admin-token', 'list', '--json')).stdout.includes(made.stdout.trim().slice(-43)))
  const again = await call('admin-token', 'create', 'ci')
  assert.deepEqual([again.status, again.stderr], [1, 'gibbon: there is a token named ci already\n'])
  assert.equal((await call('admin-token', 'revoke', 'ci')).stdout, 'gibbon: revoked ci\n')
  assert.deepEqual(rowsOf((await call('admin-token', 'list')).stdout), [])
  const absent = await call('admin-token', 'revoke', 'ci')
  assert.deepEqual([absent.status, absent.stderr], [1, 'gibbon: there is no token ci\n'])
})

test('what is wrong with a token that is to be made is told', async (t) => {
  const { call } = onPrefix(t)
  const wrong = async (...argv: string[]) => (await call('admin-token', ...argv)).stderr
  assert.match(await wrong('create', 'two words'), /name: expected letters, digits/)
  assert.match(await wrong('create', 'a', '--role', 'root'), /role: expected one of: admin, read-only/)
  assert.match(await wrong('create', 'a', '--expires=-1d'), /--expires wants a time to come/)
  assert.match(await wrong('creat'), /no creat \(did you mean create\?\)/)
})

test('with a running gateway tokens are made and revoked at once, and open its Admin API', async (t) => {
  const { prefix, call } = onPrefix(t)
  const gateway = await startGateway(
    settingsOf({
      prefix,
      proxy_listen: [anyPort],
      admin_listen: [anyPort],
      admin_tokens: 'required',
      nginx_worker_processes: 1,
      proxy_access_log: 'off',
      proxy_error_log: 'off',
    }),
  )
  t.after(() => gateway.stop())
  const url = `http://127.0.0.1:${gateway.adminPorts[0]}`
  const made = await call('admin-token', 'create', 'ci')
  assert.equal(made.status, 0, made.stderr)
  const file = join(prefix, 'token')
  writeFileSync(file, made.stdout)
  const status = async () =>
    (await fetch(url, { headers: { 'Kong-Admin-Token': readFileSync(file, 'utf8').trim() } })).status
  assert.equal(await status(), 200)
  assert.equal((await call('health')).status, 0)

  const config = join(prefix, 'kong.yaml')
  writeFileSync(config, '_format_version: "3.0"\nconsumers: [{ username: alice }]\n')
  const refused = await call('config', 'import', config, '--admin', url)
  assert.match(refused.stderr, /a token is required/)
  const imported = await call('config', 'import', config, '--admin', url, '--admin-token-file', file)
  assert.equal(imported.status, 0, imported.stderr)

  assert.equal((await call('admin-token', 'revoke', 'ci')).status, 0)
  assert.equal(await status(), 401)
})
