/** Runs first in every thread of a gateway under test: a proxy worker dies in the way that a file's content asks for. */
import { readFileSync, renameSync } from 'node:fs'
import { threadId, workerData } from 'node:worker_threads'

const some = (): unknown => Array.from({ length: 1000 }, () => ({}))

const deaths: Readonly<Record<string, () => void>> = {
  throws: () => {
    throw new Error('thrown by the test')
  },
  loops: () => {
    for (;;);
  },
  'fills the heap': () => {
    const kept: unknown[] = []
    for (;;) kept.push(some())
  },
  // It goes on to serve meanwhile.
  'fills the heap slowly': () => {
    const kept: unknown[] = []
    setInterval(() => {
      for (let left = 20; left > 0; left--) kept.push(some())
    }, 1)
  },
}

const file = process.env['TEST_DIE_FILE']

// The proxy's workers are the threads that are given listeners.
if (file && (workerData as { listeners?: unknown } | null)?.listeners) {
  setInterval(() => {
    const mine = `${file}.${threadId}`
    try {
      // Only one of them gets it.
      renameSync(file, mine)
    } catch {
      return
    }
    deaths[readFileSync(mine, 'utf8')]?.()
  }, 20).unref()
}
