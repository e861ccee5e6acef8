/** What a gateway leaves to the process that takes its place, step by step, and how it goes on without. */
import { setTimeout as wait } from 'node:timers/promises'
import type { RunningAdmin } from './admin/server.ts'
import type { Settings } from './config/settings.ts'
import type { ProofUses } from './plugins/jwt/proof-memory.ts'
import type { Proofs } from './proof-uses.ts'
import { fdOf, keysOf, type ListeningSocket } from './sockets.ts'
import type { GivableStore } from './store/given.ts'
import { lockPrefix } from './store/lock.ts'
import type { Operation, Store, Written } from './store/store.ts'
import type { TlsKeeper } from './tls-keeper.ts'
import type { Retiring, Workers } from './workers.ts'

/** What the successor goes on with, beside the store and the sockets. */
export interface Legacy {
  /** By which TLS clients resume their sessions, in Base64; undefined where no listener speaks TLS. */
  readonly ticketKeys?: string | undefined
  /** What the nonces for proofs follow from, in Base64. */
  readonly nonceSecret?: string
  /** What was counted on this node alone (`CountTable.save`), in Base64. */
  readonly counts?: string
}

export interface Handover {
  /** All that is listened on. */
  sockets(): ListeningSocket[]
  /** Leaves the store and the prefix to another process; what is written waits. */
  give(): Promise<Legacy>
  /** Takes them back from a process that could not go on. */
  takeBack(): Promise<void>
  /**
   * Takes no more connections; those that are there are served on, for at most `reload_drain_timeout`. The new owner of the store
   * writes from now on.
   */
  retire(write: Store['write']): Retiring
  /** Puts in force what the new owner of the store has committed. */
  look(): Promise<void>
  write(operations: readonly Operation[]): Promise<Written>
  readonly useProof: ProofUses['use']
  /** Has somebody told of each commit before it is answered. */
  onCommit(tell: () => Promise<void>): void
}

export interface HandoverParts {
  readonly settings: Settings
  readonly store: GivableStore
  readonly lock: PrefixLock
  readonly tls: TlsKeeper | undefined
  readonly proofs: Proofs
  readonly counts: () => Buffer
  readonly workers: Workers
  readonly admin: RunningAdmin
  readonly status: RunningAdmin
  /** Follows the declarative file. */
  readonly watch: { begin(): void; end(): void }
}

/** The prefix's lock, which passes from process to process. */
export interface PrefixLock {
  release(): void
  /** Locks it again. Rejects where somebody else keeps it. */
  take(): Promise<void>
}

const againMs = 100
const mostTries = 50

/** Locks the prefix; where it is `handedOver`, patiently, as whoever only looks who has it locks it for a moment. */
export async function lockOf(prefix: string, handedOver: boolean): Promise<PrefixLock> {
  const patiently = async (): Promise<{ release(): void }> => {
    for (let triesLeft = mostTries; ; triesLeft--) {
      try {
        return lockPrefix(prefix)
      } catch (error) {
        if (triesLeft === 0) throw error
        await wait(againMs)
      }
    }
  }
  let held = handedOver ? await patiently() : lockPrefix(prefix)
  return {
    release: () => held.release(),
    take: async () => void (held = await patiently()),
  }
}

export function createHandover(parts: HandoverParts): Handover {
  const { settings, store, lock, tls, proofs, counts, workers, admin, status, watch } = parts
  return {
    sockets: () => [
      ...workers.sockets(),
      ...socketsOf(keysOf('admin_listen', settings.admin_listen), admin),
      ...socketsOf(keysOf('status_listen', settings.status_listen), status),
    ],
    give: async () => {
      watch.end()
      await store.give()
      lock.release()
      return {
        ticketKeys: tls && Buffer.from(tls.setup.ticketKeys).toString('base64'),
        nonceSecret: Buffer.from(proofs.nonceSecret).toString('base64'),
        counts: counts().toString('base64'),
      }
    },
    takeBack: async () => {
      await lock.take()
      await store.takeBack()
      watch.begin()
    },
    retire: (write) => {
      store.writeThrough(write)
      const proxying = workers.retire()
      const answering = Promise.all([admin.retire(), status.retire()])
      const late = wait(settings.reload_drain_timeout, undefined, { ref: false })
      const gone = Promise.race([Promise.all([proxying.gone, answering]), late]).then(() => {})
      return { closed: proxying.closed, gone }
    },
    look: () => store.look(),
    write: (operations) => store.write(operations),
    useProof: (key, until) => proofs.use(key, until),
    onCommit: (tell) => store.onCommit(tell),
  }
}

const socketsOf = (keys: readonly string[], { servers, ports }: RunningAdmin): ListeningSocket[] =>
  servers.map((server, at) => ({ key: keys[at] ?? '', port: ports[at] ?? 0, fd: fdOf(server), server }))
