/** Making tokens, with the same table of algorithms that verifies them: for `gibbon jwt sign`, tests and the bench. */
import type { KeyObject } from 'node:crypto'
import { algorithms } from './algorithms.ts'

/** Header and payload as objects, or as JSON texts that go into the token as they are. */
export interface Unsigned {
  readonly header: object | string
  readonly payload: object | string
}

/** Signs a token by RFC 7515 7.1. Throws for an unknown algorithm, and where OpenSSL cannot use the key for it. */
export function signToken({ header, payload }: Unsigned, alg: string, key: KeyObject): string {
  const algorithm = algorithms.get(alg)
  if (algorithm === undefined) throw new Error(`unknown algorithm ${alg}`)
  const signed = `${encode(header)}.${encode(payload)}`
  return `${signed}.${algorithm.sign(signed, key).toString('base64url')}`
}

function encode(part: object | string): string {
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part), 'utf8').toString('base64url')
}
