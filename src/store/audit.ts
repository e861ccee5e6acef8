/**
 * Follows what is written to a store, and by whom, with every secret masked. What belongs to one request is found again
 * through the asynchronous calls that it leads to, so that nobody has to hand it on.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { AuditedChange, AuditLog } from '../observe/audit.ts'
import type { Schema } from '../schema/field.ts'
import { mapSecrets } from '../schema/secrets.ts'
import { mask } from '../config/settings.ts'
import type { Change, Operation, Store, Stored, Written } from './store.ts'

/** Changes that one entry tells of; of more only the number. */
const MOST_CHANGES = 1000

export interface Audit {
  /** The store whose writes are followed. */
  readonly store: Store
  /** Runs something on somebody's behalf and writes an entry of what it changed: `facts`, and those that its outcome gives. */
  follow<T>(facts: Facts, run: () => Promise<T>, outcome: (result: T) => Facts): Promise<T>
}

type Facts = Readonly<Record<string, unknown>>

type Outcome = Extract<Written, { ok: true }>

interface Followed {
  readonly changes: AuditedChange[]
  more: number
}

/** Follows a store's writes into a log. */
export function audited(store: Store, log: AuditLog, kinds: ReadonlyMap<string, Schema>): Audit {
  const current = new AsyncLocalStorage<Followed>()

  const write = async (operations: readonly Operation[], since?: number): Promise<Written> => {
    const followed = current.getStore()
    if (!followed) return store.write(operations, since)
    const entities = new Map(operations.flatMap((operation) => written(operation, store.reader)))
    const outcome = await store.write(operations, since)
    // Named values beside the entities are the store's own affair.
    if (outcome.ok) note(followed, outcome, entities)
    return outcome
  }
  const note = (followed: Followed, { changes, more = 0 }: Outcome, entities: Entities): void => {
    const named = changes.filter(({ kind }) => kind !== 'meta' && kind !== '')
    const room = MOST_CHANGES - followed.changes.length
    followed.changes.push(...named.slice(0, room).map((change) => audit(change, entities, kinds)))
    followed.more += more + Math.max(0, named.length - room)
  }
  return {
    store: { ...store, reader: store.reader, write },
    follow: async (facts, run, outcome) => {
      const followed: Followed = { changes: [], more: 0 }
      const entry = (more: Facts) => {
        const rest = followed.more > 0 ? { more_changes: followed.more } : {}
        log.write({ ...facts, ...more, ...rest, changes: followed.changes })
      }
      try {
        const result = await current.run(followed, run)
        entry(outcome(result))
        return result
      } catch (error) {
        entry({ failed: true })
        throw error
      }
    },
  }
}

/** An entity before and after an operation, by its kind and id. */
type Entities = ReadonlyMap<string, { readonly before?: Stored; readonly after?: Stored }>

const keyOf = (kind: string, id: string): string => `${kind}/${id}`

/** What a replacement of everything replaces is not read: its changes are told without values. */
function written(operation: Operation, reader: Store['reader']): [string, { before?: Stored; after?: Stored }][] {
  if (operation.do === 'replace-all' || operation.do === 'meta') return []
  const { kind } = operation
  const id = operation.do === 'delete' ? operation.id : operation.entity.id
  const before = operation.do === 'insert' ? undefined : reader.get(kind, id)
  const after = operation.do === 'delete' ? undefined : operation.entity
  return [[keyOf(kind, id), { ...(before && { before }), ...(after && { after }) }]]
}

function audit({ operation, kind, id }: Change, entities: Entities, kinds: ReadonlyMap<string, Schema>): AuditedChange {
  const { before, after } = entities.get(keyOf(kind, id)) ?? {}
  const schema = kinds.get(kind)
  if (!schema) return { operation, kind, id }
  const secrets = new Map<string, string>()
  const maskedBefore =
    before &&
    mapSecrets(schema, before, (secret, path) => {
      secrets.set(path, JSON.stringify(secret))
      return mask
    })
  const isNew = (secret: unknown, path: string) => before !== undefined && secrets.get(path) !== JSON.stringify(secret)
  const maskedAfter =
    after && mapSecrets(schema, after, (secret, path) => (isNew(secret, path) ? `${mask} (changed)` : mask))
  return {
    operation,
    kind,
    id,
    ...(maskedBefore && { before: maskedBefore }),
    ...(maskedAfter && { after: maskedAfter }),
  }
}
