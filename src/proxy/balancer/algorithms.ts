import { type Rotation, type Share, roundRobin } from './round-robin.ts'

/** Makes a rotation of peers; made anew when the peers change. */
export type Algorithm = (shares: readonly Share[]) => Rotation

/** An upstream's algorithms by Kong's names. Those not here yet spread the requests in turn. */
export const algorithms: Readonly<Record<string, Algorithm>> = {
  'round-robin': roundRobin,
}

/** The algorithm of a name, round-robin for one that is not here. */
export const algorithmOf = (name: string | null | undefined): Algorithm => algorithms[name ?? ''] ?? roundRobin
