import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { kinds, storeKinds } from './config/kinds.ts'
import { settingsOf } from './config/settings.ts'
import type { Log } from './observe/log.ts'
import { checkInsert } from './schema/check.ts'
import { indexesOf } from './store/kinds.ts'
import { openStore } from './store/sqlite/open.ts'
import { type Store, type Stored, untold } from './store/store.ts'
import { watchTargets } from './target-health.ts'

const say = (): void => undefined
const log = { debug: say, info: say, notice: say, warn: say, error: say, setLevel: say } as unknown as Log

/** An entity with all its fields. */
function whole(kind: string, fields: object): Stored {
  const checked = checkInsert(kinds.get(kind)!, { ...fields })
  assert.ok(checked.ok)
  return checked.value as Stored
}

test('where it is not told what has changed, every upstream is looked at again, and what was set by hand meanwhile', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-health-'))
  const store = await openStore({ file: join(folder, 'gibbon.db'), kinds: indexesOf(storeKinds) })
  let tell: Parameters<Store['onCommit']>[0] = async () => undefined
  const watch = watchTargets({
    store: { ...store, reader: store.reader, onCommit: (listener) => void (tell = listener) },
    settings: settingsOf({}),
    log,
    onMove: () => undefined,
  })
  t.after(async () => {
    watch.close()
    await store.close()
    rmSync(folder, { recursive: true })
  })
  const passive = { unhealthy: { tcp_failures: 3 } }
  const upstream = whole('upstreams', { name: 'u', healthchecks: { passive } })
  const target = whole('targets', { target: '127.0.0.1:81', upstream: { id: upstream.id } })
  const byHand = {
    id: target.id,
    target: { id: target.id },
    ip: null,
    port: null,
    healthy: false,
    set_at: 1,
  }
  const written = await store.write([
    { do: 'insert', kind: 'upstreams', entity: upstream },
    { do: 'insert', kind: 'targets', entity: target },
    { do: 'insert', kind: 'target_health', entity: byHand },
  ])
  assert.ok(written.ok)
  assert.equal(await watch.healthOf(upstream.id), undefined, 'nobody has told it anything')

  await tell(written.revision, [untold(written.revision)])
  const wordOf = async () => JSON.stringify(await watch.healthOf(upstream.id))
  assert.match(await wordOf(), /"healthy":false/)
  await watch.set(upstream.id, target.id, undefined, true)
  assert.match(await wordOf(), /"healthy":true/)
  await tell(written.revision, [untold(written.revision)])
  assert.match(await wordOf(), /"healthy":true/, 'what was set by hand before is not set again')

  await store.write([{ do: 'delete', kind: 'upstreams', id: upstream.id }])
  await tell(written.revision, [untold(written.revision)])
  assert.equal(await watch.healthOf(upstream.id), undefined)
})
