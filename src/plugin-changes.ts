/** What plugins may change, and how. */
import { storeKinds } from './config/kinds.ts'
import type { Settings } from './config/settings.ts'
import type { Change, Changed } from './pdk/entities.ts'
import type { BundledPlugin } from './plugins/index.ts'
import { noDatabase, pluginWriter } from './store/plugin-writes.ts'
import type { Store } from './store/store.ts'

/** Gives what makes the changes that plugins ask for: to entities of the kinds that they bring, and where there is a database. */
export function pluginChanges(
  { database }: Settings,
  store: Store,
  plugins: readonly BundledPlugin[],
): (changes: readonly Change[]) => Promise<Changed> {
  if (database === 'off') return async () => noDatabase
  const writable = new Set(plugins.flatMap(({ entities }) => entities.map(({ name }) => name)))
  return pluginWriter(store, new Map([...storeKinds].filter(([kind]) => writable.has(kind))))
}
