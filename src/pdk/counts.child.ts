/** For a test: a thread that counts names up to their limits, and tells how often it might. */
import { parentPort, workerData } from 'node:worker_threads'
import { CountTable } from './counts.ts'

const { memory, names, most } = workerData as {
  readonly memory: SharedArrayBuffer
  readonly names: number
  readonly most: number
}
const table = new CountTable(memory)
let counted = 0
for (let round = 0; round < most; round++) {
  for (let name = 0; name < names; name++) {
    if (table.add(table.placeOf(`name-${name}`, 100, 10), 1) < most) counted++
  }
}
parentPort?.postMessage(counted)
