/** Longest that batches wait for others, in ms. */
const longestWaitMs = 5

export interface GatheringOptions<T> {
  readonly commit: (batches: readonly T[]) => void
  /** Takes what has arrived meanwhile, while `commit` kept the thread from hearing of it. */
  readonly arrived: () => readonly T[]
  readonly now?: () => number
  readonly wait?: (run: () => void, ms: number) => NodeJS.Timeout
}

/**
 * Gathers batches for one commit. Writers that each wait for their answer, as decK's ten do, send their next batches one shortly
 * after the other; were the first of them committed alone, the others would wait for the disk twice, and the workers would
 * adopt a revision for each. So as many are awaited as there are writers: those just answered, and those whose batches came
 * during the commit; for at most as long as the commit took. A lone writer never waits, and nobody does where the disk is fast.
 */
export function gathering<T>({
  commit,
  arrived,
  now = () => performance.now(),
  wait = setTimeout,
}: GatheringOptions<T>) {
  let waiting: T[] = []
  let writers = 1
  let commitMs = 0
  let timer: NodeJS.Timeout | undefined

  const waitMs = () => (waiting.length >= writers ? 0 : Math.min(longestWaitMs, Math.floor(commitMs)))
  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    while (waiting.length > 0) {
      const batches = waiting
      const begun = now()
      commit(batches)
      commitMs = now() - begun
      waiting = [...arrived()]
      writers = batches.length + waiting.length
      if (waiting.length === 0 || waitMs() === 0) continue
      timer = wait(flush, waitMs())
      return
    }
  }
  return {
    add(batches: readonly T[]): void {
      waiting.push(...batches)
      if (waitMs() === 0) flush()
      else timer ??= wait(flush, waitMs())
    },
    /** Commits all that waits, at once. */
    flush,
  }
}
