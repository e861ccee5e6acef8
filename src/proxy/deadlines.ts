/**
 * Deadlines of many connections, cheap to move: setting one is writing a number, and one coarse clock looks at all of them.
 * A deadline is met up to `tickMs` late, never early.
 */
import { look } from './clock.ts'

/** Something with a point in time (ms since 1970; Infinity for none) after which `onDeadline` is called. */
export interface Timed {
  deadline: number
  onDeadline(): void
}

const tickMs = 50

export interface Deadlines {
  add(timed: Timed): void
  delete(timed: Timed): void
  /** Ends the clock. */
  close(): void
}

/** Watches over the deadlines of a worker's connections. */
export function createDeadlines(now = look): Deadlines {
  const all = new Set<Timed>()
  const check = () => {
    const time = now()
    for (const timed of all) {
      if (timed.deadline > time) continue
      timed.deadline = Infinity
      timed.onDeadline()
    }
  }
  // Looked at after the sockets: where the thread was busy for long, what has arrived meanwhile counts as in time.
  const clock = setInterval(() => setImmediate(check), tickMs)
  clock.unref()
  return {
    add: (timed) => void all.add(timed),
    delete: (timed) => void all.delete(timed),
    close: () => clearInterval(clock),
  }
}
