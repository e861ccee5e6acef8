/**
 * Wires the parts of a gateway together: the store, the proxy workers, the Admin API. The only place that does.
 * The main thread is the control side; requests are proxied in worker threads (`worker.ts`).
 */
import { closeSync, mkdirSync } from 'node:fs'
import net from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { NodeFacts } from './admin/node.ts'
import type { Replace } from './admin/routes/reload.ts'
import { startAdmin, type RunningAdmin, type ServerTls } from './admin/server.ts'
import { startStatusApi } from './admin/status-api.ts'
import { catalogueFor, enabledPlugins, storeKinds } from './config/kinds.ts'
import {
  addressOf,
  adminSocket,
  keepAliveOf,
  storeFile,
  type Listener,
  type SettingName,
  type Settings,
  type StreamListener,
} from './config/settings.ts'
import { keepDebugToken } from './debug-token.ts'
import { loadDeclared, watchDeclared } from './declared.ts'
import { createHandover, type Handover, type Legacy, lockOf } from './handover.ts'
import { openLogs, type Logs } from './logs.ts'
import { gatherMetrics } from './metrics.ts'
import { nodeId } from './node-id.ts'
import { pluginChanges } from './plugin-changes.ts'
import { CountTable, countMemory } from './pdk/counts.ts'
import { redisAt } from './pdk/redis.ts'
import { openAuditLog } from './observe/audit.ts'
import type { Level, Log } from './observe/log.ts'
import type { BundledPlugin } from './plugins/index.ts'
import { fetchDocument, getDocument } from './plugins/jwt/document.ts'
import { createEventPolling, type EventPolling } from './plugins/jwt/event-polling.ts'
import { keptKeys } from './plugins/jwt/kept-keys.ts'
import { createKeyFetching, type KeyFetching } from './plugins/jwt/key-fetching.ts'
import type { ProofUses } from './plugins/jwt/proof-memory.ts'
import { createSharer } from './plugins/rate-limiting/sharer.ts'
import { shareProofs } from './proof-uses.ts'
import { errorShapeOf, trustedCertificates } from './proxy/create-runtime.ts'
import { createReload, type Reload, type ReloadParts } from './reloading.ts'
import { type Inheritance, keysOf, nothingInherited } from './sockets.ts'
import { watchSecrets } from './short-secrets.ts'
import { asStartError, StartError } from './start-error.ts'
import { keepTls, type TlsKeeper } from './tls-keeper.ts'
import { audited } from './store/audit.ts'
import { openConfiguredStore } from './store/configured.ts'
import { entityReader } from './store/entity-reader.ts'
import { givable } from './store/given.ts'
import { readKeyring } from './store/keyring.ts'
import { type SealedStore, sealStore } from './store/sealed.ts'
import { hasUntold, type Store } from './store/store.ts'
import { type TargetHealthWatch, watchTargets } from './target-health.ts'
import { version } from './version.ts'
import { createWorkers, type ProxyListener, type Workers } from './workers.ts'

export interface Gateway {
  /** The ports of `proxy_listen`, in its order. */
  readonly proxyPorts: readonly number[]
  readonly streamPorts: readonly number[]
  readonly adminPorts: readonly number[]
  readonly statusPorts: readonly number[]
  /** Takes no new work, lets requests in flight finish within `drain_timeout`, and resolves when everything is closed. */
  stop(): Promise<void>
  /** Reads declarative file and certificates again, opens the logs anew, and takes over of new settings what it can. */
  readonly reload: Reload
  /** How another process takes its place. */
  readonly handover: Handover
}

/** What a gateway is started with beside its settings. */
export interface StartOptions {
  /** The gateway whose place it takes; undefined for one that takes nobody's. */
  readonly predecessor?: Predecessor | undefined
  /** Has another process take its place, for `gibbon reload`. */
  readonly replace?: Replace
}

export interface Predecessor {
  /** The sockets that it listens on. */
  readonly inheritance: Inheritance
  /** Has it leave the store and the prefix. */
  give(): Promise<Legacy>
  /** Has the process that was started first use a proof up. */
  readonly useProof: ProofUses['use']
  /** Resolves when it listens no more. */
  readonly retired: Promise<unknown>
}

/** Starts a gateway. Rejects with a `StartError` where the settings cannot be put into practice. */
export async function startGateway(settings: Settings, options: StartOptions = {}): Promise<Gateway> {
  const started: (() => void | Promise<void>)[] = []
  const undo = async () => {
    for (const close of started.toReversed()) await close()
  }
  try {
    return await start(settings, options, started, undo)
  } catch (error) {
    await undo()
    throw error
  }
}

async function start(
  settings: Settings,
  { predecessor, replace }: StartOptions,
  started: (() => void | Promise<void>)[],
  undo: () => Promise<void>,
): Promise<Gateway> {
  mkdirSync(settings.prefix, { recursive: true, mode: 0o700 })
  let workers: Workers | undefined
  const logs = asStartError(() => openLogs(settings, () => workers?.flushLogs()))
  started.push(() => logs.close())

  const keyring = asStartError(() => readKeyring(settings))
  const inheritance = predecessor?.inheritance ?? nothingInherited
  const legacy = await predecessor?.give()
  const lock = await lockOf(settings.prefix, predecessor !== undefined).catch(failStart)
  started.push(() => lock.release())
  const opened = givable(await openConfiguredStore(settings, logs.log).catch(failStart))
  started.push(() => opened.close())
  const store = await sealStore(opened, { keyring, kinds: storeKinds }).catch(failStart)
  const plugins = enabledPlugins(settings.plugins)
  const catalogue = catalogueFor(settings)
  if (settings.database === 'off') await loadDeclared(store, settings, catalogue)
  refuseOthersInUse(store, plugins)

  const listeners = await proxyListeners('proxy_listen', settings.proxy_listen, inheritance)
  const streamListeners = await proxyListeners('stream_listen', settings.stream_listen, inheritance)
  // Only where a listener speaks TLS: making a certificate takes a while.
  const tls = [...listeners, ...streamListeners].some(({ ssl }) => ssl)
    ? await keepTls(settings, (setup) => workers?.setTls(setup), ticketKeysOf(legacy))
    : undefined
  started.push(() => tls?.stop())
  const ca = asStartError(() => trustedCertificates(settings))
  // The workers make it for themselves.
  asStartError(() => errorShapeOf(settings))
  const warn = (text: string): void => logs.log.warn(text)
  const kept = keptKeys(join(settings.prefix, 'issuer-keys'), warn)
  const keys = createKeyFetching({ get: (url) => getDocument(url, ca), warn, kept })
  started.push(() => keys.close())
  const health = watchTargets({ store, settings, log: logs.log, onMove: (memory) => workers?.moveHealth(memory) })
  started.push(() => health.close())
  const debugToken = asStartError(() => keepDebugToken(settings))
  const proofs = shareProofs(legacy, predecessor?.useProof)
  const change = pluginChanges(settings, store, plugins)
  const counts = countMemory(legacy?.counts === undefined ? undefined : Buffer.from(legacy.counts, 'base64'))
  const table = new CountTable(counts)
  const sharer = createSharer({
    table,
    log: { err: (message) => logs.log.error(message), notice: (message) => logs.log.notice(message) },
    redisAt,
    change,
    metric: (id) => {
      store.reader.renew()
      return store.reader.get('ratelimiting_metrics', id)
    },
  })
  started.push(() => sharer.close())
  const savedCounts = (): Buffer => table.save(Math.floor(Date.now() / 1000), sharer.places())
  workers = createWorkers({
    settings: { ...settings, request_debug_token: debugToken },
    storeFile: storeFile(settings),
    keyring,
    listeners,
    streamListeners,
    tls: tls?.setup,
    keys,
    health: health.memory,
    proofs,
    counts,
    shareCount: (count) => sharer.share(count),
    change,
    ...logs,
  })
  const audit = openAudit(settings, store, logs)
  if (audit) started.push(() => audit.log.file.close())
  const node = nodeFacts(settings, plugins, workers)
  const given = { inheritance, replace, ...(predecessor && { socketIsFree: predecessor.retired }) }
  const parts: Parts = { keys, settings, store, audit, workers, logs, health, node, catalogue, ...given }
  // Before the workers, so that whoever asks whether the gateway is ready hears that it is not yet.
  const status = await openStatus(parts)
  started.push(() => status.close())
  started.push(() => workers?.stop())
  // What stands in the way is a configuration that cannot be put in force, or a port; a bug's stack is in the log.
  await workers.start().catch(failStart)
  store.onCommit((revision) => parts.workers.adopt(revision))
  // What came from other nodes while the workers started, when nobody listened yet.
  await workers.adopt(store.reader.renew())
  const polling = createEventPolling({
    post: (url, { authorization, body, timeoutMs, signal }) =>
      fetchDocument(url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...(authorization !== undefined && { authorization }) },
        body: JSON.stringify(body),
        ca,
        timeoutMs,
        signal,
      }),
    entities: { ...entityReader(store.reader), write: change },
    keys,
    warn,
  })
  started.push(() => polling.close())
  followEvents(store, polling)
  watchSecrets(store, logs.log)

  const admin = await openAdmin(parts)
  started.push(() => admin.close())
  const certificates = (from: Settings) => reloadCertificates(from, { tls, admin, status })
  const reload = createReload({ ...parts, certificates })
  const watch = declaredWatch(settings, () => void reload())
  started.push(() => watch.end())
  watch.begin()
  closeUnused(inheritance, settings)
  return {
    proxyPorts: listeners.map(({ port }) => port),
    streamPorts: streamListeners.map(({ port }) => port),
    adminPorts: admin.ports,
    statusPorts: status.ports,
    stop: undo,
    reload,
    handover: createHandover({
      settings,
      store: opened,
      lock,
      tls,
      proofs,
      counts: savedCounts,
      workers,
      admin,
      status,
      watch,
    }),
  }
}

/** Asks issuers for the events that the plugins in force name. */
function followEvents(store: Store, polling: EventPolling): void {
  const follow = (): void => polling.follow(store.reader.all('plugins'))
  store.onCommit(async (_, changes) => {
    if (hasUntold(changes) || changes.some(({ kind }) => kind === 'plugins')) follow()
  })
  follow()
}

const ticketKeysOf = ({ ticketKeys }: Legacy = {}): Uint8Array | undefined =>
  ticketKeys === undefined ? undefined : Buffer.from(ticketKeys, 'base64')

function declaredWatch(settings: Settings, changed: () => void): { begin(): void; end(): void } {
  let end: (() => void) | undefined
  return {
    begin: () => void (end ??= watchDeclared(settings, changed)),
    end: () => {
      end?.()
      end = undefined
    },
  }
}

/** Listeners that the settings have no more end with the process before, unless this one kept them open. */
function closeUnused(inheritance: Inheritance, settings: Settings): void {
  const used = new Set([
    ...keysOf('proxy_listen', settings.proxy_listen),
    ...keysOf('stream_listen', settings.stream_listen),
    ...keysOf('admin_listen', settings.admin_listen),
    ...keysOf('status_listen', settings.status_listen),
  ])
  for (const [key, { fds }] of inheritance) if (!used.has(key)) for (const fd of fds) closeSync(fd)
}

/** What the control side is made of. */
interface Parts extends Omit<ReloadParts, 'certificates'> {
  readonly store: SealedStore
  readonly keys: KeyFetching
  readonly health: TargetHealthWatch
  readonly node: NodeFacts
  readonly inheritance: Inheritance
  readonly replace: Replace | undefined
  readonly socketIsFree?: Promise<unknown>
}

/** Follows what is written from now on, where the settings ask for it. */
function openAudit(settings: Settings, store: Store, { trouble }: Logs): ReloadParts['audit'] {
  if (settings.admin_audit_log === 'off') return undefined
  const log = asStartError(() =>
    openAuditLog(settings.admin_audit_log, { maxQueuedBytes: settings.log_queue_bytes, onTrouble: trouble }),
  )
  return { log, audit: audited(store, log, storeKinds) }
}

interface TlsParts {
  readonly tls: TlsKeeper | undefined
  readonly admin: RunningAdmin
  readonly status: RunningAdmin
}

/** Everything is read before anything is changed. */
async function reloadCertificates(settings: Settings, { tls, admin, status }: TlsParts): Promise<void> {
  const forAdmin = settings.admin_listen.some(({ ssl }) => ssl) ? await adminTls(settings) : undefined
  const forStatus = settings.status_listen.some(({ ssl }) => ssl) ? await statusTls(settings) : undefined
  tls?.reload(settings)
  if (forAdmin) admin.setTls(forAdmin)
  if (forStatus) status.setTls(forStatus)
}

function failStart(error: Error): never {
  throw new StartError(error.message, { cause: error })
}

function nodeFacts(settings: Settings, plugins: readonly BundledPlugin[], workers: Workers): NodeFacts {
  return {
    id: nodeId(settings),
    hostname: hostname(),
    version,
    plugins: new Map(
      plugins.map(({ name, handler }) => [name, { version: handler.version, priority: handler.priority }]),
    ),
    workers: () => ({ pids: workers.ids(), count: workers.ids().length }),
    counters: () => workers.counters(),
    traffic: () => workers.traffic(),
  }
}

/** A plugin that is in use and may not run would be missing where it refuses requests: rather nothing runs. */
function refuseOthersInUse({ reader }: Store, plugins: readonly BundledPlugin[]): void {
  const enabled = new Set(plugins.map(({ name }) => name))
  for (const { id, name } of reader.all('plugins')) {
    if (enabled.has(String(name))) continue
    throw new StartError(`the plugin ${String(name)} is in use (${id}) but not enabled: add it to the setting plugins`)
  }
}

/** The proxy's listeners with the ports that they are to have: workers share them, so that all must know. */
async function proxyListeners(
  setting: 'proxy_listen' | 'stream_listen',
  entries: readonly (Listener | StreamListener)[],
  inheritance: Inheritance,
): Promise<ProxyListener[]> {
  const listeners: ProxyListener[] = []
  const keys = keysOf(setting, entries)
  for (const [at, listener] of entries.entries()) {
    const { ssl, proxy_protocol: proxyProtocol, backlog = 511 } = listener
    const http2 = 'http2' in listener && listener.http2
    const { host: ip, ipv6Only } = addressOf(listener)
    const key = keys[at]!
    const { port, fds: inherited } = inheritance.get(key) ?? { port: await freePort(setting, listener), fds: [] }
    const keepAlive = keepAliveOf(listener)
    listeners.push({ key, ip, port, ipv6Only, backlog, ssl, http2, proxyProtocol, keepAlive, inherited })
  }
  return listeners
}

/** For each listener of the Admin API or the Status API the socket that was handed down. */
const inheritedFor = (keys: readonly string[], inheritance: Inheritance): (number | undefined)[] =>
  keys.map((key) => inheritance.get(key)?.fds[0])

/**
 * Makes sure that nobody else listens there, which sharing a port would hide, and finds a port where 0 asks for any.
 */
async function freePort(setting: SettingName, listener: Listener | StreamListener): Promise<number> {
  const server = net.createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ ...addressOf(listener), exclusive: true }, resolve)
    })
    return (server.address() as net.AddressInfo).port
  } catch (error) {
    throw new StartError(`cannot listen on ${listener.listener} (${setting}): ${(error as Error).message}`, {
      cause: error,
    })
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

async function openStatus(parts: Parts): Promise<RunningAdmin> {
  const { settings, store, node, workers, logs } = parts
  const tls = settings.status_listen.some(({ ssl }) => ssl) ? await statusTls(settings) : undefined
  return startStatusApi({
    settings,
    store,
    node,
    log: logs.status,
    onAnswer: logs.statusAnswered,
    ...(tls && { tls }),
    inherited: inheritedFor(keysOf('status_listen', settings.status_listen), parts.inheritance),
    readiness: () => workers.readiness(),
    metrics: () => gatherMetrics({ ...parts, storeFile: storeFile(settings) }),
  }).catch((error: NodeJS.ErrnoException) => {
    throw new StartError(`cannot listen for the Status API (status_listen): ${error.message}`, { cause: error })
  })
}

async function openAdmin(parts: Parts): Promise<RunningAdmin> {
  const { settings, store, audit, workers, logs, health, node, catalogue, keys, replace, socketIsFree } = parts
  const tls = settings.admin_listen.some(({ ssl }) => ssl) ? await adminTls(settings) : undefined
  for (const listener of settings.admin_listen) warnOfOpenDoor(listener, settings, logs.log)
  const setLevel = (level: Level): void => {
    logs.setLevel(level)
    workers.setLogLevel(level)
  }
  return startAdmin({
    settings,
    store: audit?.audit.store ?? store,
    sealing: store,
    ...(audit && { audit: audit.audit }),
    ...catalogue,
    log: { ...logs.admin, setLevel },
    onAnswer: logs.answered,
    ...(tls && { tls }),
    health,
    issuerKeys: { known: (address) => keys.follow(address), ask: (address) => askAnew(keys, address) },
    socket: adminSocket(settings.prefix),
    ...(socketIsFree && { socketIsFree }),
    ...(replace && { replace }),
    inherited: inheritedFor(keysOf('admin_listen', settings.admin_listen), parts.inheritance),
    node,
  }).catch((error: NodeJS.ErrnoException) => {
    throw new StartError(`cannot listen for the Admin API (admin_listen): ${error.message}`, { cause: error })
  })
}

async function askAnew(keys: KeyFetching, address: string): Promise<string | undefined> {
  await keys.ask(address)
  return keys.follow(address)
}

async function statusTls(settings: Settings): Promise<ServerTls> {
  const { statusCertificate } = await import('./config/self-signed.ts')
  return asStartError(() => statusCertificate(settings))
}

async function adminTls(settings: Settings): Promise<ServerTls> {
  const { adminCertificate, adminClientAuthorities } = await import('./config/self-signed.ts')
  return asStartError(() => {
    const clientCa = adminClientAuthorities(settings)
    return { ...adminCertificate(settings), ...(clientCa.length > 0 ? { clientCa } : {}) }
  })
}

function warnOfOpenDoor({ ip, ssl, listener }: Listener, settings: Settings, log: Log): void {
  if (isLoopback(ip)) return
  const asksForTokens = settings.admin_tokens === 'required'
  if (!asksForTokens && !(ssl && settings.admin_ssl_client_ca.length > 0)) {
    log.warn(
      `THE ADMIN API IS OPEN on ${listener}, beyond this machine: whoever reaches it controls the gateway and reads its ` +
        'secrets. Ask for tokens (admin_tokens = required) or client certificates (admin_ssl_client_ca)',
    )
  } else if (!ssl) log.warn(`the Admin API takes tokens in clear on ${listener}, beyond this machine: add ssl to it`)
}

const isLoopback = (ip: string): boolean => ip === '[::1]' || ip.startsWith('127.') || ip === 'localhost'
