/**
 * Client secrets in the form that they are kept in where `hash_secret` is set: PBKDF2 with SHA-512 as a PHC string, as Kong writes it.
 * Source: Kong's docs, "OAuth 2.0 Authentication", `hash_secret`; RFC 8018 5.2; the PHC string format.
 */
import { pbkdf2, pbkdf2Sync, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'

const ITERATIONS = 10_000
const LENGTH = 32
const SALT_LENGTH = 16

interface Hashed {
  readonly digest: string
  readonly iterations: number
  readonly salt: Buffer
  readonly hash: Buffer
}

/** A secret's hash, with a salt of its own. */
export function hashSecret(secret: string): string {
  const salt = randomBytes(SALT_LENGTH)
  const hash = pbkdf2Sync(secret, salt, ITERATIONS, LENGTH, 'sha512')
  return `$pbkdf2-sha512$i=${ITERATIONS},l=${LENGTH}$${unpadded(salt)}$${unpadded(hash)}`
}

/** Whether a text is such a hash. */
export const isHash = (text: string): boolean => parse(text) !== undefined

/** What a secret's hash would be if it were that of `kept`: to be compared with its own. Undefined where `kept` is no hash. */
export async function hashLike(
  secret: string,
  kept: string,
): Promise<readonly [made: Buffer, own: Buffer] | undefined> {
  const hashed = parse(kept)
  if (!hashed) return undefined
  const { salt, iterations, hash, digest } = hashed
  return [await promisify(pbkdf2)(secret, salt, iterations, hash.length, digest), hash]
}

/** Whether a secret has this hash; for configuration time, since it takes some milliseconds. */
export function hasHash(secret: string, kept: string): boolean {
  const hashed = parse(kept)
  if (!hashed) return false
  const { salt, iterations, hash, digest } = hashed
  return pbkdf2Sync(secret, salt, iterations, hash.length, digest).equals(hash)
}

function parse(text: string): Hashed | undefined {
  const match = /^\$pbkdf2-(sha(?:1|256|384|512))\$i=(\d{1,7})(?:,l=\d{1,3})?\$([\w+/]+)\$([\w+/]+)$/.exec(text)
  const [, digest = '', iterations = '', salt = '', hash = ''] = match ?? []
  if (!match || iterations === '0') return undefined
  return {
    digest,
    iterations: Number(iterations),
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  }
}

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')
