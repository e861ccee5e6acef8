/** A proxy worker's thread: its own reader of the store, its own snapshot, its own listeners. Wires the proxy, as `main.ts` the rest. */
import { parentPort, workerData } from 'node:worker_threads'
import { storeKinds } from './config/kinds.ts'
import type { Settings } from './config/settings.ts'
import { renewSnapshot, takeSnapshot, type Snapshot } from './config/snapshot.ts'
import { accessLineMaker, createLog, droppedLineMaker, openLogFile, type LogFile } from './observe/log.ts'
import { bundledPlugins } from './plugins/index.ts'
import { configureTokenMemory } from './plugins/jwt/tokens.ts'
import { createRuntime } from './proxy/create-runtime.ts'
import { createResolver } from './proxy/dns/resolver.ts'
import { listen, type Listener } from './proxy/listener.ts'
import { compile, type Compiled, type PlanTools } from './proxy/plan.ts'
import type { Runtime, Stats } from './proxy/runtime.ts'
import { indexesOf } from './store/kinds.ts'
import { localEntities, type LocalEntities } from './store/local.ts'
import { openSealed } from './store/sealed.ts'
import { openReader } from './store/sqlite/reader.ts'
import type { Reader } from './store/store.ts'
import type { NamedVault } from './vaults/env.ts'
import { resolveReferences } from './vaults/references.ts'
import { version } from './version.ts'
import { counter, type FromWorker, type ToWorker, type WorkerData } from './workers.ts'

const { settings, storeFile, keyring, listeners, counters } = workerData as WorkerData
const say = (message: FromWorker) => parentPort?.postMessage(message)

const indexes = indexesOf(storeKinds)
const reader = openSealed(openReader(storeFile, indexes), { keyring, kinds: storeKinds })
const entities = localEntities(reader, {
  kinds: indexes,
  bytes: settings.mem_cache_size / settings.nginx_worker_processes,
})
configureTokenMemory({ bytes: settings.token_cache_bytes })

const errorFile = openLogFile(settings.proxy_error_log)
const accessFile = settings.proxy_access_log === 'off' ? undefined : openAccessLog(settings)
const tools = planTools(settings)
let snapshot: Snapshot = takeSnapshot(reader)
/** The revision that the configuration in force is of. */
let inForce = reader.revision
const runtime = runtimeOf(settings, compile(tools, snapshot), entities)

start().catch((error: Error) => say({ say: 'cannot start', message: error.message }))

async function start(): Promise<void> {
  const open: Listener[] = []
  const reusePort = process.platform === 'linux'
  for (const listener of listeners) open.push(await listen(runtime, { ...listener, reusePort }))
  parentPort?.on('message', (message: ToWorker) => obey(message, open))
  // What was committed while this worker started has to be in force before it says that it is ready.
  adopt(reader, entities)
  say({ say: 'ready' })
}

function obey(message: ToWorker, open: readonly Listener[]): void {
  switch (message.do) {
    case 'adopt':
      say({ say: 'adopted', number: message.number, ...problemOf(() => adopt(reader, entities)) })
      return
    case 'drain':
      void drain(open)
      return
    case 'reopen-logs':
      errorFile.reopen()
      accessFile?.reopen()
      return
  }
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
  if (next !== snapshot) runtime.config = compile(tools, next, runtime.config)
  snapshot = next
  inForce = reader.revision
}

async function drain(open: readonly Listener[]): Promise<void> {
  runtime.draining = true
  await Promise.all(open.map((listener) => listener.drain()))
  runtime.pools.close()
  runtime.deadlines.close()
  await Promise.all([errorFile.close(), accessFile?.close()])
  say({ say: 'drained' })
}

function openAccessLog({ proxy_access_log, log_format, log_queue_bytes }: Settings): LogFile {
  return openLogFile(proxy_access_log, {
    maxQueuedBytes: log_queue_bytes,
    droppedLine: droppedLineMaker(log_format, false),
  })
}

function planTools(settings: Settings): PlanTools {
  const resolver = createResolver({
    ...(settings.dns_resolver.length > 0 ? { servers: settings.dns_resolver } : {}),
    ...(settings.dns_valid_ttl === undefined ? {} : { validTtl: settings.dns_valid_ttl }),
    hostsFile: settings.dns_hostsfile,
    staleTtl: settings.dns_stale_ttl,
    notFoundTtl: settings.dns_not_found_ttl,
    errorTtl: settings.dns_error_ttl,
    order: settings.dns_order,
    maxEntries: settings.dns_cache_size,
  })
  return {
    resolver,
    plugins: new Map(bundledPlugins.map(({ name, handler }) => [name, handler])),
    resolveReferences: (config, vaults) => resolveReferences(config, process.env, byPrefix(vaults)),
  }
}

/** The vaults as references name them. */
function byPrefix(vaults: Snapshot['vaults']): ReadonlyMap<string, NamedVault> {
  return new Map([...vaults.values()].map((vault) => [String(vault['prefix']), vault as unknown as NamedVault]))
}

function runtimeOf(settings: Settings, config: Compiled, entities: LocalEntities): Runtime {
  const line = accessFile && accessLineMaker(settings.log_format, accessFile)
  return createRuntime(settings, {
    config,
    entities,
    log: createLog(errorFile, { level: settings.log_level, format: settings.log_format }),
    accessLog: accessFile && line ? (entry) => accessFile.write(line(entry)) : undefined,
    product: `gibbon/${version}`,
    stats: sharedStats(),
  })
}

/** Counts that the main thread reads without asking. */
function sharedStats(): Stats {
  const at = (index: number) => ({
    get: () => counters[index] ?? 0,
    set: (value: number) => void (counters[index] = value),
    enumerable: true,
  })
  return Object.defineProperties({} as Stats, {
    accepted: at(counter.accepted),
    active: at(counter.active),
    requests: at(counter.requests),
    refused: at(counter.refused),
  })
}
