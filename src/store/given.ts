/** A store that one process gives to another one while it goes on to serve from it. */
import type { OwnedStore, Store } from './store.ts'

export interface GivableStore extends Store {
  /** Holds what is to be written from now on, and lets go of the store when what is under way is written. */
  give(): Promise<void>
  /** Goes on where `give` left off, with what was held and with what was written meanwhile. */
  takeBack(): Promise<void>
  /** Has the new owner write what was held, and all that is to be written from now on. */
  writeThrough(write: Store['write']): void
  /** Tells the listeners of what the new owner has committed. */
  look(): Promise<void>
}

/** Makes a store one that can be given away. */
export function givable(store: OwnedStore): GivableStore {
  let owner: Pick<Store, 'write' | 'refresh' | 'reachable'> = store
  let held: PromiseWithResolvers<void> | undefined
  const goOn = (): void => {
    held?.resolve()
    held = undefined
  }
  return {
    ...store,
    reader: store.reader,
    async write(operations, since) {
      if (!held) return owner.write(operations, since)
      await held.promise
      // Its time begins anew: it was not the database that held it up.
      return owner.write(operations)
    },
    refresh: () => owner.refresh(),
    reachable: () => owner.reachable(),
    async give() {
      held ??= Promise.withResolvers()
      await store.release()
    },
    async takeBack() {
      await store.resume()
      goOn()
      await store.look()
    },
    writeThrough(write) {
      owner = { write, refresh: async () => void store.reader.renew(), reachable: () => true }
      goOn()
    },
  }
}
