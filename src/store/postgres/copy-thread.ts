import { Worker } from 'node:worker_threads'
import { siblingModule } from '../../config/module-url.ts'
import type { Cleared, CopyData, FromCopy, Proposal, Put, ToCopy } from './messages.ts'

/** The thread that writes the local copy, seen from the main thread. */
export interface CopyThread {
  /** Resolves when it is done; rejects where the copy cannot be written, with its transaction rolled back, or the thread died. */
  ask(message: Exclude<ToCopy, { do: 'propose' | 'read' | 'close' }>): Promise<void>
  propose(batches: Batches, expired: Expired): Promise<Proposal>
  /** Further steps of what was proposed, for as long as its transaction is open. */
  cleared(from: number): Promise<readonly Cleared[]>
  puts(from: number): Promise<readonly Put[]>
  close(): Promise<void>
}

type Propose = Extract<ToCopy, { do: 'propose' }>
type Batches = Propose['batches']
export type Expired = Propose['expired']

type Given = Extract<FromCopy, { say: 'done' }>['given']

interface Waiting {
  readonly resolve: (answer: Given) => void
  readonly reject: (error: Error) => void
}

/** Starts the thread; resolves when it is ready. `gone` is called when it is no more. */
export function startCopy(workerData: CopyData, gone: () => void): Promise<CopyThread> {
  const worker = new Worker(siblingModule(import.meta.url, './copy'), { workerData, name: 'local copy' })
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  const waiting: Waiting[] = []
  let dead: Error | undefined
  const call = (message: ToCopy): Promise<Given> => {
    if (dead) return Promise.reject(dead)
    worker.postMessage(message)
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
  }
  const thread: CopyThread = {
    ask: async (message) => void (await call(message)),
    propose: async (batches, expired) => {
      return (await call({ do: 'propose', batches, expired })) as Proposal
    },
    cleared: async (from) => (await call({ do: 'read', what: 'cleared', from })) as readonly Cleared[],
    puts: async (from) => (await call({ do: 'read', what: 'puts', from })) as readonly Put[],
    close() {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
      worker.postMessage({ do: 'close' } satisfies ToCopy)
      return ended
    },
  }
  return new Promise((resolve, reject) => {
    let reason = new Error('the thread of the local copy ended')
    worker.on('error', (error: unknown) => {
      reason = error instanceof Error ? error : new Error(String(error))
    })
    worker.on('exit', () => {
      dead = reason
      gone()
      reject(reason)
      for (const waiter of waiting.splice(0)) waiter.reject(reason)
    })
    worker.on('message', (message: FromCopy) => {
      if (message.say === 'ready') return resolve(thread)
      const waiter = waiting.shift()
      if (message.say === 'done') waiter?.resolve(message.given)
      else waiter?.reject(new Error(message.message))
    })
  })
}
