/** The declarative file as the source of the configuration: loaded at the start, when asked, and where wanted when it changes. */
import { readFileSync, type Stats, unwatchFile, watchFile } from 'node:fs'
import { isLoaded, loadDeclarative, previousOf, readDeclarative, type Refusal } from './config/declarative.ts'
import type { Catalogue } from './config/kinds.ts'
import type { Settings } from './config/settings.ts'
import { asStartError, StartError } from './start-error.ts'
import type { Store } from './store/store.ts'
import { version } from './version.ts'

/**
 * Makes the declarative configuration the content of the store; without one, the store is emptied. Rejects with every mistake,
 * a line each, where there are any, with everything as before.
 */
export async function loadDeclared(store: Store, settings: Settings, catalogue: Catalogue): Promise<void> {
  const { kinds, pluginSchemas, filters } = catalogue
  const { declarative_config: file, declarative_config_string: given } = settings
  const name = file ?? 'declarative_config_string'
  const text = given ?? (file === undefined ? '_format_version: "3.0"' : asStartError(() => readFileSync(file, 'utf8')))
  // Other plugins may fill in other defaults, and refuse other things.
  const known = [...pluginSchemas.keys(), ...(filters ? ['wasm', ...filters.keys()] : [])]
  const by = `${version} with ${known.join()}`
  store.reader.renew()
  if (isLoaded(store.reader, text, by)) return
  const declaration = readDeclarative(text, { kinds, previous: previousOf(store.reader) })
  const loaded = declaration.ok ? await loadDeclarative(store, declaration, by) : declaration
  if ('places' in loaded) throw new StartError(complaintsOf(name, loaded))
  if (!loaded.ok) throw new StartError(`cannot load ${name}: ${JSON.stringify(loaded.error)}`)
}

function complaintsOf(name: string, refusal: Refusal): string {
  const places = refusal.places().map(({ line, column, path, message }) => {
    const where = path.length > 0 ? `${path.join('.')}: ` : ''
    return `  ${name}:${line}:${column}: ${where}${message}`
  })
  return [`the declarative configuration ${name} is not valid:`, ...places].join('\n')
}

const lookEveryMs = 1000

/**
 * Calls `changed` whenever the declarative file is another one than before; returns how to stop that. The file is looked at by
 * its name each second, because a mounted ConfigMap changes by a link being turned, of which no notice is given.
 */
export function watchDeclared(settings: Settings, changed: () => void): () => void {
  const { declarative_config: file, declarative_config_watch, database } = settings
  if (database !== 'off' || file === undefined || !declarative_config_watch) return () => undefined
  // A file that is gone for a moment is being replaced.
  const listener = ({ mtimeMs }: Stats): void => void (mtimeMs > 0 && changed())
  watchFile(file, { interval: lookEveryMs, persistent: false }, listener)
  return () => unwatchFile(file, listener)
}
