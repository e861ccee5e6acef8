import { Worker } from 'node:worker_threads'
import type { Operation } from '../store.ts'
import type { Committed, FromWriter, ToWriter, WriterData } from './messages.ts'

export interface WriterThread {
  /** Queues a batch under a number that its answer will bear; throws where the operations are no plain data, or the thread is dead. */
  write(batch: number, operations: readonly Operation[]): void
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

/** Starts the writer's thread; resolves when it is ready, rejects where it cannot open the file. */
export function startWriter(workerData: WriterData, { committed, died }: WriterEvents): Promise<WriterThread> {
  const worker = new Worker(entry, { workerData, name: 'store writer' })
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  const send = (message: ToWriter) => worker.postMessage(message)
  let closing = false
  let dead: Error | undefined
  const thread: WriterThread = {
    write(batch, operations) {
      if (dead) throw dead
      send({ say: 'write', batch, operations })
    },
    hold: (wanted) => (wanted ? worker.ref() : worker.unref()),
    close() {
      closing = true
      worker.ref()
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
      reject(reason)
      if (!closing) died(reason)
    })
    worker.on('message', (message: FromWriter) => {
      if (message.say === 'committed') return committed(message)
      worker.unref()
      resolve(thread)
    })
  })
}
