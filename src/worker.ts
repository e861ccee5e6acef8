/** A proxy worker's thread: its own reader of the store, its own snapshot, its own listeners. Wires the proxy, as `main.ts` the rest. */
import { getHeapStatistics } from 'node:v8'
import { parentPort, workerData } from 'node:worker_threads'
import { enabledPlugins, storeKinds } from './config/kinds.ts'
import { secretsOf } from './config/secrets.ts'
import type { Settings } from './config/settings.ts'
import { renewSnapshot, takeSnapshot, type Snapshot } from './config/snapshot.ts'
import type { Change, Changed, Entities } from './pdk/entities.ts'
import { configureCounts } from './pdk/counts.ts'
import { configureTrust } from './pdk/trust.ts'
import { flushAtCrash } from './observe/crash.ts'
import { accessLineMaker, createLog, droppedLineMaker, openLogFile, type LogFile } from './observe/log.ts'
import { streamLineMaker } from './observe/stream-log.ts'
import { configureFailures } from './plugins/basic-auth/failures.ts'
import { adoptKeys, configureKeySource } from './plugins/jwt/key-sets.ts'
import { observedCounts } from './plugins/jwt/observed.ts'
import { configureProofs, type Use } from './plugins/jwt/proof-memory.ts'
import { configureTokenMemory, tokenMemory } from './plugins/jwt/tokens.ts'
import { configureSharing } from './plugins/rate-limiting/sharing.ts'
import { HealthTable } from './proxy/balancer/health/table.ts'
import { createRuntime, trustedCertificates } from './proxy/create-runtime.ts'
import { createResolver } from './proxy/dns/resolver.ts'
import { resolverOptions } from './proxy/dns/resolver-options.ts'
import { filterChains, filterChainStandIn } from './proxy/filter-chains.ts'
import { listen, type Listener } from './proxy/listener.ts'
import { listenForStreams, type StreamListener } from './proxy/stream/listener.ts'
import type { StreamStats, StreamTools } from './proxy/stream/session.ts'
import { secureConnector } from './proxy/upstream-tls.ts'
import { compile, type Compiled, type PlanTools } from './proxy/plan.ts'
import type { Runtime, Stats } from './proxy/runtime.ts'
import { tlsPolicy } from './proxy/tls/policy.ts'
import { trafficOf } from './proxy/traffic.ts'
import { indexesOf } from './store/kinds.ts'
import { localEntities, type LocalEntities } from './store/local.ts'
import { openSealed } from './store/sealed.ts'
import { openReader } from './store/sqlite/reader.ts'
import type { Reader } from './store/store.ts'
import { fdOf, type ListeningSocket } from './sockets.ts'
import { ownThread } from './thread-time.ts'
import { version } from './version.ts'
import {
  beatMs,
  counter,
  type FromWorker,
  placeOfStatus,
  type ProxyListener,
  streamCounter,
  type ToWorker,
  type WorkerData,
  type WorkerReport,
} from './workers.ts'

const { settings, storeFile, keyring, listeners, streamListeners, tls, isSpokesman, counters, flushed, ...given } =
  workerData as WorkerData
const say = (message: FromWorker) => parentPort?.postMessage(message)

const indexes = indexesOf(storeKinds)
const reader = openSealed(openReader(storeFile, indexes), { keyring, kinds: storeKinds })
const entities = localEntities(reader, {
  kinds: indexes,
  bytes: settings.mem_cache_size / settings.nginx_worker_processes,
})
configureTrust(trustedCertificates(settings))
configureFailures(given.failures)
configureCounts(given.counts)
configureSharing((count) => say({ say: 'share count', count }))
configureTokenMemory({ bytes: settings.token_cache_bytes })
/** Who waits for an issuer's keys, by the number of the question. */
const asking = new Map<number, () => void>()
let questions = 0
configureKeySource({
  follow(address) {
    say({ say: 'follow keys', address })
    return undefined
  },
  ask: (address) =>
    new Promise((resolve) => {
      const number = ++questions
      asking.set(number, resolve)
      say({ say: 'ask for keys', address, number })
    }),
})

/** Who waits to hear whether a proof was the first of its name, by the number of the question. */
const proving = new Map<number, (use: Use) => void>()
configureProofs({
  secret: given.nonceSecret,
  uses: {
    use: (key, until) =>
      new Promise((resolve) => {
        const number = ++questions
        proving.set(number, resolve)
        say({ say: 'use proof', key, until, number })
      }),
  },
})

const errorFile = openLog(settings.proxy_error_log)
const accessFile = settings.proxy_access_log === 'off' ? undefined : openLog(settings.proxy_access_log)
const streamFiles = streamListeners.length > 0 ? openStreamLogs() : undefined
const logFiles = [...new Set([errorFile, accessFile, streamFiles?.error, streamFiles?.access])].filter(
  (file) => file !== undefined,
)
const log = createLog(errorFile, { level: settings.log_level, format: settings.log_format })
// Of the error itself the main thread is told, which logs it.
flushAtCrash(logFiles)
const health = { table: new HealthTable(given.health) }
const tools = planTools(settings)
watchHealth()
let snapshot: Snapshot = takeSnapshot(reader)
/** The revision that the configuration in force is of. */
let inForce = reader.revision
/** Changes that plugins asked for, by the number of the question. */
const asked = new Map<number, (outcome: Changed) => void>()
let lastNumber = 0
const runtime = runtimeOf(settings, compile(tools, snapshot), { ...entities, write: change })
let problemsTold: ReadonlySet<string> = new Set()
tellProblems(runtime.config)

const open: Listener[] = []
const streams = streamFiles && createStreamTools(streamFiles)
const openForStreams: StreamListener[] = []
let hasLeft = false
parentPort?.on('message', obey)
say({ say: 'built', thread: ownThread() })

// While it moves, the main thread sees that this one does not hang.
setInterval(() => (counters[counter.beats] = (counters[counter.beats] ?? 0) + 1), beatMs)

/** Where a listener listens: on each socket that was handed down, or on one of its own. */
function placesOf({ ip, port, ipv6Only, backlog, http2, proxyProtocol, keepAlive, inherited }: ProxyListener) {
  const place = {
    ip,
    port,
    ipv6Only,
    backlog,
    http2,
    proxyProtocol,
    keepAlive,
    reusePort: process.platform === 'linux',
  }
  return inherited.length === 0 ? [place] : inherited.map((fd) => ({ ...place, fd }))
}

async function start(): Promise<void> {
  // What was committed while this worker read the store has to be in force before it serves anybody.
  adopt(reader, entities)
  const secure = tls && { setup: tls, policy: tlsPolicy(settings), withSecrets: tools.withSecrets }
  const sockets: ListeningSocket[] = []
  for (const listener of listeners) {
    for (const place of placesOf(listener)) {
      const opened = await listen(runtime, { ...place, tls: listener.ssl ? secure : undefined })
      open.push(opened)
      sockets.push({ key: listener.key, port: opened.port, fd: fdOf(opened.server) })
    }
  }
  for (const listener of streams ? streamListeners : []) {
    for (const place of placesOf(listener)) {
      const opened = await listenForStreams(streams!, { ...place, tls: listener.ssl ? secure : undefined })
      openForStreams.push(opened)
      sockets.push({ key: listener.key, port: opened.port, fd: fdOf(opened.server) })
    }
  }
  say({ say: 'ready', sockets })
}

function obey(message: ToWorker): void {
  switch (message.do) {
    case 'listen':
      start().catch((error: Error) => say({ say: 'cannot start', message: error.message }))
      return
    case 'adopt':
      counters[counter.adopting] = 1
      say({ say: 'adopted', number: message.number, ...problemOf(() => adopt(reader, entities)) })
      counters[counter.adopting] = 0
      return
    case 'changed':
      asked.get(message.number)?.(message.outcome)
      asked.delete(message.number)
      return
    case 'retire':
      void leave((listener) => listener.retire())
      say({ say: 'retired' })
      return
    case 'drain':
      void leave((listener) => listener.drain())
      return
    case 'adopt-keys':
      adoptKeys(message.address, message.keys)
      return
    case 'end-asking':
      asking.get(message.number)?.()
      asking.delete(message.number)
      return
    case 'proof-used':
      proving.get(message.number)?.(message.use)
      proving.delete(message.number)
      return
    case 'move-health':
      health.table = new HealthTable(message.health)
      return
    case 'cut':
      cut()
      return
    case 'reopen-logs':
      for (const file of logFiles) file.reopen()
      return
    case 'log-level':
      log.setLevel(message.level)
      streams?.log.setLevel(message.level)
      return
    case 'flush-logs':
      for (const file of logFiles) file.flushNow()
      Atomics.store(flushed, 0, 1)
      Atomics.notify(flushed, 0)
      return
    case 'tls':
      for (const listener of [...open, ...openForStreams]) listener.setTls(message.setup)
      return
    case 'report':
      say({ say: 'report', number: message.number, report: report() })
      return
    case 'tell-traffic':
      say({ say: 'traffic', number: message.number, traffic: trafficOf(runtime) })
      return
  }
}

function report(): WorkerReport {
  const { used_heap_size: heapUsed, total_heap_size: heapTotal, external_memory: external } = getHeapStatistics()
  const tokens = tokenMemory.use()
  const held = entities.stats()
  return {
    revision: inForce,
    heapUsed,
    heapTotal,
    external,
    tokenBytes: tokens.bytes,
    tokenHits: tokens.hits,
    tokenMisses: tokens.misses,
    entities: held.entities,
    entityBytes: held.bytes,
    entityReads: held.reads,
    heldBytes: runtime.held.bytes,
    clientsGivenUp: runtime.held.givenUp,
    linesDropped: logFiles.reduce((sum, file) => sum + file.dropped, 0),
    observed: observedCounts(),
  }
}

/** Changes that a worker waits for at once; a store that is slower than that is not asked for more. */
const mostAsked = 1000

/** Has the store's owner make a plugin's changes. */
function change(changes: readonly Change[]): Promise<Changed> {
  if (asked.size >= mostAsked)
    return Promise.resolve({ ok: false, reason: 'unavailable', message: 'too many changes are being made' })
  const number = ++lastNumber
  say({ say: 'change', number, changes })
  return new Promise((resolve) => asked.set(number, resolve))
}

function problemOf(run: () => void): { problem?: string } {
  try {
    run()
    return {}
  } catch (error) {
    return { problem: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

/**
 * Puts the store's newest revision in force, in one assignment. What fails changes nothing, and is tried again with the next
 * revision: `inForce` stays behind, so that no change is passed over.
 */
function adopt(reader: Reader, entities: LocalEntities): void {
  const before = reader.revision
  reader.renew()
  entities.adopt(reader.changesSince(before) ?? 'all')
  const changes = reader.changesSince(inForce)
  const next = changes === undefined ? takeSnapshot(reader) : renewSnapshot(snapshot, reader, changes)
  if (next !== snapshot) {
    runtime.config = compile(tools, next, runtime.config)
    tellProblems(runtime.config)
  }
  snapshot = next
  inForce = reader.revision
}

/** Tells of routes that match nothing, those alone that were not told of before. */
function tellProblems({ router, streams: { problems: ofStreams } }: Compiled): void {
  if (!isSpokesman) return
  const problems = new Set(
    [...router.problems, ...ofStreams].map(
      ({ routeId, message }) => `the route ${routeId} matches nothing: ${message}`,
    ),
  )
  for (const problem of problems.difference(problemsTold)) log.error(problem)
  problemsTold = problems
}

/** Requests or streams that one line names; of more it says only how many there were. */
const maxNamed = 100

/** Ends what is still under way when there is no more time, and says what that was. */
function cut(): void {
  const exchanges = open.flatMap((listener) => listener.exchanges())
  if (exchanges.length > 0) {
    const requests = exchanges
      .slice(0, maxNamed)
      .map(({ id, plan }) => ({ request_id: id, route: plan?.route.id, service: plan?.service?.entity.id }))
    runtime.log.warn(`${exchanges.length} requests in flight were cut off: drain_timeout is over`, { requests })
  }
  for (const listener of open) listener.close()
  cutStreams()
}

function cutStreams(): void {
  const sessions = openForStreams.flatMap((listener) => listener.sessions())
  if (streams && sessions.length > 0) {
    const named = sessions.slice(0, maxNamed).map(({ arrival: { id, clientIp }, match: { plan } }) => ({
      stream_id: id,
      client: clientIp,
      route: plan.route.id,
      service: plan.service?.entity.id,
    }))
    streams.log.warn(`${sessions.length} streams were cut off: drain_timeout is over`, { streams: named })
  }
  for (const listener of openForStreams) listener.close('cut off')
}

/** Ends when all connections have; asked to more than once, as when a worker that has retired is to drain, it still ends once. */
async function leave(how: (listener: Listener | StreamListener) => Promise<void>): Promise<void> {
  runtime.draining = true
  await Promise.all([...open, ...openForStreams].map(how))
  if (hasLeft) return
  hasLeft = true
  runtime.pools.close()
  runtime.deadlines.close()
  await Promise.all(logFiles.map((file) => file.close()))
  say({ say: 'drained' })
}

/** Tells the requests that wait for a response when the health of a target has changed, whoever found it. */
function watchHealth(): void {
  let { turns } = health.table
  setInterval(() => {
    if (turns === health.table.turns) return
    ;({ turns } = health.table)
    runtime.pools.peersTurned()
    for (const session of openForStreams.flatMap((listener) => listener.sessions())) session.peersTurned()
  }, 100).unref()
}

function openLog(path: string): LogFile {
  return openLogFile(path, {
    maxQueuedBytes: settings.log_queue_bytes,
    droppedLine: droppedLineMaker(settings.log_format, false),
    onTrouble: (message) => say({ say: 'trouble', message }),
  })
}

interface StreamFiles {
  readonly error: LogFile
  readonly access: LogFile | undefined
}

/** A log that stands in the place of another one is that one, so that lines keep their order. */
function openStreamLogs(): StreamFiles {
  const { proxy_error_log, proxy_access_log, proxy_stream_error_log, proxy_stream_access_log } = settings
  const byPath = new Map([
    [proxy_error_log, errorFile] as const,
    ...(accessFile ? [[proxy_access_log, accessFile] as const] : []),
  ])
  const at = (path: string): LogFile => {
    const file = byPath.get(path) ?? openLog(path)
    byPath.set(path, file)
    return file
  }
  return {
    error: at(proxy_stream_error_log),
    access: proxy_stream_access_log === 'off' ? undefined : at(proxy_stream_access_log),
  }
}

function createStreamTools({ error, access }: StreamFiles): StreamTools {
  const log = createLog(error, { level: settings.log_level, format: settings.log_format })
  const line = access && streamLineMaker(settings.log_format, access)
  return {
    runtime,
    connectSecure: secureConnector({ ca: trustedCertificates(settings), log }),
    log,
    accessLog: access && line ? (entry) => access.write(line(entry)) : undefined,
    stats: streamStats(),
  }
}

function planTools(settings: Settings): PlanTools {
  return {
    resolver: createResolver(resolverOptions(settings)),
    health,
    routerFlavor: settings.router_flavor === 'expressions' ? 'expressions' : 'traditional_compatible',
    plugins: new Map([
      ...enabledPlugins(settings.plugins).map(({ name, handler }) => [name, handler] as const),
      ...(settings.wasm ? [[filterChains, filterChainStandIn] as const] : []),
    ]),
    warn: (message) => isSpokesman && log.warn(message),
    withSecrets: secretsOf(storeKinds, process.env, settings.vault_env_prefix),
  }
}

function runtimeOf(settings: Settings, config: Compiled, entities: Entities): Runtime {
  const line = accessFile && accessLineMaker(settings.log_format, accessFile)
  return createRuntime(settings, {
    config,
    entities,
    log,
    accessLog: accessFile && line ? (entry) => accessFile.write(line(entry)) : undefined,
    product: `gibbon/${version}`,
    stats: sharedStats(),
  })
}

/** A count that the main thread reads without asking. Numbers with 53 bits, since a busy worker passes 2^31 requests within days. */
function countAt(index: number): PropertyDescriptor {
  return { get: () => counters[index] ?? 0, set: (value: number) => void (counters[index] = value), enumerable: true }
}

function sharedStats(): Stats {
  const answered = (status: number): void => {
    counters[counter.answered + Math.floor(status / 100)]! += 1
  }
  return Object.defineProperties({ answered } as Stats, {
    accepted: countAt(counter.accepted),
    active: countAt(counter.active),
    requests: countAt(counter.requests),
    refused: countAt(counter.refused),
  })
}

function streamStats(): StreamStats {
  const ended = (status: number): void => {
    counters[placeOfStatus(status)]! += 1
  }
  return Object.defineProperties({ ended } as StreamStats, {
    active: countAt(streamCounter.active),
    received: countAt(streamCounter.received),
    sent: countAt(streamCounter.sent),
  })
}
