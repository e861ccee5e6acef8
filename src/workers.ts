/**
 * The proxy workers, seen from the main thread: one thread each, all listening on the same ports, each with its own view of the
 * store. One that dies, or says nothing for a second when it should, is replaced.
 */
import { Worker } from 'node:worker_threads'
import { siblingModule } from './config/module-url.ts'
import type { Settings } from './config/settings.ts'
import type { Log } from './observe/log.ts'
import type { Keyring } from './store/keyring.ts'
import type { ServerCounters } from './admin/node.ts'

export interface ProxyListener {
  readonly ip: string
  readonly port: number
  readonly backlog: number
  readonly tls: { readonly cert: string; readonly key: string } | undefined
}

/** What a worker is started with. */
export interface WorkerData {
  readonly settings: Settings
  readonly storeFile: string
  /** The keys that secrets in the store are sealed with. */
  readonly keyring: Keyring | undefined
  readonly listeners: readonly ProxyListener[]
  /** The worker's counters: see `counter`. */
  readonly counters: Int32Array<SharedArrayBuffer>
}

/** Where each count stands in a worker's counters. */
export const counter = { accepted: 0, active: 1, requests: 2, refused: 3 } as const
const counterSize = Object.keys(counter).length

export type ToWorker =
  | { readonly do: 'adopt'; readonly number: number }
  | { readonly do: 'drain' }
  | { readonly do: 'reopen-logs' }

export type FromWorker =
  | { readonly say: 'ready' }
  | { readonly say: 'cannot start'; readonly message: string }
  /** The revision is in force, or could not be put in force, for which `problem` says why. */
  | { readonly say: 'adopted'; readonly number: number; readonly problem?: string }
  | { readonly say: 'drained' }

export interface WorkersOptions {
  readonly settings: Settings
  readonly storeFile: string
  /** The keys that secrets in the store are sealed with. */
  readonly keyring: Keyring | undefined
  readonly listeners: readonly ProxyListener[]
  readonly log: Log
}

export interface Workers {
  /** Resolves when every worker serves by the store's newest revision; one that does not answer is replaced, not waited for. */
  adopt(revision: number): Promise<void>
  reopenLogs(): void
  counters(): ServerCounters
  ids(): number[]
  /** Drains all workers, for at most `drain_timeout`. */
  stop(): Promise<void>
}

const silenceMs = 1000
const restartPauseMs = 200

/** Starts the workers; rejects where one cannot listen. */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { settings, log } = options
  // Only Linux spreads connections over listeners of one port.
  const count = process.platform === 'linux' ? settings.nginx_worker_processes : 1
  const slots: Slot[] = Array.from({ length: count }, () => new Slot(options))
  await Promise.all(slots.map((slot) => slot.start()))
  return {
    adopt: async () => void (await Promise.all(slots.map((slot) => slot.adopt()))),
    reopenLogs: () => {
      for (const slot of slots) slot.send({ do: 'reopen-logs' })
    },
    counters: () => sum(slots),
    ids: () => slots.flatMap((slot) => slot.id ?? []),
    stop: async () => {
      const timer = setTimeout(() => {
        log.warn('requests in flight were cut off: drain_timeout is over')
        for (const slot of slots) slot.terminate()
      }, settings.drain_timeout)
      await Promise.all(slots.map((slot) => slot.stop()))
      clearTimeout(timer)
    },
  }
}

function sum(slots: readonly Slot[]): ServerCounters {
  const total = (index: number) => slots.reduce((count, slot) => count + (slot.counters[index] ?? 0), 0)
  const active = total(counter.active)
  const accepted = total(counter.accepted)
  return {
    connections_accepted: accepted + total(counter.refused),
    connections_handled: accepted,
    connections_active: active,
    connections_reading: 0,
    connections_writing: active,
    connections_waiting: 0,
    total_requests: total(counter.requests),
  }
}

/** A worker's place, which outlives the worker. */
class Slot {
  readonly counters = new Int32Array(new SharedArrayBuffer(counterSize * Int32Array.BYTES_PER_ELEMENT))
  readonly #options: WorkersOptions
  #worker: Worker | undefined
  #stopping = false
  #adoptions = 0
  #waiting = new Map<number, () => void>()
  #drained: (() => void) | undefined

  constructor(options: WorkersOptions) {
    this.#options = options
  }

  get id(): number | undefined {
    return this.#worker?.threadId
  }

  start(): Promise<void> {
    const { settings, storeFile, keyring, listeners } = this.#options
    const data: WorkerData = { settings, storeFile, keyring, listeners, counters: this.counters }
    const worker = new Worker(siblingModule(import.meta.url, './worker'), { workerData: data })
    this.#worker = worker
    this.counters[counter.active] = 0
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.say === 'ready') resolve()
        else if (message.say === 'cannot start') {
          this.#stopping = true
          reject(new Error(message.message))
        } else this.#hear(message)
      })
      worker.on('error', (error: unknown) => {
        this.#options.log.crit(`a proxy worker failed: ${error instanceof Error ? error.stack : String(error)}`)
        reject(error)
      })
      worker.on('exit', () => this.#exited(worker, reject))
    })
  }

  #hear(message: FromWorker): void {
    if (message.say === 'drained') this.#drained?.()
    if (message.say !== 'adopted') return
    if (message.problem !== undefined)
      this.#options.log.error(`the configuration could not be put in force: ${message.problem}`)
    this.#waiting.get(message.number)?.()
  }

  #exited(worker: Worker, reject: (error: Error) => void): void {
    reject(new Error('a proxy worker ended while it started'))
    if (this.#worker !== worker) return
    this.#worker = undefined
    for (const done of this.#waiting.values()) done()
    this.#drained?.()
    if (this.#stopping) return
    this.#options.log.crit('a proxy worker died and is replaced')
    setTimeout(() => {
      if (!this.#stopping)
        this.start().catch((error: Error) =>
          this.#options.log.crit(`a proxy worker could not be replaced: ${error.message}`),
        )
    }, restartPauseMs)
  }

  send(message: ToWorker): void {
    this.#worker?.postMessage(message)
  }

  /** Resolves when the worker serves by the newest revision. A worker that is only starting reads it by itself. */
  async adopt(): Promise<void> {
    const worker = this.#worker
    if (!worker) return
    const number = ++this.#adoptions
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#waiting.set(number, () => resolve(true))
    const timer = setTimeout(() => resolve(false), silenceMs)
    this.send({ do: 'adopt', number })
    const answered = await promise
    clearTimeout(timer)
    this.#waiting.delete(number)
    if (answered || this.#worker !== worker) return
    this.#options.log.crit('a proxy worker was silent for a second and is replaced')
    this.terminate()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    if (!this.#worker) return
    await new Promise<void>((resolve) => {
      this.#drained = resolve
      this.send({ do: 'drain' })
    })
    await this.#worker?.terminate()
  }

  terminate(): void {
    void this.#worker?.terminate()
  }
}
