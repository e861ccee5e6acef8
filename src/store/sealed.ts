/**
 * A store whose secrets lie sealed in it: over any store, so that files, backups and databases hold none in clear. What is
 * read is opened once, on its way into memory. Which fields are secrets follows from the schemas (`schema/secrets.ts`).
 *
 * A unique secret, such as a key-auth key, is found by a blind index: an HMAC under a key that is made once, lies sealed in
 * the store's `keyrings` entity, and stays when the keys are changed, so that a value has one index at any time.
 */
import { randomBytes } from 'node:crypto'
import { mask } from '../config/settings.ts'
import { keyrings } from '../entities/keyrings.ts'
import type { Schema } from '../schema/field.ts'
import { mapSecrets, maySecrets, uniqueSecrets } from '../schema/secrets.ts'
import { blindIndex, isSealed, keyIdOf, type Keyring, type Sealed, type Sealer, sealerOf } from './keyring.ts'
import type { ContentEntities, Kind, Operation, Reader, Store, Stored, StoreError, Written } from './store.ts'

export interface SealingOptions {
  /** The keys of the settings; undefined where there are none. */
  readonly keyring: Keyring | undefined
  readonly kinds: ReadonlyMap<Kind, Schema>
}

/** How a store is sealed. */
export interface SealingStatus {
  /** The id of the key that seals; null where nothing is sealed. */
  readonly active: string | null
  /** The ids of the keys at hand, and of those that the store needs. */
  readonly keyring: readonly string[]
  readonly needed: readonly string[]
}

export interface SealedStore extends Store {
  sealing(): SealingStatus
  /** Seals everything with the active key, after which the store needs no other; how many entities were written. */
  rotate(): Promise<number>
}

const recordId = '5ea1ed00-0000-4000-8000-000000000000'
const pageSize = 500

interface KeyringRecord extends Stored {
  readonly keys: readonly string[]
  readonly index_key: Sealed
  readonly complete: boolean
}

/**
 * Seals a store with the keyring, all that it holds when that is done for the first time. Without a keyring the store is as
 * it was. Rejects, naming the keys by their ids, where the store needs keys that are not there.
 */
export async function sealStore(store: Store, { keyring, kinds }: SealingOptions): Promise<SealedStore> {
  const found = recordOf(store.reader)
  refuseWithoutKeys(found, keyring)
  if (!keyring) return { ...store, sealing: () => unsealed, rotate: () => Promise.resolve(0) }
  const sealer = sealerOf(keyring)
  const record = found ?? (await newRecord(store, sealer))
  refuseWithoutKeys(record, keyring)
  const codec = codecOf(sealer, indexKeyOf(record, sealer), kinds)
  const written = async (operations: readonly Operation[]) => refuseFailure(await store.write(operations))
  if (!record.keys.includes(sealer.active)) await written([needing(record, sealer.active)])
  const rotate = async () => {
    const count = await sealEverything(store, codec, kinds)
    const now = recordOf(store.reader)
    if (now) await written([update(now, { ...rewrapped(now, sealer), keys: [sealer.active], complete: true })])
    return count
  }
  if (!record.complete) await rotate()
  return {
    ...store,
    reader: openingReader(store.reader, codec),
    write: (operations, since) => writeSealed(store, codec, operations, since),
    rotate,
    sealing: () => ({
      active: sealer.active,
      keyring: sealer.keys,
      needed: recordOf(store.reader)?.keys ?? [],
    }),
  }
}

/** A reader for one that only reads, such as a worker. Throws where the store needs keys that are not there. */
export function openSealed(reader: Reader, { keyring, kinds }: SealingOptions): Reader {
  const record = recordOf(reader)
  refuseWithoutKeys(record, keyring)
  if (!record || !keyring) return reader
  const sealer = sealerOf(keyring)
  return openingReader(reader, { ...codecOf(sealer, indexKeyOf(record, sealer), kinds), keep: () => undefined })
}

/** Whether no secret lies in a store in clear. */
export const isSealedStore = (reader: Pick<Reader, 'get'>): boolean => recordOf(reader)?.complete === true

/** What a store holds with a mask in the place of each secret, for which no key is needed. */
export function masking(reader: Pick<Reader, 'all'>, kinds: ReadonlyMap<Kind, Schema>): Pick<Reader, 'all'> {
  return {
    *all(kind) {
      const schema = kinds.get(kind)
      for (const entity of reader.all(kind)) yield schema ? mapSecrets(schema, entity, () => mask) : entity
    },
  }
}

const unsealed: SealingStatus = { active: null, keyring: [], needed: [] }

const recordOf = (reader: Pick<Reader, 'get'>): KeyringRecord | undefined =>
  reader.get(keyrings.name, recordId) as KeyringRecord | undefined

function refuseWithoutKeys(record: KeyringRecord | undefined, keyring: Keyring | undefined): void {
  const missing = record?.keys.filter((id) => !keyring?.keys.has(id)) ?? []
  if (missing.length === 0) return
  const which = missing.length === 1 ? `the key ${missing[0]}` : `the keys ${missing.join(', ')}`
  const there = keyring ? `the keyring has ${[...keyring.keys.keys()].join(', ')}` : 'no keyring_file is given'
  throw new Error(`the store is sealed, and needs ${which}: ${there}`)
}

/** Says first that the store is sealed with a key, then uses it. Another node may be the first to say so. */
async function newRecord(store: Store, sealer: Sealer): Promise<KeyringRecord> {
  const index_key = sealer.seal(indexPlace, randomBytes(32).toString('base64'))
  const entity: KeyringRecord = { id: recordId, keys: [sealer.active], index_key, complete: false }
  const written = await store.write([{ do: 'insert', kind: keyrings.name, entity }])
  if (!written.ok && written.error.code !== 'primary') refuseFailure(written)
  store.reader.renew()
  return recordOf(store.reader) ?? entity
}

const indexPlace = `${keyrings.name}/${recordId}/index_key`

function indexKeyOf({ index_key }: KeyringRecord, sealer: Sealer): string {
  return String(sealer.open(indexPlace, index_key))
}

const rewrapped = (record: KeyringRecord, sealer: Sealer): KeyringRecord => ({
  ...record,
  index_key: sealer.seal(indexPlace, indexKeyOf(record, sealer)),
})

const update = (expected: KeyringRecord, entity: KeyringRecord): Operation => ({
  do: 'update',
  kind: keyrings.name,
  entity,
  expected,
})

const needing = (record: KeyringRecord, id: string): Operation =>
  update(record, { ...record, keys: [...record.keys, id] })

function refuseFailure(written: Written): void {
  if (!written.ok) throw new Error(`the store cannot be sealed: ${JSON.stringify(written.error)}`)
}

/** Turns entities into what is stored, and back. */
interface Codec {
  readonly active: string
  seal(kind: Kind, entity: Stored): Stored
  open(kind: Kind, entity: Stored): Stored
  /** The text that a unique field's value is found by. */
  indexed(kind: Kind, field: string, value: string): string
  /** Remembers what an opened entity was stored as, and gives it. */
  keep(opened: Stored, stored: Stored): void
  stored(opened: Stored): Stored | undefined
}

function codecOf(sealer: Sealer, indexKey: string, kinds: ReadonlyMap<Kind, Schema>): Codec {
  const unique = new Map([...kinds].map(([kind, schema]) => [kind, new Set(uniqueSecrets(schema))]))
  const stored = new WeakMap<Stored, Stored>()
  const place = (kind: Kind, { id }: Stored, path: string): string => `${kind}/${id}/${path}`
  return {
    active: sealer.active,
    seal(kind, entity) {
      const schema = kinds.get(kind)
      if (!schema) return entity
      return mapSecrets(schema, entity, (value, path) => {
        const sealed = sealer.seal(place(kind, entity, path), value)
        if (!unique.get(kind)?.has(path)) return sealed
        return { ...sealed, id: blindIndex(indexKey, kind, path, String(value)) }
      })
    },
    open(kind, entity) {
      const schema = kinds.get(kind)
      if (!schema) return entity
      return mapSecrets(schema, entity, (value, path) =>
        isSealed(value) ? sealer.open(place(kind, entity, path), value) : value,
      )
    },
    indexed: (kind, field, value) => (unique.get(kind)?.has(field) ? blindIndex(indexKey, kind, field, value) : value),
    keep: (opened, as) => void stored.set(opened, as),
    stored: (opened) => stored.get(opened),
  }
}

function openingReader(reader: Reader, codec: Codec): Reader {
  const open = (kind: Kind, entity: Stored): Stored => {
    const opened = codec.open(kind, entity)
    if (opened !== entity) codec.keep(opened, entity)
    return opened
  }
  const maybe = (kind: Kind, entity: Stored | undefined) => entity && open(kind, entity)
  return {
    get revision() {
      return reader.revision
    },
    renew: () => reader.renew(),
    get: (kind, id) => maybe(kind, reader.get(kind, id)),
    by: (kind, field, value) => maybe(kind, reader.by(kind, field, codec.indexed(kind, field, value))),
    page(kind, request) {
      const page = reader.page(kind, request)
      return { ...page, entities: page.entities.map((entity) => open(kind, entity)) }
    },
    *all(kind) {
      for (const entity of reader.all(kind)) yield open(kind, entity)
    },
    count: (kind) => reader.count(kind),
    tags: (request) => reader.tags(request),
    changesSince: (revision) => reader.changesSince(revision),
    meta: (name) => reader.meta(name),
    close: () => reader.close(),
  }
}

async function writeSealed(
  store: Store,
  codec: Codec,
  operations: readonly Operation[],
  since: number | undefined,
): Promise<Written> {
  const record = recordOf(store.reader)
  // Another node's rotation may have ended the need for this node's key: from now on there is one again.
  const first = record && !record.keys.includes(codec.active) ? [needing(record, codec.active)] : []
  const written = await store.write([...first, ...operations.map((operation) => sealed(operation, codec))], since)
  if (written.ok) return written
  const error = opened(written.error, codec, operations)
  return { ok: false, at: Math.max(0, written.at - first.length), error }
}

function sealed(operation: Operation, codec: Codec): Operation {
  switch (operation.do) {
    case 'insert':
    case 'upsert':
      return { ...operation, entity: codec.seal(operation.kind, operation.entity) }
    case 'update': {
      const { kind, expected } = operation
      const entity = codec.seal(kind, operation.entity)
      if (!expected) return { ...operation, entity }
      return { ...operation, entity, expected: codec.stored(expected) ?? codec.seal(kind, expected) }
    }
    case 'replace-all': {
      return { ...operation, entities: sealedEntities(operation.entities, codec) }
    }
    default:
      return operation
  }
}

function* sealedEntities(entities: ContentEntities, codec: Codec): ContentEntities {
  for (const { kind, entity } of entities) yield { kind, entity: codec.seal(kind, entity) }
}

/** An error with the values that the caller wrote, in place of those that the store has seen. */
function opened(error: StoreError, codec: Codec, operations: readonly Operation[]): StoreError {
  if (error.code !== 'unique') return error
  const { kind } = error
  const mine = operations.flatMap((operation) =>
    operation.do === 'replace-all'
      ? // Those that were read as they were gone through are not there any more.
        [operation.entities].filter(Array.isArray).flatMap(entitiesOf(kind))
      : 'entity' in operation && operation.kind === kind
        ? [operation.entity]
        : [],
  )
  const clear = ([field, value]: [string, unknown]): [string, unknown] => {
    if (!isSealed(value)) return [field, value]
    const owner = mine.find((entity) => codec.indexed(kind, field, String(entity[field])) === value.id)
    return [field, owner?.[field] ?? null]
  }
  return { ...error, fields: Object.fromEntries(Object.entries(error.fields).map(clear)) }
}

const entitiesOf =
  (wanted: Kind) =>
  (entities: readonly { readonly kind: Kind; readonly entity: Stored }[]): readonly Stored[] =>
    entities.flatMap(({ kind, entity }) => (kind === wanted ? [entity] : []))

/** Seals whatever is not sealed with the active key, page after page; what others change meanwhile they seal themselves. */
async function sealEverything(store: Store, codec: Codec, kinds: ReadonlyMap<Kind, Schema>): Promise<number> {
  let count = 0
  for (const [kind, schema] of kinds) {
    if (!maySecrets(schema)) continue
    let offset: string | undefined
    do {
      store.reader.renew()
      const page = store.reader.page(kind, { size: pageSize, ...(offset !== undefined && { offset }) })
      count += await sealPage(store, codec, kind, schema, page.entities)
      offset = page.offset
    } while (offset !== undefined)
  }
  return count
}

async function sealPage(
  store: Store,
  codec: Codec,
  kind: Kind,
  schema: Schema,
  entities: readonly Stored[],
): Promise<number> {
  const open = entities.filter((entity) => needsSealing(schema, entity, codec.active))
  if (open.length === 0) return 0
  const reseal = (expected: Stored): Operation => ({
    do: 'update',
    kind,
    entity: codec.seal(kind, codec.open(kind, expected)),
    expected,
  })
  const written = await store.write(open.map(reseal))
  if (written.ok) return open.length
  if (written.error.code !== 'conflict' && written.error.code !== 'absent') refuseFailure(written)
  // Somebody changed one of them: one by one, as they are now.
  let count = 0
  for (const { id } of open) {
    store.reader.renew()
    const entity = store.reader.get(kind, id)
    if (entity) count += await sealPage(store, codec, kind, schema, [entity])
  }
  return count
}

function needsSealing(schema: Schema, entity: Stored, active: string): boolean {
  let needs = false
  mapSecrets(schema, entity, (value) => {
    if (!isSealed(value) || keyIdOf(value) !== active) needs = true
    return value
  })
  return needs
}
