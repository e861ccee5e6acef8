import { readFileSync } from 'node:fs'
import { rootCertificates, type ConnectionOptions } from 'node:tls'
import type { Settings } from '../../config/settings.ts'
import type { Database } from './connection.ts'

/** Where the settings say that PostgreSQL is; throws where a file of trusted certificates cannot be read. */
export function databaseOf(settings: Settings): Database {
  return {
    host: settings.pg_host,
    port: settings.pg_port,
    user: settings.pg_user,
    password: settings.pg_password,
    database: settings.pg_database,
    schema: settings.pg_schema,
    timeoutMs: settings.pg_timeout,
    ssl: settings.pg_ssl ? sslOf(settings) : undefined,
  }
}

function sslOf({ pg_ssl_verify: verified, lua_ssl_trusted_certificate: files }: Settings): ConnectionOptions {
  if (!verified) return { rejectUnauthorized: false }
  return { ca: files.flatMap((file) => (file === 'system' ? rootCertificates : readFileSync(file, 'utf8'))) }
}
