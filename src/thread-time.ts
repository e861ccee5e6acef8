/** How long threads of this process have run, by which one that hangs is told from one that does not get to run. */
import { readFileSync, readlinkSync } from 'node:fs'

/** The kernel's number of the calling thread; undefined where it does not tell it. */
export function ownThread(): number | undefined {
  try {
    return Number(/\d+$/.exec(readlinkSync('/proc/thread-self'))?.[0])
  } catch {
    return undefined
  }
}

/** How long a thread has run so far, in ms; the whole process where that is not known. Source: proc(5), Documentation/scheduler/sched-stats. */
export function ranMs(thread: number | undefined): number {
  try {
    if (thread !== undefined)
      return Number.parseInt(readFileSync(`/proc/self/task/${thread}/schedstat`, 'latin1')) / 1e6
  } catch {
    // A kernel without these figures, or a thread that has ended.
  }
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
