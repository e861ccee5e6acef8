/**
 * The proxy workers, seen from the main thread: one thread each, all listening on the same ports, each with its own view of the
 * store. One that dies, or says nothing for a second when it should, is replaced.
 */
import { totalmem } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { siblingModule } from './config/module-url.ts'
import type { KeepAlive, Settings } from './config/settings.ts'
import type { Level, Log } from './observe/log.ts'
import type { Traffic } from './observe/traffic.ts'
import { failureBytes } from './plugins/basic-auth/failures.ts'
import type { Observed } from './plugins/jwt/observed.ts'
import type { KeyFetching } from './plugins/jwt/key-fetching.ts'
import type { Use } from './plugins/jwt/proof-memory.ts'
import type { SharedCount } from './plugins/rate-limiting/sharing.ts'
import type { Proofs } from './proof-uses.ts'
import type { Keyring } from './store/keyring.ts'
import type { Change, Changed } from './pdk/entities.ts'
import type { ServerCounters } from './admin/node.ts'
import type { ListeningSocket } from './sockets.ts'
import type { TlsSetup } from './proxy/tls/server.ts'
import { ranMs } from './thread-time.ts'

export interface ProxyListener {
  /** What names it among the settings' listeners. */
  readonly key: string
  readonly ip: string
  readonly port: number
  readonly ipv6Only: boolean
  readonly backlog: number
  readonly ssl: boolean
  /** Whether clients may speak HTTP/2, beside HTTP/1.1. */
  readonly http2: boolean
  readonly proxyProtocol: boolean
  readonly keepAlive: KeepAlive | undefined
  /** Sockets that another process has listened on so far, for workers to share. */
  readonly inherited: readonly number[]
}

/** What a worker is started with. */
export interface WorkerData {
  readonly settings: Settings
  readonly storeFile: string
  /** The keys that secrets in the store are sealed with. */
  readonly keyring: Keyring | undefined
  readonly listeners: readonly ProxyListener[]
  /** Where streams are proxied. */
  readonly streamListeners: readonly ProxyListener[]
  /** What clients are shown; undefined where no listener speaks TLS. */
  readonly tls: TlsSetup | undefined
  /** Whether it tells what every worker finds alike, such as what is odd about a configuration. */
  readonly isSpokesman: boolean
  /** What the nonces for proofs follow from, in all workers. */
  readonly nonceSecret: Uint8Array
  /** The worker's counters: see `counter`. */
  readonly counters: Float64Array<SharedArrayBuffer>
  /** Its one element becomes 1 when the logs have been flushed. */
  readonly flushed: Int32Array<SharedArrayBuffer>
  /** The health of targets: see `proxy/balancer/health/table.ts`. */
  readonly health: SharedArrayBuffer
  /** Where wrong passwords are counted: see `plugins/basic-auth/failures.ts`. */
  readonly failures: SharedArrayBuffer
  /** Where requests are counted: see `pdk/counts.ts`. */
  readonly counts: SharedArrayBuffer
}

/**
 * Where each count stands in a worker's counters; `beats` moves every `beatMs` while the worker is not stuck; `adopting` is 1 while it
 * builds a configuration; from `answered` on, the answers by their status' first digit, 0 for none.
 */
export const counter = { accepted: 0, active: 1, requests: 2, refused: 3, adopting: 4, beats: 5, answered: 6 } as const
export const beatMs = 100
const statusClasses = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const
const firstOfStreams = counter.answered + statusClasses.length
/** Where counts of streams stand; from `ended` on, those that are over, by their status. */
export const streamCounter = {
  active: firstOfStreams,
  received: firstOfStreams + 1,
  sent: firstOfStreams + 2,
  ended: firstOfStreams + 3,
} as const
const streamStatuses = [200, 400, 499, 500, 502, 503] as const
const counterSize = streamCounter.ended + streamStatuses.length

/** The place at which a stream's status is counted. */
export const placeOfStatus = (status: number): number =>
  streamCounter.ended + (streamStatuses as readonly number[]).indexOf(status)

/** What came of streams. */
export interface StreamCounters {
  readonly active: number
  readonly received: number
  readonly sent: number
  readonly ended: Readonly<Record<string, number>>
}

/** What a worker tells of itself when it is asked. */
export interface WorkerReport {
  /** The revision of the store that is in force. */
  readonly revision: number
  /** Bytes, as V8 counts them for this thread alone. */
  readonly heapUsed: number
  readonly heapTotal: number
  readonly external: number
  /** Verified tokens that are remembered, in bytes, and how often one was. */
  readonly tokenBytes: number
  readonly tokenHits: number
  readonly tokenMisses: number
  /** Consumers, credentials and the like that are held, and how often the store was read for one. */
  readonly entities: number
  readonly entityBytes: number
  readonly entityReads: number
  /** What clients that are waited for make it hold, in bytes, and how many were given up for others. */
  readonly heldBytes: number
  readonly clientsGivenUp: number
  readonly linesDropped: number
  /** What jwt plugins that observe would have refused. */
  readonly observed: readonly Observed[]
}

export type ToWorker =
  /** Adopts the newest revision and begins to serve. */
  | { readonly do: 'listen' }
  | { readonly do: 'adopt'; readonly number: number }
  /** What came of changes that the worker asked for. */
  | { readonly do: 'changed'; readonly number: number; readonly outcome: Changed }
  /** Takes no more connections, and says `drained` when those that are there have ended. */
  | { readonly do: 'retire' }
  | { readonly do: 'drain' }
  /** An issuer's keys, which this worker follows. */
  | { readonly do: 'adopt-keys'; readonly address: string; readonly keys: string }
  | { readonly do: 'end-asking'; readonly number: number }
  /** Whether a proof was the first of its name. */
  | { readonly do: 'proof-used'; readonly number: number; readonly use: Use }
  /** The health of targets is in another place from now on. */
  | { readonly do: 'move-health'; readonly health: SharedArrayBuffer }
  /** Ends what a drain has not finished in time. */
  | { readonly do: 'cut' }
  | { readonly do: 'reopen-logs' }
  | { readonly do: 'log-level'; readonly level: Level }
  /** Puts what the logs hold on the disk, at once, and says so in the counter `flushed`. */
  | { readonly do: 'flush-logs' }
  | { readonly do: 'report'; readonly number: number }
  | { readonly do: 'tell-traffic'; readonly number: number }
  | { readonly do: 'tls'; readonly setup: TlsSetup }

export type FromWorker =
  /** It has read the store, and hears what it is told from now on. */
  | { readonly say: 'built'; readonly thread: number | undefined }
  /** It listens, on these. */
  | { readonly say: 'ready'; readonly sockets: readonly ListeningSocket[] }
  | { readonly say: 'cannot start'; readonly message: string }
  /** The revision is in force, or could not be put in force, for which `problem` says why. */
  | { readonly say: 'adopted'; readonly number: number; readonly problem?: string }
  /** A log cannot be written. */
  | { readonly say: 'trouble'; readonly message: string }
  | { readonly say: 'report'; readonly number: number; readonly report: WorkerReport }
  | { readonly say: 'traffic'; readonly number: number; readonly traffic: Traffic }
  /** A plugin wants to change entities. */
  | { readonly say: 'change'; readonly number: number; readonly changes: readonly Change[] }
  | { readonly say: 'retired' }
  | { readonly say: 'drained' }
  | { readonly say: 'share count'; readonly count: SharedCount }
  /** Uses a proof up; answered by `proof-used`. */
  | { readonly say: 'use proof'; readonly key: string; readonly until: number; readonly number: number }
  | { readonly say: 'follow keys'; readonly address: string }
  /** Wants an issuer's keys anew; answered by `end-asking`. */
  | { readonly say: 'ask for keys'; readonly address: string; readonly number: number }

export interface WorkersOptions {
  readonly settings: Settings
  readonly storeFile: string
  /** The keys that secrets in the store are sealed with. */
  readonly keyring: Keyring | undefined
  readonly listeners: readonly ProxyListener[]
  readonly streamListeners: readonly ProxyListener[]
  readonly tls: TlsSetup | undefined
  readonly log: Log
  /** Told of logs that a worker cannot write. */
  readonly trouble: (message: string) => void
  /** The keys of issuers, for all workers. */
  readonly keys: KeyFetching
  readonly proofs: Proofs
  /** The memory in which the health of targets is now. */
  readonly health: () => SharedArrayBuffer
  /** The memory in which requests are counted. */
  readonly counts: SharedArrayBuffer
  /** Told of counts that other nodes are to hear of. */
  readonly shareCount: (count: SharedCount) => void
  /** Makes the changes that plugins ask for. */
  readonly change: (changes: readonly Change[]) => Promise<Changed>
}

export interface Workers {
  /** Starts them all; rejects where one cannot listen. */
  start(): Promise<void>
  /** Resolves when every worker serves by the store's newest revision; one that does not answer is replaced, not waited for. */
  adopt(revision: number): Promise<void>
  reopenLogs(): void
  /** Has the workers' logs written to the disk before it returns, as far as that takes no longer than `flushMs`: for a crash. */
  flushLogs(): void
  setLogLevel(level: Level): void
  /** Changes what new TLS clients are shown, and how they resume. */
  setTls(setup: TlsSetup): void
  /** Tells the workers that the health of targets is in another place. */
  moveHealth(health: SharedArrayBuffer): void
  counters(): ServerCounters
  /** How many requests were answered, by the class of the status, such as `2xx`; `none` where the client left before. */
  answered(): Readonly<Record<string, number>>
  streams(): StreamCounters
  /** What each worker tells of itself; undefined for one that is silent. */
  reports(): Promise<(WorkerReport | undefined)[]>
  /** What each worker has counted of its requests; those that are silent are left out. */
  traffic(): Promise<Traffic[]>
  /** How many workers serve, and how many should. */
  readiness(): { readonly ready: number; readonly wanted: number; readonly isDraining: boolean }
  ids(): number[]
  /** What the workers listen on. */
  sockets(): ListeningSocket[]
  /** Has the workers take no more connections, which others do by now on the same sockets. None is replaced from then on. */
  retire(): Retiring
  /** Drains all workers, for at most `drain_timeout`. */
  stop(): Promise<void>
}

export interface Retiring {
  /** Resolves when no more connections are taken, or soon, where a worker is too busy to say so. */
  readonly closed: Promise<void>
  /** Resolves when all connections have ended. */
  readonly gone: Promise<void>
}

const silenceMs = 1000
/** For how many such times a worker may be silent where it did not get to run. */
const mostSilences = 10
/** How long a worker may take over one configuration, in ms; while it builds one, it says nothing. */
const buildMs = 60_000
/** Before a worker is started again that died young: what killed it may be there still. */
const restartPauseMs = 500
const youngMs = 5000
/**
 * A worker that has not moved while it was looked at so many times hangs: at once where it has run meanwhile, and only after long
 * where it has not, as the whole machine may be slow.
 */
const lookMs = 250
const looksUntilHung = 8
const patientLooks = 60
/** How long a thread has to have run in that time. */
const hungMs = 750
const flushMs = 200
const silent = Symbol('silent')

/**
 * Has V8 begin every object in the young generation. It learns that what was alive in a few collections lives long, and makes all of
 * its kind in the old one from then on; but what a request is made of is alive in a collection by chance, when the request is.
 */
const letObjectsDieYoung = (): void => setFlagsFromString('--no-allocation-site-pretenuring')

/**
 * V8's young generation of a worker, in MiB: two halves of a third of it each, of which it takes as much as is alive in one. What a
 * request is made of needs a tenth; the rest, and 48 MiB by default, is filled by what attackers hold before the collector looks.
 * docs/decisions/0043
 */
const maxYoungGenerationSizeMb = 24
const leastHeap = 256 * 2 ** 20

/**
 * Beyond `maxOldGenerationSizeMb` Node ends the worker alone. One that fills what V8 grants by default, a quarter of the memory, has
 * the system end the whole process where there are several. docs/decisions/0046
 */
function limitsOf({ worker_heap_size }: Settings, count: number) {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity)
  const heap = Math.min(worker_heap_size, Math.max(leastHeap, memory / 2 / count))
  return { maxYoungGenerationSizeMb, maxOldGenerationSizeMb: Math.floor(heap / 2 ** 20) }
}

/** Makes the places of the workers; `start` starts them. */
export function createWorkers(options: WorkersOptions): Workers {
  letObjectsDieYoung()
  const { settings, log } = options
  // Only Linux spreads connections over listeners of one port.
  const count = process.platform === 'linux' ? settings.nginx_worker_processes : 1
  let told: string | undefined
  // Every worker finds the same, and finds it again with each later revision.
  const tellProblem = (problem: string | undefined): void => {
    if (problem !== undefined && problem !== told) log.error(`the configuration could not be put in force: ${problem}`)
    told = problem
  }
  const failures = new SharedArrayBuffer(failureBytes)
  const slots: Slot[] = Array.from({ length: count }, (_, index) => {
    return new Slot(options, { index, count, tellProblem, failures })
  })
  let isDraining = false
  const sendAll = (message: ToWorker): void => slots.forEach((slot) => slot.send(message))
  options.keys.onChange((address, keys) => sendAll({ do: 'adopt-keys', address, keys }))
  return {
    start: async () => void (await Promise.all(slots.map((slot) => slot.start()))),
    adopt: async () => void (await Promise.all(slots.map((slot) => slot.adopt()))),
    reopenLogs: () => sendAll({ do: 'reopen-logs' }),
    flushLogs: () => {
      for (const { flushed } of slots) flushed[0] = 0
      sendAll({ do: 'flush-logs' })
      const end = performance.now() + flushMs
      for (const { id, flushed } of slots) {
        if (id !== undefined) Atomics.wait(flushed, 0, 0, Math.max(0, end - performance.now()))
      }
    },
    setLogLevel: (level) => {
      for (const slot of slots) slot.logLevel = level
      sendAll({ do: 'log-level', level })
    },
    setTls: (setup) => {
      for (const slot of slots) slot.tls = setup
      sendAll({ do: 'tls', setup })
    },
    moveHealth: (health) => sendAll({ do: 'move-health', health }),
    counters: () => sum(slots),
    answered: () => answeredBy(slots),
    streams: () => streamsOf(slots),
    reports: () => Promise.all(slots.map((slot) => slot.report())),
    traffic: async () => (await Promise.all(slots.map((slot) => slot.traffic()))).filter((told) => told !== undefined),
    readiness: () => ({ ready: slots.filter(({ isReady }) => isReady).length, wanted: count, isDraining }),
    ids: () => slots.flatMap((slot) => slot.id ?? []),
    sockets: () => slots.flatMap(({ sockets }) => sockets),
    retire: () => {
      const retiring = slots.map((slot) => slot.retire())
      return {
        closed: Promise.all(retiring.map(({ closed }) => closed)).then(() => {}),
        gone: Promise.all(retiring.map(({ gone }) => gone)).then(() => {}),
      }
    },
    stop: async () => {
      isDraining = true
      const cut = setTimeout(() => {
        for (const slot of slots) slot.send({ do: 'cut' })
      }, settings.drain_timeout)
      const end = setTimeout(() => {
        log.warn('a proxy worker did not stop in time')
        for (const slot of slots) slot.terminate()
      }, settings.drain_timeout + silenceMs)
      await Promise.all(slots.map((slot) => slot.stop()))
      clearTimeout(cut)
      clearTimeout(end)
    },
  }
}

const totalOf = (slots: readonly Slot[], index: number): number =>
  slots.reduce((count, slot) => count + (slot.counters[index] ?? 0), 0)

const answeredBy = (slots: readonly Slot[]): Record<string, number> =>
  Object.fromEntries(statusClasses.map((name, index) => [name, totalOf(slots, counter.answered + index)]))

const streamsOf = (slots: readonly Slot[]): StreamCounters => ({
  active: totalOf(slots, streamCounter.active),
  received: totalOf(slots, streamCounter.received),
  sent: totalOf(slots, streamCounter.sent),
  ended: Object.fromEntries(streamStatuses.map((status) => [status, totalOf(slots, placeOfStatus(status))])),
})

function sum(slots: readonly Slot[]): ServerCounters {
  const total = (index: number) => totalOf(slots, index)
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

interface SlotPlace {
  readonly index: number
  /** How many there are. */
  readonly count: number
  /** Told with each adoption what stood in its way, if anything did. */
  readonly tellProblem: (problem: string | undefined) => void
  readonly failures: SharedArrayBuffer
}

/** A worker's place, which outlives the worker. */
class Slot {
  readonly counters = new Float64Array(new SharedArrayBuffer(counterSize * Float64Array.BYTES_PER_ELEMENT))
  readonly flushed = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  /** Whether a configuration is in force and the worker listens. */
  isReady = false
  /** Those of workers that are yet to start. */
  logLevel: Level
  tls: TlsSetup | undefined
  /** What the worker listens on; nothing while there is none. */
  sockets: readonly ListeningSocket[] = []
  readonly #options: WorkersOptions
  readonly #place: SlotPlace
  #isFirst = true
  #worker: Worker | undefined
  /** The kernel's number of the worker. */
  #thread: number | undefined
  #stopping = false
  /** Whether the worker has been told to listen. Until then it serves nobody, and what is committed it reads before it does. */
  #isTold = false
  #questions = 0
  /** Who waits for the answer to each question; told undefined where there will be none. */
  #waiting = new Map<number, (answer: unknown) => void>()
  readonly #retired = Promise.withResolvers<void>()
  readonly #drained = Promise.withResolvers<void>()

  constructor(options: WorkersOptions, place: SlotPlace) {
    this.#options = options
    this.#place = place
    this.logLevel = options.settings.log_level
    this.tls = options.tls
  }

  get id(): number | undefined {
    return this.#worker?.threadId
  }

  /** A listener with the sockets of it that are for the first worker here: they end with it, and those that follow open their own. */
  #share(listener: ProxyListener): ProxyListener {
    const { index, count } = this.#place
    return { ...listener, inherited: listener.inherited.filter((_, at) => this.#isFirst && at % count === index) }
  }

  start(): Promise<void> {
    const { settings, storeFile, keyring, listeners, streamListeners, health, proofs } = this.#options
    const data: WorkerData = {
      settings: { ...settings, log_level: this.logLevel },
      storeFile,
      keyring,
      listeners: listeners.map((listener) => this.#share(listener)),
      streamListeners: streamListeners.map((listener) => this.#share(listener)),
      tls: this.tls,
      isSpokesman: this.#place.index === 0,
      nonceSecret: proofs.nonceSecret,
      counters: this.counters,
      flushed: this.flushed,
      health: health(),
      failures: this.#place.failures,
      counts: this.#options.counts,
    }
    this.#isFirst = false
    const startedAt = performance.now()
    const worker = new Worker(siblingModule(import.meta.url, './worker'), {
      workerData: data,
      resourceLimits: limitsOf(settings, this.#place.count),
    })
    this.#worker = worker
    this.#isTold = false
    this.counters[counter.active] = 0
    this.counters[streamCounter.active] = 0
    this.counters[counter.adopting] = 0
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.say === 'ready') {
          this.isReady = true
          this.sockets = message.sockets
          this.#watch(worker)
          resolve()
        } else if (message.say === 'cannot start') {
          this.#stopping = true
          reject(new Error(message.message))
        } else this.#hear(message)
      })
      worker.on('error', (error: unknown) => {
        this.#options.log.crit(`a proxy worker failed: ${error instanceof Error ? error.stack : String(error)}`)
        reject(error)
      })
      worker.on('exit', () => this.#exited(worker, performance.now() - startedAt, reject))
    })
  }

  /** Whether the worker has got to run for long since it had run for `before` ms. */
  readonly #hasRunSince = (before: number): boolean => ranMs(this.#thread) - before >= hungMs

  /** Ends a worker that hangs, as in an endless loop: its connections are lost either way. */
  #watch(worker: Worker): void {
    let beats = -1
    let looks = 0
    let before = ranMs(this.#thread)
    const timer = setInterval(() => {
      const now = this.counters[counter.beats] ?? 0
      looks = now === beats ? looks + 1 : 0
      if (now !== beats) before = ranMs(this.#thread)
      beats = now
      const isBuilding = this.counters[counter.adopting] === 1
      const patience = looks >= looksUntilHung && this.#hasRunSince(before) ? looksUntilHung : patientLooks
      if (looks < (isBuilding ? buildMs / lookMs : patience)) return
      this.#options.log.crit('a proxy worker hangs and is replaced')
      clearInterval(timer)
      void worker.terminate()
    }, lookMs)
    worker.on('exit', () => clearInterval(timer))
  }

  #hear(message: FromWorker): void {
    if (message.say === 'built') {
      this.#thread = message.thread
      if (this.#stopping) return this.terminate()
      this.#isTold = true
      this.send({ do: 'listen' })
    }
    if (message.say === 'retired') this.#retired.resolve()
    if (message.say === 'drained') this.#drained.resolve()
    if (message.say === 'trouble') this.#options.trouble(message.message)
    if (message.say === 'report') this.#waiting.get(message.number)?.(message.report)
    if (message.say === 'traffic') this.#waiting.get(message.number)?.(message.traffic)
    if (message.say === 'follow keys') this.#follow(message.address)
    if (message.say === 'ask for keys') void this.#askForKeys(message.address, message.number)
    if (message.say === 'use proof') void this.#useProof(message)
    if (message.say === 'share count') this.#options.shareCount(message.count)
    if (message.say === 'change') void this.#change(message.number, message.changes)
    if (message.say !== 'adopted') return
    this.#place.tellProblem(message.problem)
    this.#waiting.get(message.number)?.(undefined)
  }

  async #useProof({ key, until, number }: Extract<FromWorker, { say: 'use proof' }>): Promise<void> {
    const use = await this.#options.proofs.use(key, until)
    this.send({ do: 'proof-used', number, use })
  }

  #follow(address: string): void {
    const keys = this.#options.keys.follow(address)
    if (keys !== undefined) this.send({ do: 'adopt-keys', address, keys })
  }

  async #askForKeys(address: string, number: number): Promise<void> {
    await this.#options.keys.ask(address)
    this.send({ do: 'end-asking', number })
  }

  async #change(number: number, changes: readonly Change[]): Promise<void> {
    const outcome = await this.#options.change(changes).catch((error: Error): Changed => {
      this.#options.log.error(`a plugin's changes failed: ${error.stack}`)
      return { ok: false, reason: 'refused', message: 'the changes failed' }
    })
    this.send({ do: 'changed', number, outcome })
  }

  #exited(worker: Worker, livedMs: number, reject: (error: Error) => void): void {
    reject(new Error('a proxy worker ended while it started'))
    if (this.#worker !== worker) return
    this.#worker = undefined
    this.isReady = false
    this.sockets = []
    for (const done of this.#waiting.values()) done(undefined)
    if (this.#stopping) return this.#gone()
    this.#options.log.crit('a proxy worker died and is replaced')
    const again = () => {
      if (this.#stopping) return
      const { log } = this.#options
      const from = performance.now()
      this.start().then(
        () => log.notice(`a new proxy worker serves, after ${Math.round(performance.now() - from)} ms`),
        (error: Error) => log.crit(`a proxy worker could not be replaced: ${error.message}`),
      )
    }
    if (livedMs > youngMs) again()
    else setTimeout(again, restartPauseMs)
  }

  send(message: ToWorker): void {
    this.#worker?.postMessage(message)
  }

  /** Resolves when the worker serves by the newest revision, or serves nobody yet. */
  async adopt(): Promise<void> {
    const worker = this.#worker
    if (!worker || !this.#isTold) return
    const answered = await this.#ask((number) => ({ do: 'adopt', number }))
    if (answered !== silent || this.#worker !== worker) return
    this.#options.log.crit('a proxy worker was silent for too long and is replaced')
    this.terminate()
  }

  report(): Promise<WorkerReport | undefined> {
    return this.#askIfReady<WorkerReport>('report')
  }

  traffic(): Promise<Traffic | undefined> {
    return this.#askIfReady<Traffic>('tell-traffic')
  }

  async #askIfReady<T>(what: 'report' | 'tell-traffic'): Promise<T | undefined> {
    if (!this.isReady) return undefined
    const answer = await this.#ask<T>((number) => ({ do: what, number }))
    return answer === silent ? undefined : answer
  }

  /** Sends a question, and gives the answer, or `silent` where there is none for a second, in which it builds nothing either. */
  async #ask<T>(question: (number: number) => ToWorker): Promise<T | undefined | typeof silent> {
    const number = ++this.#questions
    const { promise, resolve } = Promise.withResolvers<T | undefined | typeof silent>()
    this.#waiting.set(number, (answer) => resolve(answer as T | undefined))
    const before = ranMs(this.#thread)
    let silences = 0
    const look = () => {
      silences++
      if (this.counters[counter.adopting] === 1) timer = setTimeout(() => resolve(silent), buildMs)
      else if (this.#hasRunSince(before) || silences >= mostSilences) resolve(silent)
      else timer = setTimeout(look, silenceMs)
    }
    let timer = setTimeout(look, silenceMs)
    this.send(question(number))
    const answer = await promise
    clearTimeout(timer)
    this.#waiting.delete(number)
    return answer
  }

  #gone(): void {
    this.#retired.resolve()
    this.#drained.resolve()
  }

  retire(): Retiring {
    this.#stopping = true
    if (!this.#worker) this.#gone()
    // One that does not serve yet has nobody to serve any more.
    else if (!this.isReady) this.terminate()
    this.send({ do: 'retire' })
    const closed = Promise.race([this.#retired.promise, wait(silenceMs, undefined, { ref: false })])
    return { closed, gone: this.#drained.promise }
  }

  async stop(): Promise<void> {
    this.#stopping = true
    if (!this.#worker) return
    this.send({ do: 'drain' })
    await this.#drained.promise
    await this.#worker?.terminate()
  }

  terminate(): void {
    void this.#worker?.terminate()
  }
}
