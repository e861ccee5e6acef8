/** Coming in to a real server: with passwords in each of the ways that it keeps them, and over TLS. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { issue } from '../../../test/e2e/certificates.ts'
import { type PostgresServer, startPostgres, withoutPostgres } from '../../../test/postgres/server.ts'
import { settingsOf, type Settings } from '../../config/settings.ts'
import { connect } from './connection.ts'
import { databaseOf } from './database.ts'

describe('coming in to PostgreSQL', { skip: withoutPostgres ?? false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-login-'))
  const authority = issue('the authority', { signs: true })
  const stranger = issue('another authority', { signs: true })
  let server: PostgresServer

  before(async () => {
    for (const { name, cert } of [authority, stranger]) writeFileSync(join(folder, `${name}.pem`), cert)
    server = await startPostgres({
      access: [
        'host all scram_user 127.0.0.1/32 scram-sha-256',
        'host all md5_user 127.0.0.1/32 md5',
        'hostssl all tls_user 127.0.0.1/32 scram-sha-256',
      ],
      tls: issue('localhost', { by: authority }),
    })
    const owner = await connect(databaseOf(settings({ pg_user: 'gibbon' })))
    await owner.run([
      { text: "SET password_encryption = 'scram-sha-256'" },
      { text: "CREATE ROLE scram_user LOGIN PASSWORD 'pässword of scram'" },
      { text: "CREATE ROLE tls_user LOGIN PASSWORD 'password of tls'" },
      { text: "SET password_encryption = 'md5'" },
      { text: "CREATE ROLE md5_user LOGIN PASSWORD 'password of md5'" },
    ])
    owner.end()
  })
  after(async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const settings = (given: Partial<Settings>): Settings =>
    settingsOf({ pg_host: '127.0.0.1', pg_port: server.port, pg_database: 'postgres', ...given })
  /** Who the server takes a client for, and whether they speak TLS; or why it lets nobody in. */
  const comeIn = async (given: Partial<Settings>): Promise<string> => {
    try {
      const connection = await connect(databaseOf(settings(given)))
      const [rows] = await connection.run([
        { text: 'SELECT current_user AS who, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()' },
      ])
      connection.end()
      return `${String(rows?.[0]?.['who'])} ${rows?.[0]?.['ssl'] === true ? 'over TLS' : 'in clear'}`
    } catch (error) {
      const { message, stack } = error as Error
      assert.doesNotMatch(`${stack} ${JSON.stringify(error)}`, /p.ssword of/)
      return message
    }
  }
  const trusting = (name: string) => ({
    pg_ssl: true,
    pg_ssl_verify: true,
    lua_ssl_trusted_certificate: [join(folder, `${name}.pem`)],
  })
  const tlsUser = { pg_user: 'tls_user', pg_password: 'password of tls' }

  test('passwords are taken that the server keeps for SCRAM, and as md5', async () => {
    assert.equal(await comeIn({ pg_user: 'scram_user', pg_password: 'pässword of scram' }), 'scram_user in clear')
    assert.equal(await comeIn({ pg_user: 'md5_user', pg_password: 'password of md5' }), 'md5_user in clear')
  })

  test('a wrong password, or none, is told without it', async () => {
    for (const pg_user of ['scram_user', 'md5_user']) {
      for (const pg_password of ['password of nobody', undefined]) {
        const why = await comeIn({ pg_user, ...(pg_password !== undefined && { pg_password }) })
        assert.match(why, /^cannot connect to the database postgres on 127\.0\.0\.1:\d+: .*password/, pg_user)
      }
    }
  })

  test('with pg_ssl the connection is one over TLS, and without it a server that insists lets nobody in', async () => {
    assert.equal(await comeIn({ ...tlsUser, pg_ssl: true }), 'tls_user over TLS')
    assert.match(await comeIn(tlsUser), /no pg_hba\.conf entry for host .*no encryption/)
  })

  test('with pg_ssl_verify the certificate must be of a trusted authority, and of the name that is connected to', async () => {
    const verified = { ...tlsUser, ...trusting('the authority') }
    assert.equal(await comeIn({ ...verified, pg_host: 'localhost' }), 'tls_user over TLS')
    assert.match(await comeIn({ ...verified, pg_host: '127.0.0.1' }), /does not match certificate|not in the cert/)
    const fooled = { ...tlsUser, ...trusting('another authority'), pg_host: 'localhost' }
    assert.match(await comeIn(fooled), /cannot connect .*certificate/)
  })
})
