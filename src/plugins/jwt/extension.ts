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
import { type CertificateBound, certificateBoundOf } from './certificate-bound.ts'
import { claimAt, type ClaimPath, textOf, wordsOf } from './claims.ts'
import { type Binding, type Dpop, dpopOf } from './dpop.ts'
import { judgingNames } from './extension-schema.ts'
import { hideToken } from './hiding.ts'
import { type Introspection, introspectionOf, isOpaque } from './introspection.ts'
import { type Issuer, issuerIn, issuersOf } from './issuers.ts'
import type { KeySets } from './key-sets.ts'
import { loggedClaims } from './logged-claims.ts'
import type { Config, Ready } from './ready.ts'
import type { Refusal } from './refusals.ts'
import { isRevoked, revocationKeysOf } from './revocations.ts'
import { rulesOf, type Rule } from './rules.ts'
import { type SingleUse, singleUseOf } from './single-use.ts'
import { signerOf, type Signer } from './signers.ts'
import { issuersTimes, timeFault, type TimePolicy, timesOf } from './times.ts'
import { decodeToken, type Token } from './token.ts'
import type { Remembered } from './tokens.ts'
import { type Carried, type UpstreamToken, upstreamTokenOf } from './upstream-token.ts'
import { type HeaderClaim, headerClaimsOf, headerValue } from './upstream-headers.ts'
import { timesFor, type Verified, verifyDecoded } from './verification.ts'
import { useKey } from './uses-schema.ts'
import { subject, virtualCredential, whoOf, type Who } from './who.ts'

export interface Extension {
  readonly issuers: ReadonlyMap<string, Issuer> | undefined
  readonly rules: readonly Rule[]
  readonly age: AgeRule | undefined
  readonly who: Who | undefined
  /** What tokens without a consumer are told apart by. */
  readonly credential: ClaimPath
  readonly groups: ClaimPath | undefined
  /** What the access log has. */
  readonly logged: readonly ClaimPath[]
  readonly headers: readonly HeaderClaim[]
  readonly hides: boolean
  /** Whether tokens taken back are refused, and the answer to them. */
  readonly revocation: Answer | undefined
  /** Whether tokens are good once only. */
  readonly singleUse: SingleUse | undefined
  readonly dpop: Dpop | undefined
  readonly certificateBound: CertificateBound | undefined
  /** Who is asked about opaque tokens. */
  readonly introspection: Introspection | undefined
  /** The token that the upstream gets. */
  readonly upstreamToken: UpstreamToken | undefined
}

/** A token that may be let in, with what it brings along. */
interface Admitted extends Remembered {
  readonly iat: number
  /** The values of `headers`, in their order. */
  readonly headers: readonly (string | undefined)[]
  readonly groups: readonly string[] | undefined
  readonly logged: Readonly<Record<string, unknown>> | undefined
  /** What it may have been taken back by. */
  readonly revocations: readonly string[]
  /** What its use is written down by, where it is good once. */
  readonly use: string | undefined
  /** What it is bound to, where that is looked at. */
  readonly binding: Binding | undefined
  readonly certificate: string | undefined
  /** Until when it may be remembered, in seconds since 1970. */
  readonly until: number
  /** What goes into tokens for the upstream. */
  readonly carried: Carried | undefined
  /** Whom its claim names where no consumer was there by that: one may come. */
  readonly nobody: string | undefined
}

/** Prepares what a config asks for; undefined where that is nothing beside Kong's (`leeway` is among the times). */
export function extensionOf(config: Config, refuse: Refuse, keySets: KeySets): Extension | undefined {
  if (!judgingNames.some((name) => config[name as keyof Config] !== undefined)) return undefined
  return {
    issuers: issuersOf(config, keySets),
    rules: rulesOf(config, refuse),
    age: ageRuleOf(config, refuse),
    who: whoOf(config, refuse),
    credential: config.credential_claim ?? subject,
    groups: config.authenticated_groups_claim,
    logged: config.log_claims ?? [],
    headers: headerClaimsOf(config.upstream_headers),
    hides: config.hide_credentials === true,
    singleUse: singleUseOf(config, refuse),
    dpop: dpopOf(config),
    certificateBound: certificateBoundOf(config, refuse),
    introspection: introspectionOf(config, refuse),
    upstreamToken: upstreamTokenOf(config, refuse),
    revocation: config.check_revocation
      ? refuse('revoked', 401, { message: 'Token revoked' }, invalidToken)
      : undefined,
  }
}

/** Takes away what the client may have sent in the place of claims, whoever it turns out to be. */
export function dropClaimHeaders(kong: AccessKong, { headers, upstreamToken }: Extension): void {
  for (const { name } of headers) kong.service.request.clear_alike(name)
  // In that header the client's own token may stand, which is yet to be found.
  if (upstreamToken && upstreamToken.header !== 'authorization') kong.service.request.clear_alike(upstreamToken.header)
}

/** Identifies the request by its token's text, or gives the answer that refuses it; a promise where keys must be fetched. */
export function attemptExtended(kong: AccessKong, ready: Ready, extension: Extension, text: string): Outcome {
  // What this config's space remembers was put there below.
  const known = ready.tokens.recall(text) as Admitted | undefined
  const verdict = known && isUpToDate(kong, ready, extension, known) ? known : verify(kong, ready, extension, text)
  if (verdict instanceof Promise) return verdict.then((late) => conclude(kong, ready, extension, late))
  return conclude(kong, ready, extension, verdict)
}

/** What an issuer told counts for a while. A token that stands for itself does so until there is a consumer whom it names. */
const isUpToDate = (
  { entities }: AccessKong,
  { now }: Ready,
  { who }: Extension,
  { nobody, until }: Admitted,
): boolean =>
  (until === Infinity || now() < until) && (nobody === undefined || who?.named(entities, nobody) === undefined)

type Verdict = Admitted | Refusal | Answer

function conclude(kong: AccessKong, ready: Ready, extension: Extension, verdict: Verdict): Outcome {
  if (typeof verdict === 'string') return ready.answers[verdict]
  return 'signer' in verdict ? admit(kong, ready, extension, verdict) : verdict
}

function verify(kong: AccessKong, ready: Ready, extension: Extension, text: string): Verdict | Promise<Verdict> {
  if (extension.introspection && isOpaque(text)) return askAbout(kong, ready, extension, extension.introspection, text)
  const token = decodeToken(text)
  if (typeof token === 'string') return token
  const issuer = issuerIn(extension.issuers, token)
  if (!issuer) return verifyByCredential(kong, ready, extension, text, token)
  const made = issuer.verify(token)
  if (made instanceof Promise) return made.then((key) => verifyByKey(kong, ready, extension, text, token, key))
  return verifyByKey(kong, ready, extension, text, token, made)
}

function verifyByCredential(
  kong: AccessKong,
  ready: Ready,
  extension: Extension,
  text: string,
  token: Token,
): Verdict | Promise<Verdict> {
  const verified = verifyDecoded(kong.entities, ready.policy, token)
  if (!(verified instanceof Promise)) return judgeVerified(kong, ready, extension, text, verified)
  return verified.then((late) => judgeVerified(kong, ready, extension, text, late))
}

function judgeVerified(
  kong: AccessKong,
  ready: Ready,
  extension: Extension,
  text: string,
  verified: Verified | Refusal,
): Verdict {
  if (typeof verified === 'string') return verified
  const { token } = verified
  const broken = extension.rules.find((rule) => !rule.holds(token))
  if (broken) return broken.answer
  // Where there are issuers only they are believed when they name a consumer: whoever has a credential speaks for himself.
  const who = extension.issuers ? undefined : extension.who
  const signer = signerByCredential(kong, who, extension.credential, verified)
  if ('status' in signer) return signer
  return remember(ready, text, {
    ...broughtBy(token, extension, text, verified.credential.entity, signer),
    until: Infinity,
    signer,
    policy: timesFor(ready.times, verified),
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
  const policy = issuersTimes(ready.times, token.claims)
  return judgeClaimed(kong, ready, extension, { text, token, key, policy, until: Infinity })
}

/** What stands for the key of tokens that an issuer has told of: they are remembered for a short while only. */
const told: Loaded = { entity: { id: 'introspection' }, live: true }

async function askAbout(
  kong: AccessKong,
  ready: Ready,
  extension: Extension,
  introspection: Introspection,
  text: string,
): Promise<Verdict> {
  const answer = await introspection.ask(text, kong.client.get_forwarded_ip(), ready.now)
  if ('status' in answer) return answer
  const { claims } = answer
  const { exp, nbf } = timesOf(claims)
  const now = ready.now()
  const policy = {
    ...ready.times,
    exp: ready.times.exp || !Number.isNaN(exp),
    nbf: ready.times.nbf || !Number.isNaN(nbf),
  }
  const until = Math.min(now + introspection.ttl, Number.isNaN(exp) ? Infinity : exp)
  const token = { header: {}, claims }
  return judgeClaimed(kong, ready, extension, { text, token, key: told, policy: { ...policy, any: true }, until })
}

/** A token whose issuer vouches for its claims. */
interface Claimed {
  readonly text: string
  readonly token: Pick<Token, 'header' | 'claims'>
  /** What it was verified with. */
  readonly key: Loaded
  readonly policy: TimePolicy
  readonly until: number
}

function judgeClaimed(
  kong: AccessKong,
  ready: Ready,
  extension: Extension,
  { text, token, key, policy, until }: Claimed,
): Verdict {
  const broken = extension.rules.find((rule) => !rule.holds(token))
  if (broken) return broken.answer
  const virtual = virtualCredential(extension.credential, token.claims, key)
  const found = extension.who?.find(kong.entities, token.claims)
  if (!found && extension.who && !extension.who.optional) return extension.who.refusal
  const identity = identityOf(found?.entity ?? null, virtual.entity, virtual.entity['key'])
  const signer = ownSigner(virtual, found ?? virtual, identity)
  return remember(ready, text, {
    ...broughtBy(token, extension, text, undefined, signer),
    signer,
    policy,
    until,
    nobody: found ? undefined : extension.who?.textIn(token.claims),
  })
}

function remember(ready: Ready, text: string, admitted: Admitted): Admitted {
  ready.tokens.remember(text, admitted)
  return admitted
}

function signerByCredential(
  { entities }: AccessKong,
  who: Who | undefined,
  path: ClaimPath,
  { credential, consumer, token: { claims } }: Verified,
): Signer | Answer {
  if (!who) return signerOf(credential, consumer)
  const found = who.find(entities, claims)
  if (found) return ownSigner(credential, found, identityOf(found.entity, credential.entity, credential.entity['key']))
  if (!who.optional) return who.refusal
  const virtual = virtualCredential(path, claims, credential)
  return ownSigner(virtual, virtual, identityOf(null, virtual.entity, virtual.entity['key']))
}

/** About what a token's own identity, or all else that is its own, takes in memory, in bytes. */
const ownBytes = 512

function ownSigner(credential: Loaded, consumer: Loaded, identity: Identity): Signer {
  return { credential, consumer, identity, bytes: ownBytes + 2 * identity.lines.length, countedIn: -1 }
}

function broughtBy(
  token: Pick<Token, 'claims'>,
  extension: Extension,
  text: string,
  credential: Entity | undefined,
  { identity }: Signer,
): Omit<Admitted, 'signer' | 'policy' | 'nobody' | 'until'> {
  const { claims } = token
  const headers = extension.headers.map((header) => headerValue(header, claims))
  const groups = extension.groups && wordsOf(claimAt(claims, extension.groups))
  const revocations = extension.revocation ? revocationKeysOf(claims, textOf(credential?.['key'])) : []
  const use = extension.singleUse && useKeyOf(token, credential)
  const carried = extension.upstreamToken?.carry(claims, identity.consumer)
  const texts = [...headers, ...(groups ?? []), ...revocations]
  const logged = loggedClaims(extension.logged, claims)
  const binding = extension.dpop?.bindingOf(claims, text)
  const certificate = extension.certificateBound?.thumbprintIn(claims)
  // The claims, and the token that is made of them, which is a third longer.
  const carriedBytes = carried ? 512 + 4 * JSON.stringify(carried.claims).length : 0
  const loggedBytes = logged ? 2 * JSON.stringify(logged).length : 0
  const extraBytes =
    ownBytes + carriedBytes + loggedBytes + texts.reduce((sum, text = '') => sum + 2 * text.length + 16, 0)
  const brought = { headers, groups, logged, revocations, use, binding, certificate, carried, extraBytes }
  return { ...timesOf(claims), iat: iatOf(token), ...brought }
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
  if (extension.revocation && isRevoked(kong.entities, token.revocations, token.iat, now + ready.times.leeway))
    return extension.revocation
  const stolen = extension.certificateBound?.check(kong.client, token.certificate)
  if (stolen) return stolen
  if (extension.dpop === undefined || token.binding === undefined) return useUp(kong, ready, extension, token, now)
  const unproven = extension.dpop.check(kong, token.binding, now)
  if (!(unproven instanceof Promise)) return unproven ?? useUp(kong, ready, extension, token, now)
  return unproven.then((late) => late ?? useUp(kong, ready, extension, token, now))
}

/** The last thing that is looked at, since it cannot be undone: whether the token was used before. */
function useUp(kong: AccessKong, ready: Ready, extension: Extension, token: Admitted, now: number): Outcome {
  if (extension.singleUse === undefined || token.use === undefined) return letIn(kong, ready, extension, token, now)
  return extension.singleUse
    .use(kong.entities, token.use, token.exp, now)
    .then((refusal) => refusal ?? letIn(kong, ready, extension, token, now))
}

function letIn(kong: AccessKong, ready: Ready, extension: Extension, token: Admitted, now: number): Outcome {
  kong.client.authenticate(token.signer.identity)
  const { headers } = extension
  for (let at = 0; at < headers.length; at++) {
    const value = token.headers[at]
    if (value !== undefined) kong.service.request.set_header(headers[at]!.name, value)
  }
  if (token.groups) kong.ctx.shared['authenticated_groups'] = token.groups
  if (token.logged) kong.log.set_serialize_value('claims', token.logged)
  if (extension.hides) {
    hideToken(kong, ready.locations)
    if (extension.dpop) kong.service.request.clear_header('dpop')
  }
  if (extension.upstreamToken === undefined || token.carried === undefined) return undefined
  const bound = token.policy.exp ? token.exp + token.policy.leeway : Infinity
  return extension.upstreamToken.put(kong, token.carried, now, bound)
}
