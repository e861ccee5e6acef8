/**
 * Keys under which secrets lie sealed in the store: AES-256-GCM, with the place of a value as associated data, so that none
 * can be moved to another entity or field. The nonce follows from the value and its place (as in RFC 8452's idea of misuse
 * resistance): the same value in the same place is sealed alike, so that writing it again changes nothing; no two different
 * ones ever share a nonce but by a collision of 96 bits.
 */
import { readFileSync } from 'node:fs'
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import type { Settings } from '../config/settings.ts'

/** A sealed value as it is stored. A unique one has its blind index as `id`, by which stores index objects. */
export interface Sealed {
  readonly $sealed: string
  readonly id?: string
}

/** The keys by id; values are sealed with the active one, and opened with whichever they were sealed with. Plain data. */
export interface Keyring {
  readonly active: string
  readonly keys: ReadonlyMap<string, Uint8Array>
}

export interface Sealer {
  readonly active: string
  readonly keys: readonly string[]
  seal(place: string, value: unknown): Sealed
  /** Throws an error that names the place where the key is not there, or the value was tampered with. */
  open(place: string, sealed: Sealed): unknown
}

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Reads keys, one a line, of 32 bytes in hexadecimal digits or base64; `#` begins a comment. The first is the active one. */
export function parseKeyring(text: string): Keyring | { readonly problem: string } {
  const keys = new Map<string, Uint8Array>()
  for (const [index, line] of text.split(/[\n,]/).entries()) {
    const written = line.replace(/#.*/, '').trim()
    if (written === '') continue
    const key = keyOf(written)
    // The line may be a key with a slip in it, so it is not shown.
    if (!key) return { problem: `line ${index + 1}: expected a key of 32 bytes in hexadecimal digits or base64` }
    keys.set(idOf(key), key)
  }
  const [active] = keys.keys()
  return active === undefined ? { problem: 'there is no key in it' } : { active, keys }
}

/** The keyring that the settings name; undefined where they name none. Throws where it cannot be read. */
export function readKeyring({
  keyring,
  keyring_file,
}: Pick<Settings, 'keyring' | 'keyring_file'>): Keyring | undefined {
  const [name, text] = keyring_file === undefined ? ['keyring', keyring] : ['keyring_file', textOf(keyring_file)]
  if (text === undefined) return undefined
  const parsed = parseKeyring(text)
  if ('problem' in parsed) throw new Error(`${name}: ${parsed.problem}`)
  return parsed
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new Error(`keyring_file: ${(error as Error).message}`, { cause: error })
  }
}

/** A new key, as a line of a keyring. */
export const generateKey = (): string => randomBytes(KEY_BYTES).toString('base64')

export const isSealed = (value: unknown): value is Sealed =>
  typeof value === 'object' && value !== null && '$sealed' in value && typeof value.$sealed === 'string'

/** The id of the key that a value was sealed with. */
export const keyIdOf = ({ $sealed }: Sealed): string => $sealed.slice(0, $sealed.indexOf('.'))

/** Gives what seals and opens with these keys. */
export function sealerOf({ active, keys }: Keyring): Sealer {
  const derived = new Map(
    [...keys].map(([id, key]) => [id, { seal: derive(key, 'seal'), nonce: derive(key, 'nonce') }]),
  )
  const activeKeys = derived.get(active)
  if (!activeKeys) throw new TypeError('the active key is not in the keyring')
  return {
    active,
    keys: [...keys.keys()],
    seal(place, value) {
      const text = JSON.stringify(value)
      const nonce = createHmac('sha256', activeKeys.nonce).update(`${place}\0${text}`).digest().subarray(0, NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', activeKeys.seal, nonce).setAAD(Buffer.from(`${active}\0${place}`))
      const bytes = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return { $sealed: `${active}.${bytes.toString('base64')}` }
    },
    open(place, sealed) {
      const id = keyIdOf(sealed)
      const key = derived.get(id)
      if (!key) throw new Error(`${place} is sealed with the key ${id}, which is not in the keyring`)
      const bytes = Buffer.from(sealed.$sealed.slice(id.length + 1), 'base64')
      try {
        const decipher = createDecipheriv('aes-256-gcm', key.seal, bytes.subarray(0, NONCE_BYTES), {
          authTagLength: TAG_BYTES,
        })
        decipher.setAAD(Buffer.from(`${id}\0${place}`)).setAuthTag(bytes.subarray(-TAG_BYTES))
        const text = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
        return JSON.parse(text.toString('utf8')) as unknown
      } catch (error) {
        throw new Error(`${place} was changed, or belongs elsewhere: it cannot be opened`, { cause: error })
      }
    },
  }
}

/** What stands for a unique secret where it must be found: the same text for the same value, which nobody without the key can tell. */
export const blindIndex = (indexKey: string, kind: string, field: string, value: string): string =>
  createHmac('sha256', indexKey).update(`${kind}\0${field}\0${value}`).digest('base64url')

function keyOf(written: string): Buffer | undefined {
  const bytes = /^[\da-f]{64}$/i.test(written) ? Buffer.from(written, 'hex') : Buffer.from(written, 'base64')
  const isBase64 = /^[\w+/-]{43}=?$/.test(written)
  return bytes.length === KEY_BYTES && (isBase64 || written.length === 64) ? bytes : undefined
}

const derive = (key: Uint8Array, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key, '', `gibbon ${purpose}`, KEY_BYTES))

/** Follows from the key, so that a wrong one never passes for another. */
const idOf = (key: Uint8Array): string => derive(key, 'key id').toString('hex', 0, 4)
