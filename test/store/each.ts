/** For tests of the store's interface: each case runs against every store that there is. */
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { openPostgresStore } from '../../src/store/postgres/open.ts'
import { sampleKinds, sampleStore, temporaryFolder } from '../../src/store/sample.ts'
import type { Store } from '../../src/store/store.ts'
import { type PostgresServer, startPostgres, withoutPostgres } from '../postgres/server.ts'

interface Options {
  readonly keep?: number
  readonly report?: (error: Error) => void
}

/** Runs a case with an empty store of each sort. */
export function onEachStore(
  title: string,
  run: (store: Store, t: TestContext) => Promise<void>,
  options: Options = {},
) {
  test(title, async (t) => run(await sampleStore(t, options), t))
  test(`${title} (PostgreSQL)`, { skip: withoutPostgres ?? false }, async (t) => run(await sharedStore(t, options), t))
}

/** One node's store on a database of its own. */
export async function sharedStore(t: TestContext, options: Options = {}): Promise<Store> {
  const database = await (await postgres()).database()
  const folder = temporaryFolder(t, () => store.close())
  const store = await openPostgresStore({
    database,
    file: join(folder, 'copy.db'),
    kinds: sampleKinds,
    patienceMs: 60_000,
    ...options,
  })
  return store
}

let server: Promise<PostgresServer> | undefined

/** The server of this file's tests, started when it is first asked for. */
export function postgres(): Promise<PostgresServer> {
  server ??= startPostgres()
  return server
}

after(async () => (await server)?.stop())
