import { type Change, type Reader, type Store, untold, type Written } from '../store.ts'
import type { Answered, Committed } from './messages.ts'

const isRefusal = ({ result }: Answered): boolean => !(result instanceof Error) && !result.ok

type Listener = Parameters<Store['onCommit']>[0]

interface Waiting {
  readonly resolve: (written: Written) => void
  readonly reject: (bug: Error) => void
}

/**
 * Brings what the writer has committed first to the listeners, then to those who wait for an answer.
 * What arrives while the listeners are busy is told of together, once. They are told what the log says, not what the
 * messages say: a reader may have seen a commit before its message has come.
 */
export function publisher(reader: Reader, report: (error: Error) => void) {
  const listeners: Listener[] = []
  const waiting = new Map<number, Waiting>()
  let arrived: Committed[] = []
  let told = reader.revision
  let busy: Promise<void> | undefined
  let stopped = false

  const publish = async () => {
    while (arrived.length > 0) {
      const messages = arrived
      arrived = []
      await tell(news(messages))
      for (const { answers } of messages) answers.forEach(settle)
    }
    busy = undefined
  }
  const news = (messages: readonly Committed[]): readonly Change[] => {
    const changes = fromLog() ?? messages.flatMap(({ changes }) => changes)
    return changes.filter(({ revision }) => revision > told)
  }
  /** Nothing where the log does not reach back, as after a commit larger than it, or cannot be read: the messages must do. */
  const fromLog = () => {
    try {
      reader.renew()
      return reader.changesSince(told)
    } catch (error) {
      report(error as Error)
    }
  }
  const tell = async (changes: readonly Change[]) => {
    const last = changes.at(-1)
    if (!last) return
    told = last.revision
    const outcomes = await Promise.allSettled(listeners.map(async (listener) => listener(told, changes)))
    for (const outcome of outcomes) if (outcome.status === 'rejected') report(outcome.reason as Error)
  }
  const settle = ({ batch, result }: Answered) => {
    const waiter = waiting.get(batch)
    waiting.delete(batch)
    if (result instanceof Error) waiter?.reject(result)
    else waiter?.resolve(result)
  }
  const committed = (message: Committed) => {
    if (stopped) return
    // Who was refused has nothing that must be in force first.
    message.answers.filter(isRefusal).forEach(settle)
    arrived.push(message)
    busy ??= publish()
  }
  return {
    committed,
    /** Looks at the log for what somebody else has committed; resolves when that is told. */
    async look() {
      const revision = reader.renew()
      // Which changes these were the log says; where it does not reach back, it has to do that there were some.
      if (revision > told) committed({ say: 'committed', revision, changes: [untold(revision)], answers: [] })
      await busy
    },
    listen: (listener: Listener) => void listeners.push(listener),
    answerTo: (batch: number) => new Promise<Written>((resolve, reject) => waiting.set(batch, { resolve, reject })),
    waiting: () => waiting.size,
    /** Gives every batch without an answer this one, after telling of what was committed all the same. */
    abandon(result: Written) {
      const answers = [...waiting.keys()].map((batch) => ({ batch, result }))
      committed({ say: 'committed', revision: told, changes: [], answers })
    },
    /** Waits for what is being told, and reads and tells nothing from then on. */
    async stop() {
      await busy
      stopped = true
    },
  }
}
