/**
 * Work that any client can cause, some of it at a time and the rest in turns: each client has one piece done before any has its
 * next. So whoever sends much waits behind himself, and when there is no place left it is he who gives one up.
 */

export interface Turns {
  /** Does a client's piece of work when its turn comes; or tells that there is no place for it, or that its turn did not come in time. */
  take<T>(client: string, work: () => Promise<T>): Promise<T | 'crowded out' | 'too late'>
}

export interface Limits {
  /** Pieces that are under way at a time, and that wait for that. */
  readonly mostAtOnce: number
  readonly mostWaiting: number
  readonly longestWaitMs: number
}

/** Begins the work, or says why it will not be. */
type Waiting = (refusal?: 'crowded out' | 'too late') => void

export function createTurns({ mostAtOnce, mostWaiting, longestWaitMs }: Limits): Turns {
  /** Who waits, the one whose turn is next first. */
  const queues = new Map<string, Waiting[]>()
  let [underWay, waiting] = [0, 0]

  const leave = (client: string, one: Waiting): void => {
    const queue = queues.get(client)
    const at = queue?.indexOf(one) ?? -1
    if (at < 0) return
    queue!.splice(at, 1)
    if (queue!.length === 0) queues.delete(client)
    waiting--
  }
  const next = (): void => {
    const [first] = queues
    if (!first) return
    const [client, queue] = first
    const [one] = queue
    leave(client, one!)
    // Behind all others for its next.
    if (queues.delete(client)) queues.set(client, queue)
    one!()
  }
  /** The last one of whoever has most gives up its place; among equals, of who is furthest from his turn. */
  const makePlace = (): void => {
    const [client, queue] = [...queues].reduce((most, one) => (one[1].length >= most[1].length ? one : most))
    const last = queue.at(-1)!
    leave(client, last)
    last('crowded out')
  }
  const wait = (client: string): Promise<'crowded out' | 'too late' | undefined> => {
    const { promise, resolve } = Promise.withResolvers<'crowded out' | 'too late' | undefined>()
    const timer = setTimeout(() => {
      leave(client, one)
      resolve('too late')
    }, longestWaitMs)
    const one: Waiting = (refusal) => {
      clearTimeout(timer)
      resolve(refusal)
    }
    const queue = queues.get(client)
    if (queue) queue.push(one)
    else queues.set(client, [one])
    if (++waiting > mostWaiting) makePlace()
    return promise
  }
  return {
    async take(client, work) {
      if (underWay >= mostAtOnce) {
        // Whoever ends gives its place on, so that nobody slips in between.
        const refusal = await wait(client)
        if (refusal) return refusal
      } else underWay++
      try {
        return await work()
      } finally {
        if (waiting > 0) next()
        else underWay--
      }
    },
  }
}
