import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ownThread, ranMs } from './thread-time.ts'

test('of two threads the one that runs is told from the one that waits', async () => {
  const start = (then: string) => {
    const module = JSON.stringify(new URL('./thread-time.ts', import.meta.url))
    const code = `import(${module}).then((m) => { require('node:worker_threads').parentPort.postMessage(m.ownThread()); ${then} })`
    return new Worker(code, { eval: true })
  }
  const [busy, waiting] = [start('for (;;);'), start('setInterval(() => {}, 1000)')]
  const [[busyThread], [waitingThread]] = (await Promise.all([once(busy, 'message'), once(waiting, 'message')])) as [
    [number],
    [number],
  ]
  const [busyBefore, waitingBefore] = [ranMs(busyThread), ranMs(waitingThread)]
  while (ranMs(busyThread) - busyBefore < 50) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.ok(ranMs(waitingThread) - waitingBefore < 50)
  assert.notEqual(ownThread(), busyThread)
  await Promise.all([busy.terminate(), waiting.terminate()])
})

test('where a thread is not known, the process is told of', () => {
  const { user, system } = process.cpuUsage()
  assert.ok(ranMs(undefined) >= (user + system) / 1000)
})
