/**
 * What identity providers tell of tokens, sessions and accounts that are over. They post it to a path of the plugin's routes: OpenID
 * Connect back-channel logout tokens as a form, Security Event Tokens as they are; or they are asked (`event-polling.ts`). Only
 * `issuers` of the config are believed, and only of their own tokens; what they tell becomes revocations (`/jwt-revocations`), which
 * end with the tokens.
 * Source: OpenID Connect Back-Channel Logout 1.0 sections 2.4 to 2.8; RFC 8417; RFC 8935; RFC 9493; OpenID CAEP 1.0 and RISC 1.0.
 */
import type { Change, Entities } from '../../pdk/entities.ts'
import type { AccessKong, Answer, Request } from '../../pdk/kong.ts'
import { iatOf } from './age.ts'
import { claimAt, textOf, textsOf } from './claims.ts'
import { mostLeeway } from './extension-schema.ts'
import { issuerIn, issuersOf, type Issuer } from './issuers.ts'
import type { KeySets } from './key-sets.ts'
import type { Config } from './ready.ts'
import { jwt_revocations, longestHold, revocationId, revocationKey, type RevokedTokens } from './revocations-schema.ts'
import { decodeToken, isObject, type JsonObject, type Token } from './token.ts'
import { timesOf } from './times.ts'
import { jwt_uses, useKey } from './uses-schema.ts'

export interface EventReceiver {
  /** Whether a request goes to the receiver rather than on its way. */
  isFor(request: Request): boolean
  /** `now` is in seconds since 1970. */
  receive(kong: AccessKong, now: number): Promise<Answer>
}

const usualTtl = 86_400
const longestBody = 64 * 1024
const longestJti = 256
const mostEvents = 20
const mostSubjects = 50
/** How far an issuer's clock may be ahead, in seconds, beside the config's `leeway`. */
const mostAhead = 60

const logout = 'http://schemas.openid.net/event/backchannel-logout'
const caep = 'https://schemas.openid.net/secevent/caep/event-type/'
const risc = 'https://schemas.openid.net/secevent/risc/event-type/'
const oauth = 'https://schemas.openid.net/secevent/oauth/event-type/'

/** The events after which tokens are no longer good. Others are taken note of, as RFC 8935 2 wants, and nothing is done. */
const endings: ReadonlySet<string> = new Set([
  `${caep}session-revoked`,
  `${risc}sessions-revoked`,
  `${risc}account-disabled`,
  `${risc}account-purged`,
  `${risc}account-credential-change-required`,
  `${risc}credential-compromise`,
  `${oauth}token-revoked`,
  `${oauth}tokens-revoked`,
])

/** What is wrong with what was sent: RFC 8935 2.4's code, and words for the sender. */
const faults = {
  body: ['invalid_request', 'The body is no token of the form that its Content-Type says, or is too long'],
  form: ['invalid_request', 'The token is not well-formed, or of another type'],
  issuer: ['invalid_issuer', 'The issuer is not known'],
  key: ['invalid_key', 'The token is signed with a key or an algorithm that is not known'],
  signature: ['authentication_failed', 'The signature is wrong'],
  audience: ['invalid_audience', 'The token is for someone else'],
  times: ['invalid_request', 'The token has no iat, or is of another time'],
  jti: ['invalid_request', 'The token has no jti, or too long a one'],
  events: ['invalid_request', 'The token has no events, or too many, or lacks what they need'],
} as const satisfies Record<string, readonly [code: string, description: string]>
type Fault = keyof typeof faults

/** The two ways in which events come: what must be in the token, what it tells, and how it is answered. */
interface Way {
  readonly types: readonly unknown[]
  /** What the token says is over; undefined where it lacks what its events need. */
  readonly over: (claims: JsonObject, iss: string) => readonly RevokedTokens[] | undefined
  readonly taken: number
  readonly refusal: (fault: Fault) => object
}

const logoutWay: Way = {
  // Providers from before there was a type of its own give none.
  types: ['logout+jwt', 'application/logout+jwt', 'JWT', undefined],
  over: loggedOut,
  taken: 200,
  refusal: (fault) => ({ error: 'invalid_request', error_description: faults[fault][1] }),
}

const eventWay: Way = {
  types: ['secevent+jwt', 'application/secevent+jwt'],
  over: ended,
  taken: 202,
  refusal: (fault) => ({ err: faults[fault][0], description: faults[fault][1] }),
}

/** What came of a token with events: `new` where it ended something, a fault where it is not to be believed. */
type Outcome = 'new' | 'known' | 'unavailable' | Fault

/** Takes a token that came in one of the ways, and puts what it tells in force. */
type Take = (text: string, way: Way, entities: Entities, now: number) => Promise<Outcome>

function takerOf(config: Config, keySets: KeySets): Take | undefined {
  const { security_events: options, leeway = 0 } = config
  const issuers = options && issuersOf(config, keySets)
  if (!options || !issuers) return undefined
  const terms: Terms = { issuers, audience: options.audience, ahead: mostAhead + leeway }
  const ttl = options.ttl ?? usualTtl
  return async (text, way, entities, now) => {
    const told = await verified(text, way, terms, now)
    return typeof told === 'string' ? told : takeBack(entities, told, ttl, now)
  }
}

const isFault = (outcome: Outcome): outcome is Fault => Object.hasOwn(faults, outcome)

/** Takes a Security Event Token that was polled for; gives RFC 8935 2.4's error where it is not to be believed. */
export type PolledTake = (text: string, entities: Entities, now: number) => Promise<'taken' | 'unavailable' | object>

/** Undefined where the config takes no events. */
export function polledTakerOf(config: Config, keySets: KeySets): PolledTake | undefined {
  const take = takerOf(config, keySets)
  return (
    take &&
    (async (text, entities, now) => {
      const outcome = await take(text, eventWay, entities, now)
      if (isFault(outcome)) return eventWay.refusal(outcome)
      return outcome === 'unavailable' ? outcome : 'taken'
    })
  )
}

/** Undefined where the config names no path for events. */
export function eventReceiverOf(config: Config, keySets: KeySets): EventReceiver | undefined {
  const take = takerOf(config, keySets)
  const path = config.security_events?.path
  if (!take || path === undefined) return undefined
  return {
    isFor: (request) => request.get_path() === path,
    async receive({ request, response, entities, log }, now) {
      const exit = (status: number, body?: object): Answer =>
        response.exit(status, body, { 'Cache-Control': 'no-store', ...(body && { 'Content-Language': 'en' }) })
      if (request.get_method() !== 'POST') return response.exit(405, undefined, { Allow: 'POST' })
      const { way, text } = await sentIn(request)
      const outcome = text === undefined ? 'body' : await take(text, way, entities, now)
      if (isFault(outcome)) return exit(400, way.refusal(outcome))
      if (outcome === 'unavailable') return exit(503)
      if (outcome === 'new') log.notice('an issuer told that tokens are over')
      return exit(way.taken)
    },
  }
}

async function sentIn(request: Request): Promise<{ readonly way: Way; readonly text: string | undefined }> {
  const type = request.get_header('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  const body = await request.get_raw_body(longestBody)
  if (type === 'application/secevent+jwt') return { way: eventWay, text: body?.toString('latin1').trim() }
  const isForm = body !== undefined && type === 'application/x-www-form-urlencoded'
  const tokens = isForm ? new URLSearchParams(body.toString('latin1')).getAll('logout_token') : []
  return { way: logoutWay, text: tokens.length === 1 ? tokens[0] : undefined }
}

/** What a config asks of tokens with events. */
interface Terms {
  readonly issuers: ReadonlyMap<string, Issuer>
  readonly audience: readonly string[]
  /** How far their times may be ahead, in seconds. */
  readonly ahead: number
}

/** What a verified token tells. */
interface Told {
  readonly iss: string
  readonly jti: string
  readonly over: readonly RevokedTokens[]
  /** When it happened, in seconds since 1970. */
  readonly at: number
}

async function verified(text: string, way: Way, terms: Terms, now: number): Promise<Told | Fault> {
  const token = decodeToken(text)
  if (typeof token === 'string' || !way.types.includes(token.header['typ'])) return 'form'
  const issuer = issuerIn(terms.issuers, token)
  if (!issuer) return 'issuer'
  // The cheap things first: a stranger's text is to cost no cryptography where it can be told without.
  const told = toldBy(token, way, terms, now)
  if (typeof told === 'string') return told
  const key = await issuer.verify(token)
  if (typeof key !== 'string') return told
  return key === 'bad signature' ? 'signature' : 'key'
}

function toldBy({ claims }: Token, way: Way, { audience, ahead }: Terms, now: number): Told | Fault {
  const aud = textsOf(claimAt(claims, ['aud']))
  if (!audience.some((one) => aud.includes(one))) return 'audience'
  const [iat, { exp }] = [iatOf({ claims }), timesOf(claims)]
  if (!(iat >= 0 && iat <= now + ahead) || (Object.hasOwn(claims, 'exp') && !(exp + ahead > now))) return 'times'
  const jti = claimAt(claims, ['jti'])
  if (typeof jti !== 'string' || jti === '' || jti.length > longestJti || !jti.isWellFormed()) return 'jti'
  const iss = String(claims['iss'])
  const over = way.over(claims, iss)
  return over ? { iss, jti, over, at: Math.min(happenedAt(claims) ?? iat, iat, now) } : 'events'
}

function eventsIn(claims: JsonObject): readonly (readonly [type: string, event: JsonObject])[] | undefined {
  const events = claimAt(claims, ['events'])
  const entries = isObject(events) ? Object.entries(events) : []
  if (entries.length === 0 || entries.length > mostEvents) return undefined
  const told = entries.flatMap(([type, event]) => (isObject(event) ? [[type, event] as const] : []))
  return told.length === entries.length ? told : undefined
}

/** Back-Channel Logout 2.4: a session where one is named, else all of the subject's. A nonce would make it an ID token. */
function loggedOut(claims: JsonObject, iss: string): readonly RevokedTokens[] | undefined {
  const isLogout = eventsIn(claims)?.some(([type]) => type === logout)
  if (!isLogout || Object.hasOwn(claims, 'nonce')) return undefined
  const [sid, sub] = [textOf(claimAt(claims, ['sid'])), textOf(claimAt(claims, ['sub']))]
  if (sid !== undefined) return [['sid', sid, iss]]
  return sub === undefined ? undefined : [['sub', sub, iss]]
}

/** The subject is the token's (RFC 9493), or each event's own, as in RISC's and CAEP's earlier forms. */
function ended(claims: JsonObject, iss: string): readonly RevokedTokens[] | undefined {
  const events = eventsIn(claims)
  const sub = textOf(claimAt(claims, ['sub']))
  const ofToken = claimAt(claims, ['sub_id']) ?? (sub === undefined ? undefined : { format: 'opaque', id: sub })
  return events
    ?.filter(([type]) => endings.has(type))
    .flatMap(([, event]) => subjectTokens(claimAt(event, ['subject']) ?? ofToken, iss))
    .slice(0, mostSubjects)
}

/** The tokens of a subject (RFC 9493), where it is one that tokens are known by, and of this issuer: it speaks of no one else's. */
function subjectTokens(subject: unknown, iss: string, depth = 0): readonly RevokedTokens[] {
  if (!isObject(subject) || depth > 2) return []
  const text = (name: string) => textOf(claimAt(subject, [name]))
  const [own, id, sub, jti] = [text('iss') ?? iss, text('id'), text('sub'), text('jti')]
  if (own !== iss) return []
  const deeper = (name: string) => subjectTokens(claimAt(subject, [name]), iss, depth + 1)
  switch ((text('format') ?? text('subject_type'))?.replaceAll('-', '_')) {
    case 'iss_sub':
      return sub === undefined ? [] : [['sub', sub, iss]]
    case 'opaque':
      return id === undefined ? [] : [['sub', id, iss]]
    case 'jwt_id':
      return jti === undefined ? [] : [['jti', jti, iss]]
    case 'aliases': {
      const identifiers = claimAt(subject, ['identifiers'])
      return Array.isArray(identifiers) ? identifiers.flatMap((one) => subjectTokens(one, iss, depth + 1)) : []
    }
    case 'complex': {
      const session = claimAt(subject, ['session'])
      const sid = isObject(session) ? textOf(claimAt(session, ['id'])) : undefined
      return sid === undefined ? deeper('user') : [['sid', sid, iss]]
    }
    default:
      return []
  }
}

/** When it happened: `toe` (RFC 8417 2.2), or CAEP's `event_timestamp`; undefined where neither is a time. */
function happenedAt(claims: JsonObject): number | undefined {
  const ofEvents = eventsIn(claims)?.map(([, event]) => claimAt(event, ['event_timestamp'])) ?? []
  return [claimAt(claims, ['toe']), ...ofEvents].find(
    (time): time is number => typeof time === 'number' && Number.isFinite(time) && time >= 0,
  )
}

const mostTries = 5

/**
 * Writes down what is over, together with the token's name, so that the same token once more does nothing. Tells whether it is new,
 * and `unavailable` where it cannot be written. What happened longer ago than any token lives needs no entry.
 */
async function takeBack(
  entities: Entities,
  { iss, jti, over, at }: Told,
  longestLife: number,
  now: number,
): Promise<'new' | 'known' | 'unavailable'> {
  // A token is good for as much longer as clocks may differ by, whichever plugin looks at it.
  const ttl = Math.ceil(at + longestLife - now) + mostLeeway + 1
  if (over.length === 0 || ttl <= 1) return 'known'
  const use = useKey(['events', iss, jti])
  const tokens = new Map(over.map((one) => [revocationKey(one), one]))
  for (let triesLeft = mostTries; triesLeft > 0; triesLeft--) {
    if (entities.by(jwt_uses.name, 'key', use)) return 'known'
    const revocations = [...tokens].map(([key, one]) => revocation(entities, key, one, at, ttl))
    const written = await entities.write([
      { do: 'insert', kind: jwt_uses.name, entity: { key: use, ttl } },
      ...revocations,
    ])
    if (written.ok) return 'new'
    if (written.reason === 'unavailable') return 'unavailable'
    // Another one was first, with this token or with the same subject: look again.
  }
  return 'unavailable'
}

function revocation(entities: Entities, key: string, tokens: RevokedTokens, at: number, ttl: number): Change {
  const [what, value, iss] = tokens
  // Times of tokens are whole seconds: one of that very second may have been issued before.
  const before = what === 'sub' ? Math.floor(at) + 1 : null
  const kind = jwt_revocations.name
  const known = entities.by(kind, 'key', key)?.entity
  if (!known) return { do: 'insert', kind, entity: { id: revocationId(tokens), [what]: value, iss, before, ttl } }
  const later = before === null ? null : Math.max(before, Number(known['before']))
  // One that was written without an end has none.
  const longer = typeof known['ttl'] === 'number' ? Math.max(known['ttl'], ttl) : longestHold
  return { do: 'update', kind, id: known.id, changes: { before: later, ttl: longer } }
}
