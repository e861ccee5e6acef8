/** The store of a gateway that does not run, for commands that write to it. */
import { mkdirSync } from 'node:fs'
import { storeKinds } from '../config/kinds.ts'
import type { Settings } from '../config/settings.ts'
import { openConfiguredStore } from '../store/configured.ts'
import { readKeyring } from '../store/keyring.ts'
import { lockPrefix } from '../store/lock.ts'
import { type SealedStore, sealStore } from '../store/sealed.ts'

/**
 * Opens it, holding the prefix's lock, for as long as `use` takes. Rejects where another
 * process holds that, or it cannot be opened, or is sealed with keys that the settings do not name.
 */
export async function withStore<T>(settings: Settings, use: (store: SealedStore) => Promise<T>): Promise<T> {
  const keyring = readKeyring(settings)
  mkdirSync(settings.prefix, { recursive: true, mode: 0o700 })
  const lock = lockPrefix(settings.prefix)
  try {
    const store = await openConfiguredStore(settings)
    try {
      return await use(await sealStore(store, { keyring, kinds: storeKinds }))
    } finally {
      await store.close()
    }
  } finally {
    lock.release()
  }
}
