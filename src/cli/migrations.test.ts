import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { type PostgresServer, startPostgres, withoutPostgres } from '../../test/postgres/server.ts'
import { connect } from '../store/postgres/connection.ts'
import { main } from './commands.ts'

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function call(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const texts = { stdout: '', stderr: '' }
  const into = (name: keyof typeof texts) =>
    new Writable({ write: (chunk: Buffer, _, done) => void (done(), (texts[name] += chunk.toString())) })
  const code = await main(args, { stdout: into('stdout'), stderr: into('stderr'), env })
  return { code, ...texts }
}

test('without PostgreSQL there is nothing to migrate', async () => {
  const { code, stderr } = await call(['migrations', 'up'], {})
  assert.equal(code, 1)
  assert.match(stderr, /with database = sqlite there is nothing to migrate/)
})

test('a mistyped word is answered with what was meant', async () => {
  const { code, stderr } = await call(['migrations', 'bootsrap'], {})
  assert.equal(code, 2)
  assert.match(stderr, /no bootsrap \(did you mean bootstrap\?\)/)
})

test('a database that does not answer is told by where it is, without the password', async () => {
  const env = { KONG_DATABASE: 'postgres', KONG_PG_PORT: '1', KONG_PG_PASSWORD: 'very-secret' }
  const { code, stderr } = await call(['migrations', 'status'], env)
  assert.equal(code, 1)
  assert.match(stderr, /^gibbon: cannot connect to the database kong on 127\.0\.0\.1:1: .*ECONNREFUSED/)
  assert.doesNotMatch(stderr, /very-secret/)
})

describe('with PostgreSQL', { skip: withoutPostgres ?? false }, () => {
  let server: PostgresServer
  let env: NodeJS.ProcessEnv

  before(async () => {
    server = await startPostgres()
    env = {
      KONG_DATABASE: 'postgres',
      KONG_PG_PORT: String(server.port),
      KONG_PG_USER: 'gibbon',
      KONG_PG_DATABASE: 'postgres',
      KONG_PG_SCHEMA: 'made "here"',
    }
  })
  after(() => server.stop())

  const migrations = (...args: string[]) => call(['migrations', ...args], env)
  const setVersion = async (version: number) => {
    const connection = await connect(await server.database())
    await connection.run([{ text: `UPDATE "made ""here""".gibbon_head SET version = ${version}` }])
    connection.end()
  }

  test('bootstrap makes the tables once, in a schema that it makes, too; status and list tell how far it is', async () => {
    const before = await migrations('status')
    assert.deepEqual([before.code, before.stderr], [3, ''])
    assert.match(before.stdout, /has no tables of Gibbon yet: run gibbon migrations bootstrap/)
    const made = await migrations('bootstrap')
    assert.equal(made.code, 0, made.stderr)
    assert.match(made.stdout, /is ready: ran 001_entities_and_log/)
    assert.match((await migrations('bootstrap')).stdout, /is ready: nothing had to be done/)
    assert.equal((await migrations('status')).code, 0)
    assert.match((await migrations('list')).stdout, /is up to date\n {2}001_entities_and_log \(run\)\n/)
    assert.deepEqual(JSON.parse((await migrations('list', '--json')).stdout), {
      state: 'current',
      executed: ['001_entities_and_log'],
      pending: [],
    })
    assert.equal((await migrations('finish')).code, 0)
    assert.equal((await migrations('up', '--quiet')).stdout, '')
  })

  test('tables of a newer version are left alone, and said to be that', async () => {
    await setVersion(99)
    const { code, stderr } = await migrations('up')
    assert.equal(code, 1)
    assert.match(stderr, /brought up to date by a newer Gibbon \(it is at version 99, this one knows 1\)/)
    assert.equal((await migrations('status')).code, 1)
    await setVersion(1)
  })

  test('several that bootstrap at once make the tables once', async () => {
    env = { ...env, KONG_PG_SCHEMA: 'at_once' }
    const all = await Promise.all(Array.from({ length: 4 }, () => migrations('bootstrap')))
    assert.deepEqual(
      all.map(({ code }) => code),
      [0, 0, 0, 0],
    )
    assert.equal(all.filter(({ stdout }) => stdout.includes('ran 001')).length, 1)
  })

  test('reset removes the tables only when that is meant', async () => {
    const unsure = await migrations('reset')
    assert.equal(unsure.code, 1)
    assert.match(unsure.stderr, /say --yes/)
    assert.equal((await migrations('status')).code, 0)
    assert.equal((await migrations('reset', '--yes')).code, 0)
    assert.equal((await migrations('status')).code, 3)
    assert.equal((await migrations('bootstrap')).code, 0)
  })
})
