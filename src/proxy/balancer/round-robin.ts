import type { Rotation, Share } from './rotation.ts'
import type { Load, Peer } from './peer.ts'

/**
 * Each peer in turn, by its weight, and as evenly spread as the weights allow: whose turn is due first has it, and is due again
 * after a time that is the shorter the greater its weight. When a turn is due is kept when the peers change; one that comes, or
 * comes back, has its first turn after half its time, so that it makes up for nothing.
 */
export function roundRobin(shares: readonly Share[]): Rotation {
  const clock = Math.max(0, ...shares.map(({ peer, weight }) => peer.load.due - 1 / weight))
  for (const { peer, weight } of shares) peer.load.due = dueFrom(peer.load, clock, weight)
  const queue = new Queue(shares)
  return {
    next(tried) {
      const at = tried.size === 0 ? 0 : queue.firstWithout(tried)
      const share = queue.at(at)
      if (share === undefined) return undefined
      share.peer.load.due += 1 / share.weight
      queue.later(at)
      return share.peer
    },
  }
}

const dueFrom = ({ due }: Load, clock: number, weight: number): number => (due > clock ? due : clock + 0.5 / weight)

/** A share, and where it stood among them. */
interface Turn extends Share {
  readonly order: number
}

const isBefore = (one: Turn, other: Turn): boolean => {
  const difference = one.peer.load.due - other.peer.load.due
  return difference < 0 || (difference === 0 && one.order < other.order)
}

/** Shares in a heap, the one that is due first at its top; of equals the one that stood first among them. */
class Queue {
  readonly #heap: Turn[]

  constructor(shares: readonly Share[]) {
    this.#heap = shares
      .map((share, order) => ({ ...share, order }))
      .sort((one, other) => one.peer.load.due - other.peer.load.due)
  }

  at(place: number): Turn | undefined {
    return this.#heap[place]
  }

  /** The place of the first that is not in `tried`; -1 where there is none. Only retries come here, so that looking at all is well. */
  firstWithout(tried: ReadonlySet<Peer>): number {
    let first: Turn | undefined
    for (const turn of this.#heap) {
      if (!tried.has(turn.peer) && (first === undefined || isBefore(turn, first))) first = turn
    }
    return first === undefined ? -1 : this.#heap.indexOf(first)
  }

  /** Puts the share of a place, which has become due later than it was, where it belongs now. */
  later(place: number): void {
    const heap = this.#heap
    const moved = heap[place] as Turn
    let at = place
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Turn, heap[child] as Turn)) child++
      const next = heap[child] as Turn
      if (!isBefore(next, moved)) break
      heap[at] = next
      at = child
    }
    heap[at] = moved
  }
}
