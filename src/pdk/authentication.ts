/**
 * What all authentication plugins share: how several of them on one route work together.
 *
 * Without `anonymous` each must succeed (AND), and the last one that ran says who the request is. With `anonymous` on each,
 * one success is enough (OR): the first wins, the later ones are skipped, and where none succeeds the request goes on as the
 * anonymous consumer.
 * Source: Kong's docs, "Authentication", "Using multiple authentication methods".
 */
import type { Entity, Loaded } from './entities.ts'
import { identityOf, type Identity } from './identity.ts'
import type { AccessKong, Answer } from './kong.ts'
import type { Outcome } from './plugin.ts'

/** The part of a prepared config that every authentication plugin has. */
export interface Authentication {
  /** A consumer's id or username; null where a request that is not authenticated is refused. */
  readonly anonymous: string | null
}

/**
 * Runs a plugin's own `attempt`, which either calls `kong.client.authenticate` and gives nothing, or gives the answer that
 * refuses the request.
 */
export function authenticate<Ready extends Authentication>(
  kong: AccessKong,
  ready: Ready,
  attempt: (kong: AccessKong, ready: Ready) => Outcome,
): Outcome {
  if (ready.anonymous === null) return attempt(kong, ready)
  // A consumer that was only assumed has no credential: then this plugin has its own chance.
  if (kong.client.get_credential() !== null) return undefined
  const refusal = attempt(kong, ready)
  if (refusal === undefined) return undefined
  return isPromise(refusal) ? refusal.then((late) => fallBack(kong, ready, late)) : fallBack(kong, ready, refusal)
}

/**
 * Makes a request that of the consumer whose credential this is; false, with nothing done, where there is no such consumer.
 * `identifier` is the public part of the credential. A token that was given for the credential may bring headers of its own.
 */
export function admit(
  { entities, client }: AccessKong,
  credential: Entity,
  identifier: unknown,
  token?: { readonly entity: Entity; readonly headers: Readonly<Record<string, unknown>> },
): boolean {
  const from = token?.entity ?? credential
  const reference = credential['consumer'] as { readonly id: string } | null | undefined
  const consumer = reference ? entities.get('consumers', reference.id)?.entity : undefined
  if (consumer === undefined) return false
  const known = identities.get(from)
  if (known?.consumer === consumer && known.credential === credential) {
    client.authenticate(known)
    return true
  }
  const identity = identityOf(consumer, credential, identifier, token?.headers)
  identities.set(from, identity)
  client.authenticate(identity)
  return true
}

function fallBack(kong: AccessKong, { anonymous }: Authentication, refusal: Answer | void): Answer | undefined {
  if (!refusal || anonymous === null) return undefined
  // Who could not be judged is not nobody: that is the gateway's failure, not the request's.
  if (refusal.status >= 500) return refusal
  const consumer = anonymousConsumer(kong, anonymous)
  if (consumer === undefined) {
    const problem = `anonymous consumer ${anonymous} is configured but doesn't exist`
    kong.log.err(problem)
    return kong.response.error(500, problem)
  }
  kong.client.authenticate(anonymousIdentity(consumer.entity))
  return undefined
}

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i

function anonymousConsumer({ entities }: AccessKong, idOrUsername: string): Loaded | undefined {
  const byId = UUID.test(idOrUsername) ? entities.get('consumers', idOrUsername.toLowerCase()) : undefined
  return byId ?? entities.by('consumers', 'username', idOrUsername)
}

/** Identities by the credential, the token or the anonymous consumer that they are made of. */
const identities = new WeakMap<Entity, Identity>()

function anonymousIdentity(consumer: Entity): Identity {
  const known = identities.get(consumer)
  if (known !== undefined) return known
  const identity = identityOf(consumer, null)
  identities.set(consumer, identity)
  return identity
}

function isPromise(outcome: Outcome): outcome is Promise<Answer | undefined | void> {
  return outcome instanceof Promise
}
