import { isIP } from 'node:net'

/** One address of a name. `port`, `weight` and `name` come from an SRV record and are absent elsewhere. */
export interface Address {
  readonly address: string
  readonly family: 4 | 6
  readonly port?: number
  readonly weight?: number
  /** The host that the SRV record names. */
  readonly name?: string
}

/** Every address of a name, never empty, in a fixed order. The same array as long as the addresses stay the same. */
export type Addresses = readonly Address[]

/** Why a name has no address: it does not exist, its server said it cannot tell, or no server answered in time. */
export interface Failure {
  readonly failed: 'not found' | 'server failure' | 'timeout'
}

export const notFound: Failure = { failed: 'not found' }
export const serverFailure: Failure = { failed: 'server failure' }
export const timedOut: Failure = { failed: 'timeout' }

/** Tells a failure from addresses. */
export const isFailure = (answer: Addresses | Failure): answer is Failure => 'failed' in answer

/** The address that an IP literal is, brackets taken off; undefined for anything else. */
export function literal(text: string): Address | undefined {
  const address = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  const family = isIP(address)
  return family === 4 || family === 6 ? { address, family } : undefined
}
