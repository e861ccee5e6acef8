/**
 * What a config asks for beside Kong's fields, and how a request goes that meets it. Everything that follows from the token
 * alone is worked out once, when it is verified, and remembered with it; what depends on the clock is looked at every time.
 */
import type { Entity, Loaded } from '../../pdk/entities.ts'
import { identityOf, type Identity } from '../../pdk/identity.ts'
import type { AccessKong, Answer } from '../../pdk/kong.ts'
import type { Outcome } from '../../pdk/plugin.ts'
import { invalidToken, type Refuse } from './answers.ts'
import { ageRuleOf, type AgeRule, iatOf } from './age.ts'
import { claimAt, type ClaimPath, textOf, wordsOf } from './claims.ts'
import { judgingNames } from './extension-schema.ts'
import { hideToken } from './hiding.ts'
import { type Issuer, issuerIn, issuersOf } from './issuers.ts'
import type { KeySets } from './key-sets.ts'
import type { Config, Ready } from './ready.ts'
import type { Refusal } from './refusals.ts'
import { attemptObserved } from './observing.ts'
import { isRevoked, revocationKeysOf } from './revocations.ts'
import { rulesOf, type Rule } from './rules.ts'
import { type SingleUse, singleUseOf } from './single-use.ts'
import { signerOf, type Signer } from './signers.ts'
import { timeFault, type TimePolicy, timesOf } from './times.ts'
import { decodeToken, type Token } from './token.ts'
import type { Remembered } from './tokens.ts'
import { type HeaderClaim, headerClaimsOf, headerValue } from './upstream-headers.ts'
import { type Verified, verifyDecoded } from './verification.ts'
import { useKey } from './uses-schema.ts'
import { virtualCredential, whoOf, type Who } from './who.ts'

export interface Extension {
  /** The plugin's id. */
  readonly plugin: string
  /** Whether all of this is only looked at, and counted. */
  readonly observes: boolean
  readonly issuers: ReadonlyMap<string, Issuer> | undefined
  readonly rules: readonly Rule[]
  readonly age: AgeRule | undefined
  readonly who: Who | undefined
  readonly groups: ClaimPath | undefined
  readonly headers: readonly HeaderClaim[]
  readonly hides: boolean
  /** Whether tokens taken back are refused, and the answer to them. */
  readonly revocation: Answer | undefined
  /** Whether tokens are good once only. */
  readonly singleUse: SingleUse | undefined
}

/** A token that may be let in, with what it brings along. */
interface Admitted extends Remembered {
  /** Which of its times are looked at. */
  readonly policy: TimePolicy
  readonly iat: number
  /** The values of `headers`, in their order. */
  readonly headers: readonly (string | undefined)[]
  readonly groups: readonly string[] | undefined
  /** What it may have been taken back by. */
  readonly revocations: readonly string[]
  /** What its use is written down by, where it is good once. */
  readonly use: string | undefined
  /** Whom its claim names where no consumer was there by that: one may come. */
  readonly nobody: string | undefined
}

/** Prepares what a config asks for; undefined where that is nothing beside Kong's (`leeway` is among the times). */
export function extensionOf(config: Config, plugin: string, refuse: Refuse, keySets: KeySets): Extension | undefined {
  if (!judgingNames.some((name) => config[name as keyof Config] !== undefined)) return undefined
  return {
    plugin,
    observes: config.mode === 'observe',
    issuers: issuersOf(config, keySets),
    rules: rulesOf(config, refuse),
    age: ageRuleOf(config, refuse),
    who: whoOf(config, refuse),
    groups: config.authenticated_groups_claim,
    headers: headerClaimsOf(config.upstream_headers),
    hides: config.hide_credentials === true,
    singleUse: singleUseOf(config, refuse),
    revocation: config.check_revocation ? refuse(401, { message: 'Token revoked' }, invalidToken) : undefined,
  }
}

/** Takes away what the client may have sent in the place of claims, whoever it turns out to be. */
export function dropClaimHeaders(kong: AccessKong, { headers, observes }: Extension): void {
  if (observes) return
  for (const { name } of headers) kong.service.request.clear_header(name)
}

/** Identifies the request by its token's text, or gives the answer that refuses it; a promise where keys must be fetched. */
export function attemptExtended(kong: AccessKong, ready: Ready, extension: Extension, text: string): Outcome {
  if (extension.observes) return attemptObserved(kong, ready, extension, text)
  // What this config's space remembers was put there below.
  const known = ready.tokens.recall(text) as Admitted | undefined
  const verdict = known && isUpToDate(kong, extension, known) ? known : verify(kong, ready, extension, text)
  if (verdict instanceof Promise) return verdict.then((late) => conclude(kong, ready, extension, late))
  return conclude(kong, ready, extension, verdict)
}

/** A token that stands for itself does so until there is a consumer whom it names. */
const isUpToDate = ({ entities }: AccessKong, { who }: Extension, { nobody }: Admitted): boolean =>
  nobody === undefined || who?.named(entities, nobody) === undefined

type Verdict = Admitted | Refusal | Answer

function conclude(kong: AccessKong, ready: Ready, extension: Extension, verdict: Verdict): Outcome {
  if (typeof verdict === 'string') return ready.answers[verdict]
  return 'signer' in verdict ? admit(kong, ready, extension, verdict) : verdict
}

function verify(kong: AccessKong, ready: Ready, extension: Extension, text: string): Verdict | Promise<Verdict> {
  const token = decodeToken(text)
  if (typeof token === 'string') return token
  const issuer = issuerIn(extension.issuers, token)
  if (!issuer) return verifyByCredential(kong, ready, extension, text, token)
  const made = issuer.verify(token)
  if (made instanceof Promise) return made.then((key) => verifyByKey(kong, ready, extension, text, token, key))
  return verifyByKey(kong, ready, extension, text, token, made)
}

function verifyByCredential(kong: AccessKong, ready: Ready, extension: Extension, text: string, token: Token): Verdict {
  const verified = verifyDecoded(kong.entities, ready.policy, token)
  if (typeof verified === 'string') return verified
  const broken = extension.rules.find((rule) => !rule.holds(token))
  if (broken) return broken.answer
  // Where there are issuers only they are believed when they name a consumer: whoever has a credential speaks for himself.
  const who = extension.issuers ? undefined : extension.who
  const signer = signerByCredential(kong, who, token, verified)
  if ('status' in signer) return signer
  return remember(ready, text, {
    ...broughtBy(token, extension, verified.credential.entity),
    signer,
    policy: ready.times,
    nobody: signer.identity.consumer ? undefined : who?.textIn(token.claims),
  })
}

/** A token of an issuer has a consumer by its claims or none, and an end. */
function verifyByKey(
  kong: AccessKong,
  ready: Ready,
  extension: Extension,
  text: string,
  token: Token,
  key: Loaded | Refusal,
): Verdict {
  if (typeof key === 'string') return key
  const broken = extension.rules.find((rule) => !rule.holds(token))
  if (broken) return broken.answer
  const virtual = virtualCredential(token.claims, key)
  const found = extension.who?.find(kong.entities, token.claims)
  if (!found && extension.who && !extension.who.optional) return extension.who.refusal
  const identity = identityOf(found?.entity ?? null, virtual.entity, virtual.entity['key'])
  const signer = ownSigner(virtual, found ?? virtual, identity)
  return remember(ready, text, {
    ...broughtBy(token, extension, undefined),
    signer,
    policy: issuersTimes(ready, token),
    nobody: found ? undefined : extension.who?.textIn(token.claims),
  })
}

function remember(ready: Ready, text: string, admitted: Admitted): Admitted {
  ready.tokens.remember(text, admitted)
  return admitted
}

/** Which times of an issuer's token are looked at: its end always, its beginning where it says one. */
export const issuersTimes = ({ times }: Pick<Ready, 'times'>, { claims }: Token): TimePolicy => ({
  ...times,
  exp: true,
  nbf: times.nbf || Object.hasOwn(claims, 'nbf'),
  any: true,
})

function signerByCredential(
  { entities }: AccessKong,
  who: Who | undefined,
  { claims }: Token,
  { credential, consumer }: Verified,
): Signer | Answer {
  if (!who) return signerOf(credential, consumer)
  const found = who.find(entities, claims)
  if (found) return ownSigner(credential, found, identityOf(found.entity, credential.entity, credential.entity['key']))
  if (!who.optional) return who.refusal
  const virtual = virtualCredential(claims, credential)
  return ownSigner(virtual, virtual, identityOf(null, virtual.entity, virtual.entity['key']))
}

/** About what a token's own identity, or all else that is its own, takes in memory, in bytes. */
const ownBytes = 512

function ownSigner(credential: Loaded, consumer: Loaded, identity: Identity): Signer {
  return { credential, consumer, identity, bytes: ownBytes + 2 * identity.lines.length, countedIn: -1 }
}

function broughtBy(
  token: Token,
  extension: Extension,
  credential: Entity | undefined,
): Omit<Admitted, 'signer' | 'policy' | 'nobody'> {
  const { claims } = token
  const headers = extension.headers.map((header) => headerValue(header, claims))
  const groups = extension.groups && wordsOf(claimAt(claims, extension.groups))
  const revocations = extension.revocation ? revocationKeysOf(claims, textOf(credential?.['key'])) : []
  const use = extension.singleUse && useKeyOf(token, credential)
  const texts = [...headers, ...(groups ?? []), ...revocations]
  const extraBytes = ownBytes + texts.reduce((sum, text = '') => sum + 2 * text.length + 16, 0)
  return { ...timesOf(claims), iat: iatOf(token), headers, groups, revocations, use, extraBytes }
}

/** Named by who signed it, so that nobody can use up another's tokens. */
export function useKeyOf({ claims }: Pick<Token, 'claims'>, credential: Entity | undefined): string | undefined {
  const jti = textOf(claimAt(claims, ['jti']))
  if (jti === undefined) return undefined
  return useKey(credential ? ['credential', credential.id, jti] : ['issuer', String(claims['iss']), jti])
}

function admit(kong: AccessKong, ready: Ready, extension: Extension, token: Admitted): Outcome {
  const now = ready.now()
  const fault = token.policy.any ? timeFault(token.policy, token, now) : 0
  if (fault !== 0) return ready.timeAnswers[fault]
  const tooOld = extension.age?.(token.iat, now)
  if (tooOld) return tooOld
  if (extension.revocation && isRevoked(kong.entities, token.revocations, token.iat)) return extension.revocation
  if (extension.singleUse === undefined || token.use === undefined) return letIn(kong, ready, extension, token)
  return extension.singleUse
    .use(kong.entities, token.use, token.exp, now)
    .then((refusal) => refusal ?? letIn(kong, ready, extension, token))
}

function letIn(kong: AccessKong, ready: Ready, extension: Extension, token: Admitted): undefined {
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
