import type { KindIndex } from '../kinds.ts'
import type { OwnedStore } from '../store.ts'
import { unavailable, writing } from '../writing.ts'
import { backupFile } from './backup.ts'
import { prepareFile } from './file.ts'
import { publisher } from './publisher.ts'
import { openReader } from './reader.ts'
import { startWriter, type WriterThread } from './thread.ts'

export interface OpenOptions {
  /** The SQLite file; it is created, with its folder, where it is not there. */
  readonly file: string
  readonly kinds: readonly KindIndex[]
  /** How many changes the log keeps (default 100,000): a reader further behind reads everything afresh. */
  readonly keep?: number
  /** Told of what nobody waits for: a commit listener that failed, a writer that died (default: a process warning). */
  readonly report?: (error: Error) => void
}

/**
 * Opens the store, creating or migrating its file, and starts the writer's thread, which is started anew should it ever die.
 * Rejects with an error that names the file where it cannot be used: damaged, newer, another program's, not writable.
 * The caller holds the prefix's lock (`lockPrefix`): two processes writing would not tell each other.
 */
export async function openStore({ file, kinds, keep = 100_000, report = warn }: OpenOptions): Promise<OwnedStore> {
  prepareFile(file)
  const reader = openReader(file, kinds)
  const published = publisher(reader, report)
  let writer: Promise<WriterThread> | undefined
  let batches = 0

  const died = (reason: Error) => {
    writer = undefined
    report(reason)
    const message = `the store's writer died (${reason.message}); whether this was written is not known`
    published.abandon({ ok: false, at: 0, error: { code: 'unavailable', message, unsure: true } })
  }
  const forget = (error: unknown): never => {
    writer = undefined
    throw error
  }
  const running = () =>
    (writer ??= startWriter({ file, kinds, keep }, { committed: published.committed, died }).catch(forget))

  const { write, settled, close } = writing(kinds, async (operations) => {
    const thread = await running().catch(asError)
    if (thread instanceof Error) return unavailable(thread.message)
    const batch = ++batches
    thread.hold(true)
    try {
      const dead = await thread.write(batch, operations)
      if (dead) return unavailable(dead.message)
      return await published.answerTo(batch)
    } finally {
      if (published.waiting() === 0) thread.hold(false)
    }
  })
  const endWriter = async () => {
    const thread = await writer?.catch(() => undefined)
    writer = undefined
    await thread?.close()
  }
  const end = async () => {
    await published.stop()
    // The reader goes first: the last connection to go brings the write-ahead log over and removes it.
    reader.close()
    await endWriter()
  }
  await running().catch((error: unknown) => {
    reader.close()
    throw new Error(`cannot use the store ${file}: ${asError(error).message}`, { cause: error })
  })
  return {
    reader,
    write,
    onCommit: published.listen,
    reachable: () => true,
    // Whatever was committed has been read by the time that it is answered.
    refresh: async () => {},
    backup: (to) => backupFile(file, to),
    release: async () => {
      await settled()
      await endWriter()
    },
    resume: async () => void (await running()),
    look: () => published.look(),
    close: () => close(end),
  }
}

const warn = (error: Error) => process.emitWarning(error)

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)))
