/** For a test: a thread that guesses a name's password so many times, and tells how many guesses counted. */
import { parentPort, workerData } from 'node:worker_threads'
import { testKong } from '../../pdk/testing.ts'
import { failuresIn } from './failures.ts'

const { memory, now } = workerData as { readonly memory: SharedArrayBuffer; readonly now: number }
const failures = failuresIn(memory, () => now)
const { log } = testKong()
let counted = 0
for (let guess = 0; guess < 20_000; guess++) {
  if (failures.attempt({ username: 'alice', isKnown: true }, false, log) === 0) counted++
}
parentPort?.postMessage(counted)
