/**
 * What the proofs of all workers of a node have in common: which were used, and the nonces that the node gives. The uses are kept by
 * the main thread, so that two workers cannot both be first.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { sameSecret } from '../../pdk/secrets.ts'

/** `full`: so many are remembered that no more can be. */
export type Use = 'first' | 'again' | 'full'

export interface ProofUses {
  /** Uses a proof up, by a text that is its own, which is remembered until a time in seconds since 1970. */
  use(key: string, until: number): Promise<Use>
}

/** A memory of at most so many uses, which takes about 150 bytes for each; `now` is in seconds since 1970. */
export function usesKept(
  most = 1_000_000,
  now = () => Math.floor(Date.now() / 1000),
): { use(key: string, until: number): Use } {
  const uses = new Map<string, number>()
  /** Uses are remembered for about the same time, so that the first ones to end are those that came first. */
  const forget = (): void => {
    for (const [key, until] of uses) {
      if (until >= now()) return
      uses.delete(key)
    }
  }
  return {
    use(key, until) {
      forget()
      const known = uses.get(key)
      if (known !== undefined && known >= now()) return 'again'
      if (uses.size >= most) return 'full'
      uses.delete(key)
      uses.set(key, until)
      return 'first'
    },
  }
}

export interface ProofNonces {
  /** The nonce that is given at a time, in seconds since 1970. */
  at(now: number): string
  /** Whether a proof holds that one or the one before it. */
  isGood(nonce: unknown, now: number): boolean
}

const nonceSeconds = 300

/** Nonces that follow from a secret and the time, so that none has to be remembered. */
export function noncesOf(secret: Uint8Array): ProofNonces {
  const made = new Map<number, string>()
  const nonceOf = (turn: number): string => {
    let nonce = made.get(turn)
    if (nonce === undefined) {
      nonce = createHmac('sha256', secret).update(String(turn)).digest('base64url')
      if (made.size > 2) made.clear()
      made.set(turn, nonce)
    }
    return nonce
  }
  const turnOf = (now: number) => Math.floor(now / nonceSeconds)
  return {
    at: (now) => nonceOf(turnOf(now)),
    isGood: (nonce, now) =>
      typeof nonce === 'string' && [0, 1].some((before) => sameSecret(nonce, nonceOf(turnOf(now) - before))),
  }
}

let uses: ProofUses = ownUses()
let nonces: ProofNonces = noncesOf(randomBytes(32))

function ownUses(): ProofUses {
  const kept = usesKept(10_000)
  return { use: async (key, until) => kept.use(key, until) }
}

/** Sets who remembers this worker's proofs, and the secret that the nonces of its node follow from. */
export function configureProofs(given: { readonly uses: ProofUses; readonly secret: Uint8Array }): void {
  uses = given.uses
  nonces = noncesOf(given.secret)
}

/** The memory of this worker's node. */
export const proofUses: ProofUses = { use: (key, until) => uses.use(key, until) }
export const proofNonces: ProofNonces = {
  at: (now) => nonces.at(now),
  isGood: (nonce, now) => nonces.isGood(nonce, now),
}
