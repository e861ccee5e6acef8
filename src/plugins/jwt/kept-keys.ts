/**
 * Issuers' keys kept on the disk, so that a node that starts while an identity provider is out takes its tokens all the same. Keys
 * that were fetched longer ago than a week are not used: by then one may have been taken back that nobody could tell us of.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isObject } from './token.ts'

export interface KeptKeys {
  /** An issuer's keys as they were fetched last (a JSON array); undefined where there are none that may be used. */
  load(address: string): string | undefined
  save(address: string, keys: string): void
}

const longestSeconds = 7 * 86_400

interface File {
  readonly address: string
  readonly fetched_at: number
  readonly keys: readonly unknown[]
}

/** Keeps keys in a folder, a file for each issuer; `warn` is told what cannot be written. `now` is in seconds since 1970. */
export function keptKeys(
  folder: string,
  warn: (text: string) => void,
  now: () => number = () => Math.floor(Date.now() / 1000),
): KeptKeys {
  const pathOf = (address: string) => join(folder, `${createHash('sha256').update(address).digest('hex')}.json`)
  const isYoung = ({ fetched_at }: File) => fetched_at <= now() + 60 && now() - fetched_at <= longestSeconds
  forgetOld(folder, isYoung)
  return {
    load(address) {
      const file = read(pathOf(address))
      return file?.address === address && isYoung(file) ? JSON.stringify(file.keys) : undefined
    },
    save(address, keys) {
      const file: File = { address, fetched_at: now(), keys: JSON.parse(keys) as unknown[] }
      const path = pathOf(address)
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 })
        writeFileSync(`${path}.new`, JSON.stringify(file), { mode: 0o600 })
        renameSync(`${path}.new`, path)
      } catch (error) {
        warn(`cannot keep the keys of an issuer: ${(error as Error).message}`)
      }
    },
  }
}

/** What is there, or nothing where that cannot be read: then the keys are fetched. */
function read(path: string): File | undefined {
  try {
    const file: unknown = JSON.parse(readFileSync(path, 'utf8'))
    const isFile = isObject(file) && typeof file['fetched_at'] === 'number' && Array.isArray(file['keys'])
    return isFile ? (file as unknown as File) : undefined
  } catch {
    return undefined
  }
}

function forgetOld(folder: string, isYoung: (file: File) => boolean): void {
  for (const name of namesIn(folder)) {
    const path = join(folder, name)
    const file = read(path)
    if (!file || !isYoung(file)) rmSync(path, { force: true })
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /^[\da-f]{64}\.json/.test(name))
  } catch {
    return []
  }
}
