import { Worker } from 'node:worker_threads'
import type { Operation } from '../store.ts'
import type { Batch, Committed, FromWriter, ToWriter, WriterData } from './messages.ts'
import { type Part, partsOf } from './parts.ts'

export interface WriterThread {
  /**
   * Queues a batch under a number that its answer will bear, a large content in parts, between which this thread does other
   * things. Gives the reason where the thread has died before it had all of the batch, of which then nothing is written; rejects
   * where the operations are no plain data, and with what a content's entities throw.
   */
  write(batch: number, operations: readonly Operation[]): Promise<Error | undefined>
  /** Whether the thread keeps the process alive, as it should while somebody waits for it. */
  hold(wanted: boolean): void
  /** Ends the thread when it has done all it was sent. */
  close(): Promise<void>
}

export interface WriterEvents {
  readonly committed: (message: Committed) => void
  /** The thread ended unasked; what it had not answered may or may not have been written. */
  readonly died: (reason: Error) => void
}

/** Node runs TypeScript from the source tree, JavaScript from the published package. */
const entry = new URL(import.meta.url.endsWith('.ts') ? './writer.ts' : './writer.js', import.meta.url)

/** How many parts the thread may be behind. */
const mostAhead = 16

/** Gathers what comes in one turn of the event loop: to wake a thread costs more than to tell it one thing more. */
function outbox(send: (batches: readonly Batch[]) => void) {
  let waiting: { readonly batch: Batch; readonly sent: () => void; readonly refused: (error: unknown) => void }[] = []
  const flush = () => {
    const all = waiting
    waiting = []
    try {
      if (all.length > 0) send(all.map(({ batch }) => batch))
    } catch (error) {
      // One that is no plain data must not take the others with it.
      if (all.length === 1) return all[0]?.refused(error)
      for (const one of all) {
        waiting = [one]
        flush()
      }
    }
    for (const { sent } of all) sent()
  }
  return {
    flush,
    /** Resolves when it was sent, rejects where it cannot be. */
    add: (batch: Batch): Promise<void> =>
      new Promise((sent, refused) => {
        if (waiting.push({ batch, sent, refused }) === 1) setImmediate(flush)
      }),
  }
}

/** Starts the writer's thread; resolves when it is ready, rejects where it cannot open the file. */
export function startWriter(workerData: WriterData, { committed, died }: WriterEvents): Promise<WriterThread> {
  const worker = new Worker(entry, { workerData, name: 'store writer' })
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  const send = (message: ToWriter) => worker.postMessage(message)
  let closing = false
  let dead: Error | undefined
  const gathered = outbox((batches) => {
    if (!dead) send({ say: 'write', batches })
  })
  /** Parts that the thread has not gathered yet, and who waits until those are fewer: else all of a content lay between the two. */
  let ahead = 0
  let caughtUp = Promise.withResolvers<void>()
  const isBehind = () => ahead > mostAhead && !dead
  const gatheredOne = () => {
    ahead--
    caughtUp.resolve()
    caughtUp = Promise.withResolvers()
  }
  /** Sends a content part by part, and lets others have a turn in between. */
  const sendContent = async (batch: number, at: number, parts: Iterable<Part>): Promise<void> => {
    try {
      for (const part of parts) {
        if (dead) return
        for (const [kind, bodies] of part) send({ say: 'content', batch, at, kind, bodies })
        ahead += part.size
        await new Promise((resolve) => setImmediate(resolve))
        while (isBehind()) await caughtUp.promise
      }
    } catch (error) {
      send({ say: 'forget', batch })
      throw error
    }
  }
  const thread: WriterThread = {
    async write(batch, operations) {
      const sent: Operation[] = []
      for (const [at, operation] of operations.entries()) {
        if (operation.do === 'replace-all') {
          await sendContent(batch, at, partsOf(operation.entities))
          if (dead) return dead
          sent.push({ do: 'replace-all', entities: [] })
        } else sent.push(operation)
      }
      if (dead) return dead
      await gathered.add({ batch, operations: sent })
      return dead
    },
    hold: (wanted) => (wanted ? worker.ref() : worker.unref()),
    close() {
      closing = true
      worker.ref()
      gathered.flush()
      send({ say: 'close' })
      return ended
    },
  }
  return new Promise((resolve, reject) => {
    let reason = new Error("the store's writer ended")
    worker.on('error', (error: unknown) => {
      reason = error instanceof Error ? error : new Error(String(error))
    })
    worker.on('exit', () => {
      dead = reason
      caughtUp.resolve()
      reject(reason)
      if (!closing) died(reason)
    })
    worker.on('message', (message: FromWriter) => {
      if (message.say === 'committed') return committed(message)
      if (message.say === 'gathered') return gatheredOne()
      worker.unref()
      resolve(thread)
    })
  })
}
