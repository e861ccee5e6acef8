/**
 * What a config asks for beside Kong's fields, and how a request goes that meets it. Everything that follows from the token
 * alone is worked out once, when it is verified, and remembered with it; what depends on the clock is looked at every time.
 */
import type { Loaded } from '../../pdk/entities.ts'
import { identityOf, type Identity } from '../../pdk/identity.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import { ageRuleOf, type AgeRule } from './age.ts'
import { claimAt, type ClaimPath, wordsOf } from './claims.ts'
import { extensionNames } from './extension-schema.ts'
import { hideToken } from './hiding.ts'
import type { Config, Ready } from './ready.ts'
import type { Refusal } from './refusals.ts'
import { rulesOf, type Rule } from './rules.ts'
import { signerOf, type Signer } from './signers.ts'
import { timeFault, timesOf } from './times.ts'
import type { Token } from './token.ts'
import type { Remembered } from './tokens.ts'
import { type HeaderClaim, headerClaimsOf, headerValue } from './upstream-headers.ts'
import { verifyToken } from './verification.ts'
import { virtualCredential, whoOf, type Who } from './who.ts'

export interface Extension {
  readonly rules: readonly Rule[]
  readonly age: AgeRule | undefined
  readonly who: Who | undefined
  readonly groups: ClaimPath | undefined
  readonly headers: readonly HeaderClaim[]
  readonly hides: boolean
}

/** A token that may be let in, with what it brings along. */
interface Admitted extends Remembered {
  readonly iat: number
  /** The values of `headers`, in their order. */
  readonly headers: readonly (string | undefined)[]
  readonly groups: readonly string[] | undefined
}

/** Prepares what a config asks for; undefined where that is nothing beside Kong's (`leeway` is among the times). */
export function extensionOf(config: Config): Extension | undefined {
  const isUsed = extensionNames.some((name) => name !== 'leeway' && config[name as keyof Config] !== undefined)
  if (!isUsed) return undefined
  return {
    rules: rulesOf(config),
    age: ageRuleOf(config),
    who: whoOf(config),
    groups: config.authenticated_groups_claim,
    headers: headerClaimsOf(config.upstream_headers),
    hides: config.hide_credentials === true,
  }
}

/** Takes away what the client may have sent in the place of claims, whoever it turns out to be. */
export function dropClaimHeaders(kong: AccessKong, { headers }: Extension): void {
  for (const { name } of headers) kong.service.request.clear_header(name)
}

/** Identifies the request by its token's text, or gives the answer that refuses it. */
export function attemptExtended(
  kong: AccessKong,
  ready: Ready,
  extension: Extension,
  text: string,
): Answer | undefined {
  // What this config's space remembers was put there below.
  const known = ready.tokens.recall(text) as Admitted | undefined
  const admitted = known ?? verify(kong, ready, extension, text)
  if (typeof admitted === 'string') return ready.answers[admitted]
  return 'signer' in admitted ? admit(kong, ready, extension, admitted) : admitted
}

function verify(kong: AccessKong, ready: Ready, extension: Extension, text: string): Admitted | Refusal | Answer {
  const verified = verifyToken(kong.entities, ready.policy, text)
  if (typeof verified === 'string') return verified
  const { token, credential, consumer } = verified
  const broken = extension.rules.find((rule) => !rule.holds(token))
  if (broken) return broken.answer
  const signer = signerFor(kong, extension, token, credential, consumer)
  if ('status' in signer) return signer
  const admitted = { ...timesOf(token.claims), iat: iatOf(token), signer, ...broughtBy(token, extension) }
  ready.tokens.remember(text, admitted)
  return admitted
}

function signerFor(
  { entities }: AccessKong,
  { who }: Extension,
  token: Token,
  credential: Loaded,
  consumer: Loaded,
): Signer | Answer {
  if (!who) return signerOf(credential, consumer)
  const found = who.find(entities, token.claims)
  if (found) return ownSigner(credential, found, identityOf(found.entity, credential.entity, credential.entity['key']))
  if (!who.optional) return who.refusal
  const virtual = virtualCredential(token.claims, credential)
  return ownSigner(virtual, virtual, identityOf(null, virtual.entity, virtual.entity['key']))
}

/** About what a token's own identity takes in memory, in bytes. */
const ownBytes = 1024

function ownSigner(credential: Loaded, consumer: Loaded, identity: Identity): Signer {
  return { credential, consumer, identity, bytes: ownBytes + 2 * identity.lines.length, countedIn: -1 }
}

/** When a token was issued, in seconds since 1970; NaN where it does not say so. */
export function iatOf({ claims }: Pick<Token, 'claims'>): number {
  const iat = claimAt(claims, ['iat'])
  return typeof iat === 'number' && Number.isFinite(iat) ? iat : NaN
}

function broughtBy({ claims }: Token, { headers, groups }: Extension): Pick<Admitted, 'headers' | 'groups'> {
  return {
    headers: headers.map((header) => headerValue(header, claims)),
    groups: groups && wordsOf(claimAt(claims, groups)),
  }
}

function admit(kong: AccessKong, ready: Ready, extension: Extension, token: Admitted): Answer | undefined {
  const now = ready.now()
  const fault = ready.times.any ? timeFault(ready.times, token, now) : 0
  if (fault !== 0) return ready.timeAnswers[fault]
  const tooOld = extension.age?.(token.iat, now)
  if (tooOld) return tooOld
  kong.client.authenticate(token.signer.identity)
  const { headers } = extension
  for (let at = 0; at < headers.length; at++) {
    const value = token.headers[at]
    if (value !== undefined) kong.service.request.set_header(headers[at]!.name, value)
  }
  if (token.groups) kong.ctx.shared['authenticated_groups'] = token.groups
  if (extension.hides) hideToken(kong, ready.locations)
  return undefined
}
