/**
 * Both ends of the wire in one process, which does not sleep while something is measured: what load generator and service would
 * pay to be woken is charged to whoever writes to them, and the slower a gateway is, the more often they would have slept.
 */
import { run } from './load.ts'
import type { Job } from './messages.ts'
import { listen } from './upstream.ts'

let jobs = 0

process.on('message', (job: Job) => {
  if (++jobs === 1) stayAwake()
  void run(job).then((outcome) => {
    jobs--
    process.send?.(outcome)
  })
})
process.on('disconnect', () => process.exit())

function stayAwake(): void {
  if (jobs > 0) setImmediate(stayAwake)
}

process.send?.({ port: await listen() })
