import type { Peer } from './peer.ts'

/** A peer with its share of the requests, above 0. */
export interface Share {
  readonly peer: Peer
  readonly weight: number
}

/** Chooses among peers, in an order of its own. */
export interface Rotation {
  /**
   * The next peer that is not in `tried`; undefined where there is none. `hash` is a 32-bit number that tells requests
   * apart, where there is one.
   */
  next(tried: ReadonlySet<Peer>, hash: number | undefined): Peer | undefined
}

export interface RotationOptions {
  /** The peer that was chosen last, before the peers changed: the order goes on behind it. */
  readonly last?: Peer | undefined
  /** How finely hashes are shared out. */
  readonly slots?: number | undefined
  /** The present time in ms. */
  readonly now?: () => number
  /** At least 0, below 1. */
  readonly random?: () => number
}

/** Makes a rotation of the peers that take requests; made anew when these change. */
export type Algorithm = (shares: readonly Share[], options?: RotationOptions) => Rotation

/** The index behind that of `last`; 0 where it is not among them. */
export function indexBehind(shares: readonly Share[], last: Peer | undefined): number {
  const at = last === undefined ? -1 : shares.findIndex(({ peer }) => peer === last)
  return at + 1 < shares.length ? at + 1 : 0
}
