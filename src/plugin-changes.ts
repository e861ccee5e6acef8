/** What plugins may change, and how. */
import { storeKinds } from './config/kinds.ts'
import type { Settings } from './config/settings.ts'
import type { Change, Changed } from './pdk/entities.ts'
import type { BundledPlugin } from './plugins/index.ts'
import { noDatabase, pluginWriter } from './store/plugin-writes.ts'
import type { Store } from './store/store.ts'

/**
 * Gives what makes the changes that plugins ask for: to entities of the kinds that they bring. Without a database, where Kong can
 * write none, only to those of the node's own that no other program sees.
 */
export function pluginChanges(
  { database }: Settings,
  store: Store,
  plugins: readonly BundledPlugin[],
): (changes: readonly Change[]) => Promise<Changed> {
  const brought = new Set(plugins.flatMap(({ entities }) => entities.map(({ name }) => name)))
  const kinds = new Map([...storeKinds].filter(([kind]) => brought.has(kind)))
  const write = pluginWriter(store, kinds)
  if (database !== 'off') return write
  return async (changes) => (changes.every(({ kind }) => kinds.get(kind)?.$own) ? write(changes) : noDatabase)
}
