import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Entities from which on a configuration takes hundreds of megabytes while it is read. */
const many = 100_000

/**
 * Gives back what it took to read a configuration of so many entities. V8 by itself keeps that until it needs the room, while
 * the store's thread needs as much again for the same configuration.
 */
export function giveBackMemory(entities: number): void {
  if (entities < many) return
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  setFlagsFromString('--no-expose-gc')
  collect()
}
