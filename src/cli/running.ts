import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * The process id of the gateway that runs on a prefix; undefined where none does. It is read from the lock that the gateway
 * holds, which ends with the process: a file with a number may name a process that has nothing to do with it.
 */
export function runningGateway(prefix: string): number | undefined {
  const file = join(prefix, 'gibbon.lock')
  if (!existsSync(file)) return undefined
  const lock = new DatabaseSync(file, { timeout: 0 })
  try {
    if (canBegin(lock)) return undefined
    const holder = lock.prepare('SELECT pid FROM holder').get() as { pid: number } | undefined
    return holder?.pid
  } finally {
    lock.close()
  }
}

function canBegin(lock: DatabaseSync): boolean {
  try {
    lock.exec('BEGIN IMMEDIATE; ROLLBACK')
    return true
  } catch (error) {
    if (isBusy(error)) return false
    throw error
  }
}

const sqliteBusy = 5
const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === sqliteBusy

/** Waits until no gateway runs on the prefix any more; false where one still does when the time is over. */
export async function waitUntilStopped(prefix: string, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (runningGateway(prefix) !== undefined) {
    if (performance.now() >= deadline) return false
    await wait(50)
  }
  return true
}
