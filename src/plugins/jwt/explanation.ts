/** What the plugin says of a token, and why, step by step: its own verification, put into words. */
import type { EntityReader, Entity } from '../../pdk/entities.ts'
import { identityOf } from '../../pdk/identity.ts'
import type { Answer } from '../../pdk/kong.ts'
import { algorithms } from './algorithms.ts'
import { iatOf } from './age.ts'
import { useKeyOf } from './extension.ts'
import { kongsOf, odditiesOf, prepare, type Config, type Ready } from './ready.ts'
import { refusals, type Refusal, type Step, steps } from './refusals.ts'
import type { Rule } from './rules.ts'
import { claimAt, type ClaimPath, textOf } from './claims.ts'
import { isOpaque } from './introspection.ts'
import { addressOfCredential, type Issuer, issuerIn } from './issuers.ts'
import { createKeySet, mostTries } from './key-sets.ts'
import { isRevoked, revocationKeysOf } from './revocations.ts'
import { timeFault, timesOf } from './times.ts'
import { decodeToken, type Token } from './token.ts'
import { createTokenMemory } from './tokens.ts'
import { headerValue } from './upstream-headers.ts'
import { credentialKey, timesFor, type Verified, verifyToken } from './verification.ts'
import { subject, virtualCredential } from './who.ts'
import { describeMoment } from './moment.ts'

export interface ExplainedStep {
  readonly step: Step
  readonly outcome: 'passed' | 'failed' | 'not reached'
  /** Why, in one line; empty for a step that was not reached. */
  readonly reason: string
}

export interface Explanation {
  /** Null where only the issuer of an opaque token could say. */
  readonly accepted: boolean | null
  readonly steps: readonly ExplainedStep[]
  /** What the client gets; null where the request goes on. */
  readonly answer: { readonly status: number; readonly challenge: string; readonly body: unknown } | null
  /** The consumer that a refused request goes on as, in place of the answer; null where there is none. */
  readonly anonymous: string | null
  /** Headers that the upstream gets; empty where it is not reached. */
  readonly upstream_headers: readonly (readonly [name: string, value: string])[]
  /** What else may help. */
  readonly hints: readonly string[]
}

/** What a token is judged by. */
export interface Bench {
  readonly entities: EntityReader
  /** Seconds since 1970. */
  readonly now: number
  readonly issuerKeys: IssuerKeys
}

/** The keys of issuers, by `IssuerAddress` as JSON. */
export interface IssuerKeys {
  /** Those that are known, as a JSON array. */
  known(address: string): string | undefined
  /** Asks for them anew, as far as that is allowed by now; may reject, saying why they are not to be had. */
  ask(address: string): Promise<string | undefined>
}

/** The facts that the reasons are told from. None of them is a secret. */
interface Facts {
  readonly text: string
  readonly config: Config
  readonly now: number
  readonly token: Token | undefined
  readonly claim: string
  readonly key: string
  readonly credential: Entity | undefined
  readonly consumer: Entity | undefined
  /** Whether a claim says whose token it is, rather than the credential. */
  readonly byClaim: boolean
  readonly rules: readonly Rule[]
  /** Whether the key is an issuer's: of the config, or one that the credential stands for. */
  readonly byIssuer: boolean
  /** The issuer of the config that the token says it is of. */
  readonly issuer: Issuer | undefined
}

/** Explains what a plugin with this config says of a token. */
export async function explainToken(text: string, config: Config, bench: Bench): Promise<Explanation> {
  const explain = (asIf: Config) => explainEnforced(text, asIf, bench)
  if (config.mode !== 'observe') return explain(config)
  const [kongs, all] = [await explain(kongsOf(config)), await explain({ ...config, mode: 'enforce' })]
  if (all.accepted === null) return { ...kongs, hints: [...kongs.hints, ...all.hints] }
  const told = all.answer ? `${all.answer.status} ${JSON.stringify(all.answer.body)}` : 'let in, too'
  return { ...kongs, hints: [...kongs.hints, `mode is observe; with enforce it would be ${told}`] }
}

async function explainEnforced(text: string, config: Config, bench: Bench): Promise<Explanation> {
  const { entities, now } = bench
  const keySets = (address: string) => {
    const set = createKeySet(async () => set.adopt((await bench.issuerKeys.ask(address)) ?? '[]'))
    set.adopt(bench.issuerKeys.known(address) ?? '[]')
    return set
  }
  const ready = prepare(config, '', { memory: createTokenMemory(0), now: () => now, keySets })
  if (ready.extension?.introspection && isOpaque(text)) return untold(notLookedAt(text, config))
  const facts = gather(text, config, entities, now, ready)
  const { verified, hints } = facts.issuer
    ? await verifyByIssuer(facts.issuer, facts)
    : { verified: await verifyToken(entities, ready.policy, text), hints: [] }
  const isRefused = typeof verified === 'string'
  const { answer, failed } = isRefused
    ? { answer: ready.answers[verified], failed: refusals[verified].step }
    : judged(verified, ready, bench, facts)
  return {
    accepted: answer === undefined,
    steps: explainSteps(facts, failed, isRefused ? verified : undefined),
    answer: answer === undefined ? null : shown(answer),
    anonymous: answer === undefined ? null : config.anonymous,
    upstream_headers: answer === undefined ? upstreamHeaders(facts, ready) : [],
    hints: [
      ...hints,
      ...notLookedAt(text, config),
      ...odditiesOf(config),
      ...hintsFor(facts, isRefused ? verified : undefined, entities, ready),
    ],
  }
}

/** Of a token that is not looked into here. */
const untold = (hints: readonly string[]): Explanation => ({
  accepted: null,
  steps: [],
  answer: null,
  anonymous: null,
  upstream_headers: [],
  hints,
})

type Judged = Pick<Verified, 'token' | 'times' | 'byIssuer'>

async function verifyByIssuer(
  issuer: Issuer,
  { token }: Facts,
): Promise<{ readonly verified: Judged | Refusal; readonly hints: readonly string[] }> {
  if (!token) return { verified: 'not JSON', hints: [] }
  try {
    const made = await issuer.verify(token)
    return {
      verified: typeof made === 'string' ? made : { token, times: timesOf(token.claims), byIssuer: true },
      hints: [],
    }
  } catch (error) {
    return { verified: 'unknown signing key', hints: [`from here: ${(error as Error).message}`] }
  }
}

/** What is said of a token whose signature is right: by its claims, whose it is, by the clock, and by what became of it. */
function judged(
  { token, times, byIssuer }: Judged,
  ready: Ready,
  { entities, now }: Bench,
  { issuer, consumer, byClaim, credential }: Facts,
): { readonly answer: Answer | undefined; readonly failed: Step | undefined } {
  const { extension } = ready
  const broken = extension?.rules.find((rule) => !rule.holds(token))
  if (broken) return { answer: broken.answer, failed: 'claims' }
  if (byClaim && !consumer && !extension?.who?.optional) return { answer: extension?.who?.refusal, failed: 'consumer' }
  const fault = timeFault(timesFor(ready.times, { byIssuer, token }), times, now)
  const late = ready.timeAnswers[fault] ?? extension?.age?.(iatOf(token), now)
  if (late) return { answer: late, failed: 'times' }
  const owner = issuer ? undefined : credential
  const keys = extension?.revocation ? revocationKeysOf(token.claims, textOf(owner?.['key'])) : []
  if (isRevoked(entities, keys, iatOf(token), now + ready.times.leeway))
    return { answer: extension?.revocation, failed: 'revocation' }
  const use = extension?.singleUse && useKeyOf(token, owner)
  const isUsed = use !== undefined && extension?.singleUse?.isUsed(entities, use)
  return isUsed
    ? { answer: extension?.singleUse?.used, failed: 'revocation' }
    : { answer: undefined, failed: undefined }
}

function gather(text: string, config: Config, entities: EntityReader, now: number, ready: Ready): Facts {
  const { policy, extension } = ready
  const decoded = decodeToken(text)
  const token = typeof decoded === 'string' ? undefined : decoded
  const found = token && credentialKey(token, policy.keyClaimName)
  const key = typeof found === 'object' ? found.text : ''
  const credential = key === '' ? undefined : entities.by('jwt_secrets', 'key', key)?.entity
  const owner = credential?.['consumer'] as { readonly id: string } | null | undefined
  const issuer = token && issuerIn(extension?.issuers, token)
  const who = extension?.issuers && !issuer ? undefined : extension?.who
  const named = token && who?.find(entities, token.claims)
  return {
    text,
    config,
    now,
    token,
    claim: policy.keyClaimName,
    key,
    credential,
    consumer: (who ? named : owner && entities.get('consumers', owner.id))?.entity,
    byClaim: who !== undefined,
    rules: extension?.rules ?? [],
    byIssuer: issuer !== undefined || (credential !== undefined && addressOfCredential(credential) !== undefined),
    issuer,
  }
}

function explainSteps(facts: Facts, failed: Step | undefined, refusal: Refusal | undefined): ExplainedStep[] {
  const last = failed === undefined ? steps.length : steps.indexOf(failed)
  return steps.map((step, index) => {
    if (index > last) return { step, outcome: 'not reached', reason: '' }
    if (index < last) return { step, outcome: 'passed', reason: reasonsToPass[step](facts) }
    return { step, outcome: 'failed', reason: (refusal ? reasonsToFail[refusal] : ownReasons[step])?.(facts) ?? '' }
  })
}

const reasonsToPass: Readonly<Record<Step, (facts: Facts) => string>> = {
  find: ({ config }) => `looked for in ${places(config)}`,
  decode: ({ token }) => `header and claims are JSON, the algorithm is ${token?.alg}`,
  credential: ({ claim, key, issuer, token }) =>
    issuer
      ? `iss is ${JSON.stringify(token?.claims['iss'])}, an issuer of the config, which publishes the key`
      : `${claim} is ${JSON.stringify(key)}, and a credential has that key`,
  algorithm: ({ credential, byIssuer, token }) =>
    byIssuer
      ? `the issuer's key is one for ${token?.alg}`
      : `the credential says ${algorithmOf(credential)} as well, and has a key for it`,
  signature: ({ byIssuer }) => `made with the ${byIssuer ? 'issuer' : 'credential'}'s key`,
  consumer: (facts) => (facts.byClaim ? claimedReason(facts) : `the credential belongs to ${nameOf(facts.consumer)}`),
  claims: ({ rules }) =>
    rules.length === 0
      ? 'nothing more is asked of them'
      : `what is asked holds: ${rules.map(({ answer }) => answer.reason).join(', ')}`,
  times: (facts) => timesReason(facts),
  revocation: ({ config: { check_revocation, single_use } }) =>
    [
      check_revocation ? 'it was not taken back' : 'whether it was taken back is not asked',
      ...(single_use ? ['it was not used before'] : []),
    ].join('; '),
}

/** What is told of the steps that have no `Refusal`. */
const ownReasons: Readonly<Partial<Record<Step, (facts: Facts) => string>>> = {
  claims: brokenReason,
  consumer: claimedReason,
  times: timesReason,
  revocation: ({ config }) => (config.single_use ? 'it was taken back, or used before' : 'it was taken back'),
}

/** Whom the claim names, and whether there is such a consumer. */
function claimedReason({ consumer, config, token }: Facts): string {
  if (!config.consumer_claim) return 'the token stands for itself'
  const { consumer_claim: path, consumer_by: fields = ['username', 'custom_id'] } = config
  const named = `${path.join('.')} is ${JSON.stringify(token && claimAt(token.claims, path)) ?? 'not there'}`
  if (consumer) return `${named}, which is ${nameOf(consumer)}`
  return `${named}, and no consumer has that as ${fields.join(' or ')}${config.consumer_optional ? ': it stands for itself' : ''}`
}

const reasonsToFail: Readonly<Record<Refusal, (facts: Facts) => string>> = {
  'no token': () => 'there is no token',
  'several tokens': () => 'there are different tokens in one request',
  'query flag': () => 'the query parameter has no value',
  'too long': ({ text }) => `it has ${text.length} characters, more than are read`,
  'not JSON': () => 'it must be three parts with dots between, the first two JSON in base64url without padding',
  'bad alg': () => `the header's alg must be one of ${[...algorithms.keys()].join(', ')}`,
  'no claims': () => 'the second part is JSON, but false',
  'bad signature text': () => 'the third part must be base64url without padding, as an encoder writes it',
  'critical extension': () => 'the header has crit: extensions that must be understood, and none is',
  'no key': ({ claim }) => `neither the claims nor the header have a member ${JSON.stringify(claim)}`,
  'bad key': ({ claim }) => `${claim} must be a text that is not empty`,
  'unknown key': ({ claim, key }) => `${claim} is ${JSON.stringify(key)}, and no jwt credential has that key`,
  'unknown signing key': () => 'none of the keys that the issuer publishes is the one that the token names',
  'too many signing keys': ({ token }) =>
    `the token names no key (kid in its header), and the issuer publishes more than ${mostTries} for ${token?.alg}: so many are not tried`,
  'other algorithm': ({ token, credential, byIssuer }) =>
    byIssuer
      ? `the token says ${token?.alg}, which is no algorithm with a public key that is taken`
      : `the token says ${token?.alg}, the credential ${algorithmOf(credential)}: the credential decides`,
  'unusable key material': unusableReason,
  'key of another kind': ({ token }) => `the credential's rsa_public_key is not of the kind that ${token?.alg} needs`,
  'bad signature': () => "another key than the credential's made it, or the token was changed since",
  'no consumer': () => 'the consumer that the credential belongs to does not exist',
}

/** The rules up to the one that does not hold, and what the token says. */
function brokenReason({ rules, token }: Facts): string {
  const broken = rules.find((rule) => token && !rule.holds(token))
  return broken
    ? `${broken.answer.reason}: ${broken.asks}; the token says ${JSON.stringify(token && broken.value(token))}`
    : ''
}

function unusableReason({ token, config }: Facts): string {
  if (algorithms.get(token?.alg ?? '')?.material === 'public key') {
    return `the credential's rsa_public_key is missing, or is no public key in PEM`
  }
  return config.secret_is_base64 ? "the credential's secret is empty or no base64" : "the credential's secret is empty"
}

/** The times that a token has or should have, each with its distance from the clock. */
function timesReason({ token, config, now, byIssuer }: Facts): string {
  const times = timesOf(token?.claims ?? {})
  const lookedAt: readonly string[] = byIssuer
    ? ['exp', ...(token && Object.hasOwn(token.claims, 'nbf') ? ['nbf'] : [])]
    : [
        ...(config.claims_to_verify ?? []),
        ...(config.single_use || (config.check_revocation && token && Object.hasOwn(token.claims, 'exp'))
          ? ['exp']
          : []),
      ]
  const told = (['exp', 'nbf'] as const).flatMap((claim) => {
    const moment = Number.isNaN(times[claim]) ? 'is not a number' : describeMoment(times[claim], now)
    if (lookedAt.includes(claim)) return [`${claim} ${moment}`]
    return Object.hasOwn(token?.claims ?? {}, claim)
      ? [`${claim} ${moment} (not looked at: not in claims_to_verify)`]
      : []
  })
  const most = config.maximum_expiration ?? 0
  if (most > 0) told.push(`exp may lie ${most} s ahead at most`)
  if (config.maximum_age !== undefined) {
    const iat = token ? iatOf(token) : NaN
    const moment = Number.isNaN(iat) ? 'is not a number' : describeMoment(iat, now)
    told.push(`iat ${moment}, and may lie ${config.maximum_age} s back at most`)
  }
  if (config.leeway) told.push(`clocks may differ by ${config.leeway} s`)
  return told.length === 0 ? 'none is looked at, and the token has none' : told.join('; ')
}

/** What depends on a request, or is asked of somebody else. */
const notLookedAt = (text: string, { dpop, certificate_bound, introspection }: Config): string[] => [
  ...(dpop
    ? ['whether it comes with a proof of the key that it is bound to is looked at with each request, not here']
    : []),
  ...(certificate_bound ? ['the certificate that it is bound to is looked at with each request, not here'] : []),
  ...(introspection && isOpaque(text) ? ['it is opaque: the gateway asks its issuer, which is not done here'] : []),
]

function hintsFor(
  { token, credential }: Facts,
  refusal: Refusal | undefined,
  entities: EntityReader,
  { policy }: Ready,
): string[] {
  const hints: string[] = []
  if (refusal === 'bad signature' && token !== undefined && algorithms.get(token.alg)?.material === 'secret') {
    const other = { ...policy, secretIsBase64: !policy.secretIsBase64 }
    if (typeof verifyToken(entities, other, written(token)) !== 'string') {
      hints.push(`the signature would be right with secret_is_base64: ${String(other.secretIsBase64)}`)
    }
  }
  if (refusal === 'unknown key' && credential === undefined && typeof token?.claims['sub'] === 'string') {
    hints.push('another claim may name the credential: see key_claim_name')
  }
  return hints
}

function written({ signed, signature }: Token): string {
  return `${signed}.${signature.toString('base64url')}`
}

function shown({ status, headers, body }: Answer): Explanation['answer'] {
  const challenge = headers.find(([name]) => name === 'WWW-Authenticate')?.[1] ?? ''
  return { status, challenge, body: JSON.parse(String(body)) }
}

function upstreamHeaders(facts: Facts, { extension }: Ready): Explanation['upstream_headers'] {
  const { token, consumer } = facts
  const claims = (extension?.headers ?? []).flatMap((header): [string, string][] => {
    const value = token && headerValue(header, token.claims)
    return value === undefined ? [] : [[header.name, value]]
  })
  const credential = credentialShown(facts, extension?.credential)
  return [...(credential ? identityOf(consumer ?? null, credential, credential['key']).headers : []), ...claims]
}

/** The credential that other plugins see: the token's own, or what stands for one. */
function credentialShown(
  { token, issuer, credential, consumer, byClaim }: Facts,
  path: ClaimPath = subject,
): Entity | undefined {
  if (credential && !issuer && (consumer || !byClaim)) return credential
  return token && virtualCredential(path, token.claims, { entity: { id: '' }, live: true }).entity
}

function places({ header_names, uri_param_names, cookie_names }: Config): string {
  const listed = (what: string, names: readonly string[] | null) => (names ?? []).map((name) => `${what} ${name}`)
  const all = [
    ...listed('header', header_names),
    ...listed('query parameter', uri_param_names),
    ...listed('cookie', cookie_names),
  ]
  return all.length === 0 ? 'no place at all' : all.join(', ')
}

function algorithmOf(credential: Entity | undefined): string {
  const algorithm = credential?.['algorithm']
  return typeof algorithm === 'string' ? algorithm : 'HS256'
}

function nameOf(consumer: Entity | undefined): string {
  const name = consumer?.['username'] ?? consumer?.['custom_id'] ?? consumer?.id
  return `consumer ${JSON.stringify(name)}`
}
