import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { sampleKinds, succeed, temporaryFolder } from '../sample.ts'
import { openStore } from './open.ts'

/** Folders of the temporary files that this process has open; SQLite gives them names and takes those away at once. */
function foldersOfTemporaryFiles(): ReadonlySet<string> {
  const open = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)]
    } catch {
      return []
    }
  })
  return new Set(open.filter((path) => path.includes('etilqs')).map(dirname))
}

test(
  'a content that does not fit into memory lies beside the store while it is gathered',
  {
    skip: process.platform === 'linux' ? false : 'there is no /proc',
  },
  async (t) => {
    const folder = join(temporaryFolder(t), "where it's kept")
    const store = await openStore({ file: join(folder, 'gibbon.db'), kinds: sampleKinds })
    const folders = new Set<string>()
    const look = (): void => {
      for (const found of foldersOfTemporaryFiles()) folders.add(found)
    }
    const timer = setInterval(look, 5)
    t.after(() => clearInterval(timer))
    const entities = function* () {
      for (let at = 0; at < 24_000; at++) {
        yield { kind: 'services', entity: { id: `s${at}`, name: null, text: 'x'.repeat(4000) } }
        if (at % 1000 === 0) look()
      }
    }
    await succeed(store, { do: 'replace-all', entities: entities() })
    await store.close()
    assert.deepEqual(folders, new Set([folder]))
  },
)
