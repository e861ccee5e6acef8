import { consistentHashing } from './consistent-hashing.ts'
import { latency } from './latency.ts'
import { leastConnections } from './least-connections.ts'
import { roundRobin } from './round-robin.ts'
import type { Algorithm } from './rotation.ts'

/** An upstream's algorithms by Kong's names. */
export const algorithms: Readonly<Record<string, Algorithm>> = {
  'round-robin': roundRobin,
  'least-connections': leastConnections,
  'consistent-hashing': consistentHashing,
  latency,
}
