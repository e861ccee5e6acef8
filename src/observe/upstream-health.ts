/** What can be told of the health of upstreams, and be set by hand: the gateway knows it, the Admin API shows it. */

export interface AddressHealth {
  /** As the target names it where it does, brackets included. */
  readonly ip: string
  readonly port: number
  readonly weight: number
  readonly healthy: boolean
}

export interface TargetHealth {
  /** The id of the target entity. */
  readonly id: string
  readonly host: string
  readonly port: number
  /** The record type that the addresses are from, or why there are none. */
  readonly dns: string
  readonly weight: number
  readonly addresses: readonly AddressHealth[]
}

export interface UpstreamHealth {
  /** Whether anybody looks at the health of its targets. */
  readonly checked: boolean
  /** Whether it takes requests. */
  readonly available: boolean
  readonly targets: readonly TargetHealth[]
}

/** An address of a target; all of the target's where it is undefined. */
export type AddressChoice = { readonly ip: string; readonly port: number } | undefined

export interface UpstreamHealthSource {
  /** The health of an upstream by its id; undefined for one that is not known. */
  healthOf(id: string): Promise<UpstreamHealth | undefined>
  /** Sets the health of a target's addresses, on every node; false where nobody looks at the health of the upstream's targets. */
  set(id: string, target: string, address: AddressChoice, healthy: boolean): Promise<boolean>
}
