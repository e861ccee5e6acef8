/** Trouble with the logs themselves, which has to be told where it is seen in any case: on standard error. */
import { openTarget } from './log-target.ts'

export interface Troubles {
  /** Tells it, unless it was told before: each worker has the same disk and the same trouble with it. */
  readonly tell: (message: string) => void
  /** Lets everything be told once more, as when the logs are opened anew. */
  readonly forget: () => void
}

/** Makes the teller. `write` puts a line on standard error. */
export function createTroubles(write: (line: string) => void = writeToStderr): Troubles {
  const told = new Set<string>()
  return {
    tell: (message) => {
      if (told.has(message)) return
      told.add(message)
      write(`gibbon: ${message}\n`)
    },
    forget: () => told.clear(),
  }
}

function writeToStderr(line: string): void {
  try {
    const target = openTarget('/dev/stderr')
    target.writeNow(Buffer.from(line))
    target.close()
  } catch {
    // Nobody listens there either, and the gateway has better to do than to stop for it.
  }
}
