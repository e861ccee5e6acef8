/** Kinds and folders for the store's tests. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { KindIndex } from './kinds.ts'
import { openStore, type OpenOptions } from './sqlite/open.ts'
import type { Operation, Store, StoreError, Written } from './store.ts'

const kind = (name: string, rest: Partial<KindIndex> = {}): KindIndex => ({
  kind: name,
  unique: [],
  together: [],
  foreign: [],
  ttl: false,
  ...rest,
})

/** A small world with every kind of constraint that Kong's entities have. */
export const sampleKinds: readonly KindIndex[] = [
  kind('services', {
    unique: ['name'],
    foreign: [{ field: 'client_certificate', kind: 'certificates', onDelete: 'restrict' }],
  }),
  kind('routes', { unique: ['name'], foreign: [{ field: 'service', kind: 'services', onDelete: 'restrict' }] }),
  kind('consumers', { unique: ['username', 'custom_id'] }),
  kind('jwt_secrets', { unique: ['key'], foreign: [{ field: 'consumer', kind: 'consumers', onDelete: 'cascade' }] }),
  kind('plugins', {
    unique: ['instance_name'],
    together: [['name', 'route', 'service', 'consumer']],
    foreign: ['route', 'service', 'consumer'].map((field) => ({ field, kind: `${field}s`, onDelete: 'cascade' })),
  }),
  kind('key_sets', { unique: ['name'] }),
  kind('keys', { together: [['kid', 'set']], foreign: [{ field: 'set', kind: 'key_sets', onDelete: 'null' }] }),
  kind('tokens', { unique: ['token'], ttl: true }),
]

/** A folder that is gone after the test, when `before` has been done. */
export function temporaryFolder(t: TestContext, before: () => Promise<void> = async () => {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-store-'))
  t.after(async () => {
    await before()
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

/** A store in a temporary folder, closed after the test. */
export async function sampleStore(t: TestContext, options: Partial<OpenOptions> = {}): Promise<Store> {
  const file = join(
    temporaryFolder(t, () => store.close()),
    'gibbon.db',
  )
  const store = await openStore({ file, kinds: sampleKinds, ...options })
  return store
}

/** Inserts entities, each a batch of its own, and fails the test where one is refused. */
export async function insertAll(
  store: Store,
  entities: readonly (readonly [kind: string, entity: Entity])[],
): Promise<void> {
  for (const [kind, entity] of entities) await succeed(store, { do: 'insert', kind, entity })
}

type Entity = { readonly id: string; readonly [field: string]: unknown }

/** Writes and gives what was changed, or throws what refused it. */
export async function succeed(store: Store, ...operations: Operation[]): Promise<Extract<Written, { ok: true }>> {
  const written = await store.write(operations)
  if (!written.ok) throw new Error(`refused: ${JSON.stringify(written.error)}`)
  return written
}

/** Writes and gives the error, or throws where there is none. */
export async function refused(store: Store, ...operations: Operation[]): Promise<StoreError> {
  const written = await store.write(operations)
  if (written.ok) throw new Error('it was written')
  return written.error
}
