/**
 * `mode: observe`: what Kong's fields ask for holds as ever, and nothing else does. What the others ask for is looked at and
 * counted, so that one sees who would be refused before anyone is.
 */
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import type { Outcome } from '../../pdk/plugin.ts'
import type { Extension } from './extension.ts'
import { iatOf } from './age.ts'
import { issuerIn } from './issuers.ts'
import { countObserved } from './observed.ts'
import type { Ready } from './ready.ts'
import type { Refusal } from './refusals.ts'
import { isRevoked, revocationKeysOf } from './revocations.ts'
import { type Signer, signerOf } from './signers.ts'
import { issuersTimes, timeFault, type TimePolicy } from './times.ts'
import type { Remembered } from './tokens.ts'
import { timesFor, type Verified, verifyToken } from './verification.ts'
import { textOf } from './claims.ts'

/** A token that Kong's fields let in, with what the others make of it. */
interface Watched extends Remembered {
  readonly iat: number
  /** Why it would be refused whatever the time; undefined where it would not. */
  readonly reason: string | undefined
  readonly revocations: readonly string[]
  /** Which of its times are looked at as those of an issuer's token; undefined where no issuer of the config made it. */
  readonly asIssuers: TimePolicy | undefined
}

/** Lets in or refuses by Kong's fields alone, and counts what the others would have refused. */
export function attemptObserved(kong: AccessKong, ready: Ready, extension: Extension, text: string): Outcome {
  const known = ready.tokens.recall(text) as Watched | undefined
  if (known) return conclude(kong, ready, extension, known)
  const verified = verifyToken(kong.entities, ready.policy, text)
  const go = (late: Verified | Refusal) => conclude(kong, ready, extension, watch(kong, ready, extension, text, late))
  return verified instanceof Promise ? verified.then(go) : go(verified)
}

function conclude(kong: AccessKong, ready: Ready, extension: Extension, token: Watched | Refusal): Answer | undefined {
  if (typeof token === 'string') return ready.answers[token]
  const now = ready.now()
  const fault = token.policy.any ? timeFault(token.policy, token, now) : 0
  if (fault !== 0) return ready.timeAnswers[fault]
  const reason = token.reason ?? passing(kong, extension, token, now)
  if (reason !== undefined) note(kong, extension, reason, token.signer)
  kong.client.authenticate(token.signer.identity)
  return undefined
}

function watch(
  kong: AccessKong,
  ready: Ready,
  extension: Extension,
  text: string,
  verified: Verified | Refusal,
): Watched | Refusal {
  if (typeof verified === 'string') return verified
  const { token, credential, consumer, times } = verified
  const signer = signerOf(credential, consumer)
  const revocations = extension.revocation ? revocationKeysOf(token.claims, textOf(credential.entity['key'])) : []
  const reason = lasting(kong, extension, verified)
  const watched = {
    exp: times.exp,
    nbf: times.nbf,
    iat: iatOf(token),
    signer,
    policy: timesFor(ready.times, verified),
    reason,
    revocations,
    asIssuers: issuerIn(extension.issuers, token) && issuersTimes(ready.times, token.claims),
    extraBytes: 100 * revocations.length,
  }
  ready.tokens.remember(text, watched)
  return watched
}

/** Why a token would be refused for as long as the configuration stays as it is. */
function lasting(kong: AccessKong, extension: Extension, verified: Verified): string | undefined {
  const { token, credential, consumer } = verified
  const issuer = issuerIn(extension.issuers, token)
  const made = issuer?.verify(token)
  // Nobody waits for keys that are only looked at.
  if (made instanceof Promise) void made.then((late) => noteKey(kong, extension, late, signerOf(credential, consumer)))
  if (typeof made === 'string') return made
  const broken = extension.rules.find((rule) => !rule.holds(token))
  if (broken) return broken.reason
  const who = extension.issuers && !issuer ? undefined : extension.who
  return who && !who.optional && !who.find(kong.entities, token.claims) ? 'consumer' : undefined
}

function noteKey(kong: AccessKong, extension: Extension, made: unknown, signer: Signer): void {
  if (typeof made === 'string') note(kong, extension, made, signer)
}

function passing({ entities }: AccessKong, extension: Extension, token: Watched, now: number): string | undefined {
  if (token.asIssuers && timeFault(token.asIssuers, token, now) !== 0) return 'times'
  if (extension.age?.(token.iat, now)) return 'age'
  return extension.revocation && isRevoked(entities, token.revocations, token.iat) ? 'revoked' : undefined
}

function note(kong: AccessKong, { plugin }: Extension, reason: string, { consumer }: Signer): void {
  const { username, id } = consumer.entity
  const name = typeof username === 'string' ? username : id
  countObserved(plugin, reason, name)
  kong.log.info(`jwt would refuse a token of ${JSON.stringify(name)}: ${reason}`)
}
