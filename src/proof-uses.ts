/**
 * Which proofs were used, over all processes of a node that follow one another: the one that was started first remembers them for
 * all, and outlives them.
 */
import { randomBytes } from 'node:crypto'
import type { Legacy } from './handover.ts'
import { type ProofUses, usesKept } from './plugins/jwt/proof-memory.ts'

export interface Proofs extends ProofUses {
  /** What the nonces follow from, in all processes. */
  readonly nonceSecret: Uint8Array
}

/** For a process that goes on with `legacy`, and asks `ask` beside its own memory. */
export function shareProofs({ nonceSecret }: Legacy = {}, ask?: ProofUses['use']): Proofs {
  const own = usesKept()
  return {
    nonceSecret: nonceSecret === undefined ? randomBytes(32) : Buffer.from(nonceSecret, 'base64'),
    async use(key, until) {
      const use = own.use(key, until)
      if (use !== 'first' || ask === undefined) return use
      // Where the first process has gone, or is of a version that does not know, this one has its own memory alone.
      return ask(key, until).catch(() => use)
    },
  }
}
