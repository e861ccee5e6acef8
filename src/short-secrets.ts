/**
 * Secrets of jwt credentials that are shorter than the hash that they are used with. Kong takes them, and so do we; but whoever has
 * one token may find such a secret by trying, and then make others. Source: RFC 7518 section 3.2, RFC 8725 section 3.5.
 */
import type { Log } from './observe/log.ts'
import { algorithms } from './plugins/jwt/algorithms.ts'
import { jwt_secrets } from './plugins/jwt/credentials.ts'
import { hasUntold, type Store, type Stored } from './store/store.ts'

/** A load of a million is not looked through: the first show what the others are like. */
const mostLookedAt = 1000

/** Warns of short secrets that are there, and of each that is written from now on, by the credential's key. */
export function watchSecrets({ reader, onCommit }: Pick<Store, 'reader' | 'onCommit'>, log: Pick<Log, 'warn'>): void {
  const warn = (credentials: Iterable<Stored>): void => {
    const short = [...credentials].filter(isShort)
    const [first] = short
    if (!first) return
    const fields = { credentials: short.length, key: first['key'], algorithm: first['algorithm'] }
    log.warn('secrets of jwt credentials are shorter than the hash they are used with, and can be guessed', fields)
  }
  const warnOfAll = (): void => warn(reader.page(jwt_secrets.name, { size: mostLookedAt }).entities)
  onCommit(async (_, changes) => {
    if (hasUntold(changes)) return warnOfAll()
    const written = changes.filter(({ kind, operation }) => kind === jwt_secrets.name && operation !== 'delete')
    warn(written.slice(0, mostLookedAt).flatMap(({ id }) => reader.get(jwt_secrets.name, id) ?? []))
  })
  warnOfAll()
}

/** In base64 (`secret_is_base64`) it is shorter still, which only the plugin knows. One that is kept elsewhere cannot be told. */
function isShort({ secret, algorithm }: Stored): boolean {
  const { material, signatureLength: hashBytes = 0 } = algorithms.get(String(algorithm)) ?? {}
  if (material !== 'secret' || typeof secret !== 'string' || secret.startsWith('{vault://')) return false
  return Buffer.byteLength(secret) < hashBytes
}
