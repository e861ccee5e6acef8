import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { WithSecrets } from '../../config/secrets.ts'
import type { Snapshot } from '../../config/snapshot.ts'
import type { Log } from '../../observe/log.ts'
import type { Entity } from '../../pdk/entities.ts'
import { certificateFor } from './certificates.ts'

/** Gives the secure context for a server name; undefined where the default one is to be used. */
export type Contexts = (snapshot: Snapshot, serverName: string) => SecureContext | undefined

export interface ContextTools {
  readonly policy: SecureContextOptions
  readonly withSecrets: WithSecrets
  readonly log: Log
}

interface Made {
  /** Undefined where the certificate cannot be used. */
  readonly context: SecureContext | undefined
  readonly vaults: Snapshot['vaults']
}

/**
 * Makes secure contexts of certificate entities when a client first asks for one, and keeps each as long as its entity is the
 * same: making one takes about a millisecond, and of thousands of certificates few are asked for in one worker.
 */
export function createContexts({ policy, withSecrets, log }: ContextTools): Contexts {
  const made = new WeakMap<Entity, Made>()
  const make = (certificate: Entity, { vaults }: Snapshot): Made => {
    try {
      const { cert, key, cert_alt, key_alt } = withSecrets('certificates', certificate, vaults) as Entity & Pems
      const pairs = { cert: present(cert, cert_alt), key: present(key, key_alt) }
      return { context: createSecureContext({ ...policy, ...pairs }), vaults }
    } catch (error) {
      log.error(`the certificate ${certificate.id} cannot be used, and the default one is shown instead`, {
        error: (error as Error).message,
      })
      return { context: undefined, vaults }
    }
  }
  return (snapshot, serverName) => {
    const certificate = certificateFor(snapshot, serverName)
    if (!certificate) return undefined
    const known = made.get(certificate)
    // What a reference stands for may have changed with the vaults.
    if (known?.vaults === snapshot.vaults) return known.context
    const fresh = make(certificate, snapshot)
    made.set(certificate, fresh)
    return fresh.context
  }
}

interface Pems {
  readonly cert: string
  readonly key: string
  readonly cert_alt: string | null
  readonly key_alt: string | null
}

const present = (...pems: readonly (string | null | undefined)[]): string[] =>
  pems.filter((pem) => typeof pem === 'string')
