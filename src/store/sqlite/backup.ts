import { closeSync, fsyncSync, openSync, unlinkSync } from 'node:fs'
import { backup } from 'node:sqlite'
import { connectReadOnly, syncFolder } from './file.ts'

/**
 * Copies the store, as it stands at one moment and while it is written to, to `to`: a file of mode 0600 that must not be there.
 * Rejects, and leaves no half a copy, where that fails.
 */
export async function backupFile(file: string, to: string): Promise<void> {
  const source = connectReadOnly(file)
  try {
    closeSync(openSync(to, 'wx', 0o600))
  } catch (error) {
    source.close()
    throw error
  }
  try {
    // All pages in one step, on Node's thread pool: in several, every write in between would make it begin again.
    await backup(source, to, { rate: 2 ** 31 - 1 })
    syncFile(to)
    syncFolder(to)
  } catch (error) {
    unlinkSync(to)
    throw new Error(`cannot back up the store to ${to}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  } finally {
    source.close()
  }
}

function syncFile(file: string): void {
  const handle = openSync(file, 'r')
  fsyncSync(handle)
  closeSync(handle)
}
