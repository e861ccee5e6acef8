/** What a running gateway does on SIGHUP: everything that comes from files is read again, and what is wrong changes nothing. */
import type { Catalogue } from './config/kinds.ts'
import { allSettings, type SettingName, type Settings } from './config/settings-declared.ts'
import { loadDeclared } from './declared.ts'
import type { Logs } from './logs.ts'
import type { AuditLog } from './observe/audit.ts'
import { StartError } from './start-error.ts'
import type { Audit } from './store/audit.ts'
import type { Store } from './store/store.ts'
import type { Workers } from './workers.ts'

export interface ReloadParts {
  readonly settings: Settings
  readonly store: Store
  readonly audit: { readonly audit: Audit; readonly log: AuditLog } | undefined
  readonly workers: Workers
  readonly logs: Logs
  /** Reads the certificates of all listeners again; rejects, with everything as before, where one is wrong. */
  readonly certificates: (settings: Settings) => Promise<void>
  readonly catalogue: Catalogue
}

/** Reads everything again, with new settings where there are any. Never rejects: what is wrong is logged. */
export type Reload = (settings?: Settings) => Promise<void>

/** The settings that hold from a reload on; the others do from the next start. */
const live: ReadonlySet<SettingName> = new Set([
  'log_level',
  'declarative_config',
  'declarative_config_string',
  'ssl_cert',
  'ssl_cert_key',
  'admin_ssl_cert',
  'admin_ssl_cert_key',
  'admin_ssl_client_ca',
  'status_ssl_cert',
  'status_ssl_cert_key',
] as const)

/** Makes the function; reloads that are asked for together run one after the other. */
export function createReload(parts: ReloadParts): Reload {
  let settings = parts.settings
  let last: Promise<void> = Promise.resolve()
  return (next) => {
    last = last.then(() => {
      if (next) settings = change(parts, settings, next)
      return reload(parts, settings)
    })
    return last
  }
}

/** The settings with the new values of those that can change now; the others are told of. */
function change({ logs, workers }: ReloadParts, settings: Settings, next: Settings): Settings {
  const isOther = (name: SettingName) => JSON.stringify(settings[name]) !== JSON.stringify(next[name])
  const changed = [...allSettings.keys()].filter(isOther)
  const later = changed.filter((name) => !live.has(name))
  if (later.length > 0) logs.log.warn(`settings that have changed hold from the next start on: ${later.join(', ')}`)
  if (changed.includes('log_level')) {
    logs.setLevel(next.log_level)
    workers.setLogLevel(next.log_level)
  }
  return {
    ...settings,
    ...Object.fromEntries(changed.filter((name) => live.has(name)).map((name) => [name, next[name]])),
  }
}

async function reload(parts: ReloadParts, settings: Settings): Promise<void> {
  const { store, audit, workers, logs, certificates, catalogue } = parts
  logs.reopen()
  audit?.log.file.reopen()
  workers.reopenLogs()
  await tellProblem(logs, 'the certificates are', () => certificates(settings))
  if (settings.database !== 'off') return
  await tellProblem(logs, 'the configuration is', async () => {
    if (!audit) return loadDeclared(store, settings, catalogue)
    const load = () => loadDeclared(audit.audit.store, settings, catalogue)
    await audit.audit.follow({ by: 'reload' }, load, () => ({}))
  })
}

async function tellProblem({ log }: Logs, what: string, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    const reason = error instanceof StartError ? error.message : String((error as Error).stack)
    log.error(`${what} not reloaded, and everything stays as it was:`)
    for (const line of reason.split('\n')) log.error(line.trim())
  }
}
