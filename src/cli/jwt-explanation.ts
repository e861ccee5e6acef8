/** What the jwt plugin says of a token, and why, step by step: the plugin's own verification, put into words. */
import type { Entities, Entity } from '../pdk/entities.ts'
import { identityOf } from '../pdk/identity.ts'
import type { Answer } from '../pdk/kong.ts'
import { algorithms } from '../plugins/jwt/algorithms.ts'
import { extensionNames } from '../plugins/jwt/extension-schema.ts'
import { iatOf } from '../plugins/jwt/age.ts'
import { issuersTimes } from '../plugins/jwt/extension.ts'
import { prepare, type Config, type Ready } from '../plugins/jwt/ready.ts'
import { refusals, type Refusal, type Step, steps } from '../plugins/jwt/refusals.ts'
import type { Rule } from '../plugins/jwt/rules.ts'
import { claimAt } from '../plugins/jwt/claims.ts'
import { getDocument } from '../plugins/jwt/document.ts'
import { type Issuer, issuerIn } from '../plugins/jwt/issuers.ts'
import { fetchKeys, type IssuerAddress } from '../plugins/jwt/key-fetching.ts'
import { adoptKeys, configureKeySource } from '../plugins/jwt/key-sets.ts'
import { timeFault, timesOf } from '../plugins/jwt/times.ts'
import { decodeToken, type Token } from '../plugins/jwt/token.ts'
import { createTokenMemory } from '../plugins/jwt/tokens.ts'
import { credentialKey, type Verified, verifyToken } from '../plugins/jwt/verification.ts'
import { describeMoment } from './jwt-time.ts'

export interface ExplainedStep {
  readonly step: Step
  readonly outcome: 'passed' | 'failed' | 'not reached'
  /** Why, in one line; empty for a step that was not reached. */
  readonly reason: string
}

export interface Explanation {
  readonly accepted: boolean
  readonly steps: readonly ExplainedStep[]
  /** What the client gets; null where the request goes on. */
  readonly answer: { readonly status: number; readonly challenge: string; readonly body: unknown } | null
  /** The consumer that a refused request goes on as, in place of the answer; null where there is none. */
  readonly anonymous: string | null
  /** Headers that the upstream gets; empty where it is not reached. */
  readonly upstreamHeaders: readonly (readonly [name: string, value: string])[]
  /** What else may help. */
  readonly hints: readonly string[]
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
  readonly rules: readonly Rule[]
  /** The issuer of the config that the token says it is of. */
  readonly issuer: Issuer | undefined
}

/**
 * Explains what a plugin with this config says of a token at `now` (seconds since 1970). The keys of an issuer that the config
 * trusts are fetched from it.
 */
export async function explainToken(
  text: string,
  config: Config,
  entities: Entities,
  now: number,
): Promise<Explanation> {
  const explain = (asIf: Config) => explainEnforced(text, asIf, entities, now)
  if (config.mode !== 'observe') return explain(config)
  const [kongs, all] = [await explain(withoutExtension(config)), await explain({ ...config, mode: 'enforce' })]
  const told = all.answer ? `${all.answer.status} ${JSON.stringify(all.answer.body)}` : 'let in, too'
  return { ...kongs, hints: [...kongs.hints, `mode is observe; with enforce it would be ${told}`] }
}

const withoutExtension = (config: Config): Config =>
  Object.fromEntries(Object.entries(config).filter(([name]) => !extensionNames.includes(name))) as Config

async function explainEnforced(text: string, config: Config, entities: Entities, now: number): Promise<Explanation> {
  const ready = prepare(config, '', createTokenMemory(0), () => now)
  const facts = gather(text, config, entities, now, ready)
  const { verified, hints } = facts.issuer
    ? await verifyByIssuer(facts.issuer, facts)
    : { verified: verifyToken(entities, ready.policy, text), hints: [] }
  const isRefused = typeof verified === 'string'
  const { answer, failed } = isRefused
    ? { answer: ready.answers[verified], failed: refusals[verified].step }
    : judged(verified, ready, now, facts)
  return {
    accepted: answer === undefined,
    steps: explainSteps(facts, failed, isRefused ? verified : undefined),
    answer: answer === undefined ? null : shown(answer),
    anonymous: answer === undefined ? null : config.anonymous,
    upstreamHeaders: answer === undefined ? identityHeaders(facts) : [],
    hints: [
      ...hints,
      ...(config.check_revocation ? ['whether it was taken back is not looked at here'] : []),
      ...hintsFor(facts, isRefused ? verified : undefined, entities, ready),
    ],
  }
}

/** Has the issuer's keys fetched, from here: the gateway may have other ones, or reach it another way. */
async function verifyByIssuer(
  issuer: Issuer,
  { token }: Facts,
): Promise<{ readonly verified: Pick<Verified, 'token' | 'times'> | Refusal; readonly hints: readonly string[] }> {
  configureKeySource({
    follow: () => undefined,
    ask: async (address) =>
      adoptKeys(
        address,
        (await fetchKeys(JSON.parse(address) as IssuerAddress, (url) => getDocument(url, undefined))).keys,
      ),
  })
  if (!token) return { verified: 'not JSON', hints: [] }
  try {
    const made = await issuer.verify(token)
    return { verified: typeof made === 'string' ? made : { token, times: timesOf(token.claims) }, hints: [] }
  } catch (error) {
    return { verified: 'unknown signing key', hints: [`from here: ${(error as Error).message}`] }
  }
}

/** What is said of a token whose signature is right: by its claims, then by the clock. */
function judged(
  { token, times }: Pick<Verified, 'token' | 'times'>,
  ready: Ready,
  now: number,
  { issuer }: Facts,
): { readonly answer: Answer | undefined; readonly failed: Step | undefined } {
  const broken = ready.extension?.rules.find((rule) => !rule.holds(token))
  if (broken) return { answer: broken.answer, failed: 'claims' }
  const fault = timeFault(issuer ? issuersTimes(ready, token) : ready.times, times, now)
  const answer = ready.timeAnswers[fault] ?? ready.extension?.age?.(iatOf(token), now)
  return { answer, failed: answer && 'times' }
}

function gather(text: string, config: Config, entities: Entities, now: number, ready: Ready): Facts {
  const { policy } = ready
  const decoded = decodeToken(text)
  const token = typeof decoded === 'string' ? undefined : decoded
  const found = token && credentialKey(token, policy.keyClaimName)
  const key = typeof found === 'object' ? found.text : ''
  const credential = key === '' ? undefined : entities.by('jwt_secrets', 'key', key)?.entity
  const owner = credential?.['consumer'] as { readonly id: string } | null | undefined
  const consumer = owner ? entities.get('consumers', owner.id)?.entity : undefined
  return {
    text,
    config,
    now,
    token,
    claim: policy.keyClaimName,
    key,
    credential,
    consumer,
    rules: ready.extension?.rules ?? [],
    issuer: token && issuerIn(ready.extension?.issuers, token),
  }
}

function explainSteps(facts: Facts, failed: Step | undefined, refusal: Refusal | undefined): ExplainedStep[] {
  const last = failed === undefined ? steps.length : steps.indexOf(failed)
  return steps.map((step, index) => {
    if (index > last) return { step, outcome: 'not reached', reason: '' }
    if (index < last) return { step, outcome: 'passed', reason: reasonsToPass[step](facts) }
    const own = step === 'claims' ? brokenReason : timesReason
    return { step, outcome: 'failed', reason: refusal ? reasonsToFail[refusal](facts) : own(facts) }
  })
}

const reasonsToPass: Readonly<Record<Step, (facts: Facts) => string>> = {
  find: ({ config }) => `looked for in ${places(config)}`,
  decode: ({ token }) => `header and claims are JSON, the algorithm is ${token?.alg}`,
  credential: ({ claim, key, issuer, token }) =>
    issuer
      ? `iss is ${JSON.stringify(token?.claims['iss'])}, an issuer of the config, which publishes the key`
      : `${claim} is ${JSON.stringify(key)}, and a credential has that key`,
  algorithm: ({ credential, issuer, token }) =>
    issuer
      ? `the issuer's key is one for ${token?.alg}`
      : `the credential says ${algorithmOf(credential)} as well, and has a key for it`,
  signature: ({ issuer }) => `made with the ${issuer ? 'issuer' : 'credential'}'s key`,
  consumer: ({ consumer, config, token }) =>
    config.consumer_claim
      ? `the one whom ${config.consumer_claim.join('.')} names: ${JSON.stringify(token && claimAt(token.claims, config.consumer_claim))} (not looked up here)`
      : `the credential belongs to ${nameOf(consumer)}`,
  claims: ({ rules }) =>
    rules.length === 0
      ? 'nothing more is asked of them'
      : `what is asked holds: ${rules.map(({ reason }) => reason).join(', ')}`,
  times: (facts) => timesReason(facts),
}

const reasonsToFail: Readonly<Record<Refusal, (facts: Facts) => string>> = {
  'no token': () => 'there is no token',
  'several tokens': () => 'there are different tokens in one request',
  'query flag': () => 'the query parameter has no value',
  'too long': ({ text }) => `it has ${text.length} characters, more than are read`,
  'not JSON': () => 'it must be three parts with dots between, the first two JSON in base64url without padding',
  'bad alg': () => `the header's alg must be one of ${[...algorithms.keys()].join(', ')}`,
  'bad signature text': () => 'the third part must be base64url without padding, as an encoder writes it',
  'critical extension': () => 'the header has crit: extensions that must be understood, and none is',
  'no key': ({ claim }) => `neither the claims nor the header have a member ${JSON.stringify(claim)}`,
  'bad key': ({ claim }) => `${claim} must be a text that is not empty`,
  'unknown key': ({ claim, key }) => `${claim} is ${JSON.stringify(key)}, and no jwt credential has that key`,
  'unknown signing key': () => 'none of the keys that the issuer publishes is the one that the token names',
  'other algorithm': ({ token, credential }) =>
    `the token says ${token?.alg}, the credential ${algorithmOf(credential)}: the credential decides`,
  'unusable key material': unusableReason,
  'bad signature': () => "another key than the credential's made it, or the token was changed since",
  'no consumer': () => 'the consumer that the credential belongs to does not exist',
}

/** The rules up to the one that does not hold, and what the token says. */
function brokenReason({ rules, token }: Facts): string {
  const broken = rules.find((rule) => token && !rule.holds(token))
  return broken
    ? `${broken.reason}: ${broken.asks}; the token says ${JSON.stringify(token && broken.value(token))}`
    : ''
}

function unusableReason({ token, config }: Facts): string {
  if (algorithms.get(token?.alg ?? '')?.material === 'public key') {
    return `the credential's rsa_public_key is missing, is no public key in PEM, or is not of the kind that ${token?.alg} needs`
  }
  return config.secret_is_base64 ? "the credential's secret is empty or no base64" : "the credential's secret is empty"
}

/** The times that a token has or should have, each with its distance from the clock. */
function timesReason({ token, config, now, issuer }: Facts): string {
  const times = timesOf(token?.claims ?? {})
  const lookedAt: readonly string[] = issuer
    ? ['exp', ...(token && Object.hasOwn(token.claims, 'nbf') ? ['nbf'] : [])]
    : (config.claims_to_verify ?? [])
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

function hintsFor(
  { token, credential }: Facts,
  refusal: Refusal | undefined,
  entities: Entities,
  { policy }: Ready,
): string[] {
  const hints: string[] = []
  if (refusal === 'bad signature' && token !== undefined && algorithms.get(token.alg)?.material === 'secret') {
    const other = { ...policy, secretIsBase64: !policy.secretIsBase64 }
    if (typeof verifyToken(entities, other, textOf(token)) !== 'string') {
      hints.push(`the signature would be right with secret_is_base64: ${String(other.secretIsBase64)}`)
    }
  }
  if (refusal === 'unknown key' && credential === undefined && typeof token?.claims['sub'] === 'string') {
    hints.push('another claim may name the credential: see key_claim_name')
  }
  return hints
}

function textOf({ signed, signature }: Token): string {
  return `${signed.toString('latin1')}.${signature.toString('base64url')}`
}

function shown({ status, headers, body }: Answer): Explanation['answer'] {
  const challenge = headers.find(([name]) => name === 'WWW-Authenticate')?.[1] ?? ''
  return { status, challenge, body: JSON.parse(String(body)) }
}

function identityHeaders({ credential, consumer }: Facts): Explanation['upstreamHeaders'] {
  return consumer && credential ? identityOf(consumer, credential, credential['key']).headers : []
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
