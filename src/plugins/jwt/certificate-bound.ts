/**
 * Tokens that are bound to the client's TLS certificate: good only on a connection on which that one was shown.
 * Source: RFC 8705 sections 3 and 3.1.
 */
import { createHash } from 'node:crypto'
import type { Answer, Client } from '../../pdk/kong.ts'
import { sameSecret } from '../../pdk/secrets.ts'
import { invalidToken, quoted, type Refuse } from './answers.ts'
import { claimAt } from './claims.ts'
import type { Config } from './ready.ts'
import type { JsonObject } from './token.ts'

export interface CertificateBound {
  /** The thumbprint of the certificate that a token is bound to; undefined for none. */
  thumbprintIn(claims: JsonObject): string | undefined
  check(client: Client, thumbprint: string | undefined): Answer | undefined
}

/** Undefined where the config does not ask for it. */
export function certificateBoundOf({ certificate_bound }: Config, refuse: Refuse): CertificateBound | undefined {
  if (!certificate_bound) return undefined
  const refusal = (message: string): Answer =>
    refuse('certificate', 401, { message }, invalidToken, `error_description=${quoted(message)}`)
  const absent = refusal('The token is bound to a certificate, and the client has shown none')
  const other = refusal('The token is bound to another certificate')
  return {
    thumbprintIn: (claims) => {
      const thumbprint = claimAt(claims, ['cnf', 'x5t#S256'])
      return typeof thumbprint === 'string' ? thumbprint : undefined
    },
    check(client, thumbprint) {
      const certificate = client.get_certificate()
      if (certificate === undefined) return absent
      // A rule sees to it that there is one.
      const bound = Buffer.from(thumbprint ?? '', 'base64url')
      return sameSecret(bound, hashOf(certificate)) ? undefined : other
    },
  }
}

/** By connection: each gives the same buffer for all of its requests. */
const hashes = new WeakMap<Buffer, Buffer>()

function hashOf(certificate: Buffer): Buffer {
  let hash = hashes.get(certificate)
  if (hash === undefined) hashes.set(certificate, (hash = createHash('sha256').update(certificate).digest()))
  return hash
}
