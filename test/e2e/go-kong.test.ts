/** Kong's Go client against a whole gateway, where `go` and the client's modules are there. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { withFilters } from './filters.ts'
import { startTestGateway } from './gateway.ts'

const folder = join(import.meta.dirname, '../go-kong')
const program = join(import.meta.dirname, '../../.cache/go-kong')

/** Why the client cannot be run; it is built without asking the network for anything. */
function missing(): string | false {
  const built = spawnSync('go', ['build', '-o', program, '.'], {
    cwd: folder,
    env: { ...process.env, GOFLAGS: '-mod=readonly', GOPROXY: 'off' },
    encoding: 'utf8',
  })
  if (built.error) return 'there is no go'
  return built.status === 0 ? false : `go cannot build it: ${built.stderr.split('\n')[0]}`
}

test("Kong's Go client makes, reads, changes, lists and deletes every core entity", { skip: missing() }, async (t) => {
  const gateway = await startTestGateway(withFilters())
  t.after(() => gateway.stop())
  const { stdout } = await promisify(execFile)(program, [gateway.adminUrl], { timeout: 60_000 })
  assert.match(stdout, /every entity lived/)
})
