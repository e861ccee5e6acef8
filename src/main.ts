/**
 * Wires the parts of a gateway together: the store, the proxy workers, the Admin API. The only place that does.
 * The main thread is the control side; requests are proxied in worker threads (`worker.ts`).
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import net from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { type AdminOptions, startAdmin, type RunningAdmin } from './admin/server.ts'
import { loadDeclarative, parseDeclarative, previousOf } from './config/declarative.ts'
import { storeKinds } from './config/kinds.ts'
import { adminSocket, type Listener, type Settings } from './config/settings.ts'
import { type AuditLog, openAuditLog } from './observe/audit.ts'
import { createLog, openLogFile, type Log } from './observe/log.ts'
import { bundledPlugins } from './plugins/index.ts'
import { type Audit, audited } from './store/audit.ts'
import { indexesOf } from './store/kinds.ts'
import { readKeyring } from './store/keyring.ts'
import { lockPrefix } from './store/lock.ts'
import { type SealedStore, sealStore } from './store/sealed.ts'
import { openStore } from './store/sqlite/open.ts'
import type { Store } from './store/store.ts'
import { version } from './version.ts'
import { startWorkers, type ProxyListener, type Workers } from './workers.ts'

export interface Gateway {
  /** The ports of `proxy_listen`, in its order. */
  readonly proxyPorts: readonly number[]
  readonly adminPorts: readonly number[]
  /** Takes no new work, lets requests in flight finish within `drain_timeout`, and resolves when everything is closed. */
  stop(): Promise<void>
  /** Reads the declarative file again and opens the logs anew; rejects, with everything as before, where the file is wrong. */
  reload(): Promise<void>
}

/** Why a gateway does not start or reload: said to people, without a stack. */
export class StartError extends Error {}

/** Starts a gateway. Rejects with a `StartError` where the settings cannot be put into practice. */
export async function startGateway(settings: Settings): Promise<Gateway> {
  const started: (() => void | Promise<void>)[] = []
  const undo = async () => {
    for (const close of started.toReversed()) await close()
  }
  try {
    return await start(settings, started, undo)
  } catch (error) {
    await undo()
    throw error
  }
}

async function start(
  settings: Settings,
  started: (() => void | Promise<void>)[],
  undo: () => Promise<void>,
): Promise<Gateway> {
  mkdirSync(settings.prefix, { recursive: true, mode: 0o700 })
  const lock = asStartError(() => lockPrefix(settings.prefix))
  started.push(() => lock.release())
  const file = openLogFile(settings.proxy_error_log)
  started.push(() => file.close())
  const log = createLog(file, { level: settings.log_level, format: settings.log_format })

  const keyring = asStartError(() => readKeyring(settings))
  const opened = await openStore({
    file: storeFile(settings),
    kinds: indexesOf(storeKinds),
    report: (error) => log.error(error.message),
  }).catch(failStart)
  started.push(() => opened.close())
  const store = await sealStore(opened, { keyring, kinds: storeKinds }).catch(failStart)
  if (settings.database === 'off') await loadFile(store, settings)

  const listeners = await proxyListeners(settings)
  const workers = await startWorkers({ settings, storeFile: storeFile(settings), keyring, listeners, log })
  started.push(() => workers.stop())
  store.onCommit((revision) => workers.adopt(revision))

  const audit = openAudit(settings, store, log)
  if (audit) started.push(() => audit.log.file.close())
  const admin = await openAdmin(settings, { store, workers, log, audit: audit?.audit })
  started.push(() => admin.close())
  return {
    proxyPorts: listeners.map(({ port }) => port),
    adminPorts: admin.ports,
    stop: undo,
    reload: async () => {
      file.reopen()
      audit?.log.file.reopen()
      workers.reopenLogs()
      if (settings.database !== 'off') return
      if (audit)
        await audit.audit.follow(
          { by: 'reload' },
          () => loadFile(audit.audit.store, settings),
          () => ({}),
        )
      else await loadFile(store, settings)
    },
  }
}

/** Where a gateway with these settings keeps its store. */
export const storeFile = (settings: Pick<Settings, 'prefix' | 'database'>): string =>
  join(settings.prefix, settings.database === 'off' ? 'declared.db' : 'gibbon.db')

function failStart(error: Error): never {
  throw new StartError(error.message, { cause: error })
}

function asStartError<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw new StartError((error as Error).message, { cause: error })
  }
}

/** Makes the declarative configuration the content of the store; without one, the store is emptied. */
async function loadFile(store: Store, settings: Settings): Promise<void> {
  const { declarative_config: file, declarative_config_string: given } = settings
  const name = file ?? 'declarative_config_string'
  const text = given ?? (file === undefined ? '_format_version: "3.0"' : asStartError(() => readFileSync(file, 'utf8')))
  const declaration = parseDeclarative(text, { previous: previousOf(store.reader) })
  if (!declaration.ok) {
    const places = declaration.places().map(({ line, column, path, message }) => {
      const where = path.length > 0 ? `${path.join('.')}: ` : ''
      return `  ${name}:${line}:${column}: ${where}${message}`
    })
    throw new StartError([`the declarative configuration ${name} is not valid:`, ...places].join('\n'))
  }
  const written = await loadDeclarative(store, declaration)
  if (!written.ok) throw new StartError(`cannot load ${name}: ${JSON.stringify(written.error)}`)
}

/** Read or made only where a listener speaks TLS: making a certificate takes a while. */
async function certificateOf(settings: Settings): Promise<{ cert: string; key: string }> {
  const { serverCertificate } = await import('./config/self-signed.ts')
  return serverCertificate(settings)
}

/** The proxy's listeners with the ports that they are to have: workers share them, so that all must know. */
async function proxyListeners(settings: Settings): Promise<ProxyListener[]> {
  const listeners: ProxyListener[] = []
  for (const listener of settings.proxy_listen) {
    const tls = listener.ssl ? await certificateOf(settings) : undefined
    listeners.push({
      ip: listener.ip,
      port: await freePort(listener),
      backlog: listener.backlog ?? 511,
      tls,
    })
  }
  return listeners
}

/**
 * Makes sure that nobody else listens there, which sharing a port would hide, and finds a port where 0 asks for any.
 */
async function freePort({ ip, port, listener }: Listener): Promise<number> {
  const server = net.createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: ip, port, exclusive: true }, resolve)
    })
    return (server.address() as net.AddressInfo).port
  } catch (error) {
    throw new StartError(`cannot listen on ${listener} (proxy_listen): ${(error as Error).message}`, { cause: error })
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

/** Follows what is written from now on, where the settings ask for it. */
function openAudit(
  settings: Settings,
  store: Store,
  log: Log,
): { readonly audit: Audit; readonly log: AuditLog } | undefined {
  if (settings.admin_audit_log === 'off') return undefined
  const auditLog = asStartError(() =>
    openAuditLog(settings.admin_audit_log, {
      maxQueuedBytes: settings.log_queue_bytes,
      onTrouble: (message) => log.error(message),
    }),
  )
  return { log: auditLog, audit: audited(store, auditLog, storeKinds) }
}

interface AdminParts {
  readonly store: SealedStore
  readonly workers: Workers
  readonly log: Log
  readonly audit: Audit | undefined
}

async function openAdmin(settings: Settings, { store, workers, log, audit }: AdminParts): Promise<RunningAdmin> {
  const tls = settings.admin_listen.some(({ ssl }) => ssl) ? await adminTls(settings) : undefined
  for (const listener of settings.admin_listen) warnOfOpenDoor(listener, settings, log)
  return startAdmin({
    settings,
    store: audit?.store ?? store,
    sealing: store,
    log,
    ...(audit ? { audit } : {}),
    ...(tls ? { tls } : {}),
    socket: adminSocket(settings.prefix),
    node: {
      id: settings.node_id ?? randomUUID(),
      hostname: hostname(),
      version,
      plugins: new Map(
        bundledPlugins.map(({ name, handler }) => [name, { version: handler.version, priority: handler.priority }]),
      ),
      workers: () => ({ pids: workers.ids(), count: workers.ids().length }),
      counters: () => workers.counters(),
    },
  }).catch((error: NodeJS.ErrnoException) => {
    throw new StartError(`cannot listen for the Admin API (admin_listen): ${error.message}`, { cause: error })
  })
}

async function adminTls(settings: Settings): Promise<NonNullable<AdminOptions['tls']>> {
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
