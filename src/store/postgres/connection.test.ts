import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { type PostgresServer, startPostgres, withoutPostgres } from '../../../test/postgres/server.ts'
import { settingsOf } from '../../config/settings.ts'
import { connect } from './connection.ts'
import { databaseOf } from './database.ts'

/** A server that takes connections and does with them what a test wants. */
async function listening(t: TestContext, serve: (socket: net.Socket) => void): Promise<number> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as net.AddressInfo).port
}

const settings = settingsOf({ pg_password: 'very-secret', pg_timeout: 300 })

async function failureOf(connecting: Promise<unknown>): Promise<string> {
  const error = await connecting.then(
    () => new Error('it connected'),
    (reason: Error) => reason,
  )
  assert.doesNotMatch(`${error.stack} ${JSON.stringify(error)}`, /very-secret/)
  return error.message
}

test('a server that says nothing is given up after pg_timeout, and named without the password', async (t) => {
  const port = await listening(t, () => {})
  const message = await failureOf(connect(databaseOf({ ...settings, pg_port: port })))
  assert.equal(message, `cannot connect to the database kong on 127.0.0.1:${port}: no answer within 0.3 s`)
})

test('with pg_ssl a server that does not speak TLS gets no password', async (t) => {
  const heard: Buffer[] = []
  const port = await listening(t, (socket) => {
    socket.on('data', (bytes: Buffer) => {
      heard.push(bytes)
      socket.write('N')
    })
  })
  const message = await failureOf(connect(databaseOf({ ...settings, pg_port: port, pg_ssl: true })))
  assert.match(message, /does not support SSL/)
  assert.equal(Buffer.concat(heard).length, 8, 'only the question whether it speaks TLS')
})

test('certificates are checked against those trusted, when that is wanted', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-ca-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'ca.pem')
  writeFileSync(file, 'a certificate')
  const trusting = { ...settings, pg_ssl: true, pg_ssl_verify: true, lua_ssl_trusted_certificate: [file] }
  assert.deepEqual(databaseOf(trusting).ssl, { ca: ['a certificate'] })
  assert.deepEqual(databaseOf({ ...trusting, pg_ssl_verify: false }).ssl, { rejectUnauthorized: false })
  assert.equal(databaseOf(settings).ssl, undefined)
})

describe('with PostgreSQL', { skip: withoutPostgres ?? false }, () => {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server.stop())

  test('a query that fails rejects with its reason, and the next one works', async () => {
    const connection = await connect(await server.database())
    await assert.rejects(connection.run([{ text: 'SELECT 1' }, { text: 'SELECT nonsense' }]), /nonsense/)
    assert.deepEqual(await connection.run([{ text: 'SELECT 1 AS one' }, { text: 'SELECT 2::int8 AS two' }]), [
      [{ one: 1 }],
      [{ two: 2 }],
    ])
    connection.end()
    assert.match((await connection.ended).message, /closed/)
  })

  test('an answer that does not come in time ends the connection', async () => {
    const connection = await connect({ ...(await server.database()), timeoutMs: 100 })
    await assert.rejects(connection.run([{ text: 'SELECT pg_sleep(5)' }]), /no answer within 0\.1 s/)
    assert.equal(connection.isOver(), true)
  })
})
