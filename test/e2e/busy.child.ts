/** Runs first in every thread of a gateway under test: its proxy workers are busy most of the time. */
import { workerData } from 'node:worker_threads'

const busyMs = 150
const freeMs = 50

// The proxy's workers are the threads that are given listeners.
if ((workerData as { listeners?: unknown } | null)?.listeners) {
  const work = (): void => {
    for (const end = performance.now() + busyMs; performance.now() < end;);
    setTimeout(work, freeMs).unref()
  }
  work()
}
