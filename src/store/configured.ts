import { storeKinds } from '../config/kinds.ts'
import { type Settings, storeFile } from '../config/settings.ts'
import type { Log } from '../observe/log.ts'
import { indexesOf } from './kinds.ts'
import { openStore } from './sqlite/open.ts'
import type { OwnedStore } from './store.ts'

/**
 * Opens the store that the settings name, for all kinds of entities; the caller holds the prefix's lock. The log is told of what
 * nobody waits for.
 */
export async function openConfiguredStore(settings: Settings, log?: Log): Promise<OwnedStore> {
  const common = {
    file: storeFile(settings),
    kinds: indexesOf(storeKinds),
    ...(log && { report: (error: Error) => log.error(error.message) }),
  }
  if (settings.database !== 'postgres') return openStore(common)
  // Loaded only where it is used: a gateway starts sooner without.
  const { openPostgresStore } = await import('./postgres/open.ts')
  const { databaseOf } = await import('./postgres/database.ts')
  const onState = (problem: Error | undefined) => {
    if (!problem) log?.notice('the shared database is followed')
    else log?.error(`the shared database cannot be used, and requests are served from the copy: ${problem.message}`)
  }
  return openPostgresStore({ ...common, onState, database: databaseOf(settings) })
}
