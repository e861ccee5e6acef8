/**
 * Opaque tokens, of which only their issuer can tell what they are: it is asked, and what it says is remembered for a short while
 * that never outlives the token. Source: RFC 7662, RFC 6749 section 2.3.1.
 */
import { createHash } from 'node:crypto'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Answer } from '../../pdk/kong.ts'
import { trustedCertificates } from '../../pdk/trust.ts'
import { parseHost } from '../../schema/address.ts'
import { invalidToken, type Refuse } from './answers.ts'
import { fetchDocument } from './document.ts'
import type { Config } from './ready.ts'
import { isObject, type JsonObject } from './token.ts'
import { createTurns } from './turns.ts'

/** What the issuer says of a token that is good, or the answer to one that is not, or that cannot be asked about. */
export type Told = { readonly claims: JsonObject } | Answer

export interface Introspection {
  /** How long what is told may be remembered, in seconds. */
  readonly ttl: number
  /** Asks for a client, by its address; `now` gives the seconds since 1970. */
  ask(token: string, client: string, now: () => number): Promise<Told>
}

const usualTtl = 60
const timeoutMs = 5000
const longestAnswer = 64 * 1024
/** Questions in one worker and for one config: under way at a time, and waiting for that. */
const limits = { mostAtOnce: 20, mostWaiting: 1000, longestWaitMs: 5000 }
/** Tokens that are remembered as not good. */
const mostRefused = 10_000
const refusedSeconds = 5

/** Undefined where the config asks nobody. */
export function introspectionOf({ introspection: options }: Config, refuse: Refuse): Introspection | undefined {
  if (!options) return undefined
  const inactive = refuse('inactive', 401, { message: 'Token is not active' }, invalidToken)
  const unavailable = refuse('unavailable', 503, { message: 'Whether the token is good cannot be told' })
  const busy = refuse('busy', 429, { message: 'Too many tokens are being looked at' })
  const asking = new Map<string, Promise<Told>>()
  const turns = createTurns(limits)
  const refused = refusals()
  const ask = async (token: string, client: string, now: () => number, key: string): Promise<Told> => {
    const value = await turns.take(clientOf(client), () => introspect(options, token).catch(() => undefined))
    if (value === 'crowded out') return busy
    if (value === undefined || value === 'too late') return unavailable
    const claims = value['active'] === true ? withTimes(value) : undefined
    if (claims) return { claims }
    refused.note(key, now())
    return inactive
  }
  return {
    ttl: options.ttl ?? usualTtl,
    async ask(token, client, now) {
      const key = createHash('sha256').update(token).digest('base64url')
      if (refused.has(key, now())) return inactive
      const underWay = asking.get(key)
      if (underWay) return underWay
      const asked = ask(token, client, now, key).finally(() => asking.delete(key))
      asking.set(key, asked)
      return asked
    },
  }
}

/**
 * With its times as numbers, as RFC 7662 2.2 has them; some servers write them as texts. Undefined where one is neither: a token
 * whose end cannot be read must not be taken for one without an end.
 */
function withTimes(claims: JsonObject): JsonObject | undefined {
  const times = (['exp', 'nbf', 'iat'] as const)
    .filter((name) => Object.hasOwn(claims, name) && claims[name] !== null)
    .map((name) => [name, secondsIn(claims[name])] as const)
  if (times.some(([, seconds]) => seconds === undefined)) return undefined
  return { ...claims, ...Object.fromEntries(times) }
}

function secondsIn(value: unknown): number | undefined {
  if (typeof value === 'string') return /^\d{1,15}$/.test(value) ? Number(value) : undefined
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** Tokens that were found not to be good, for a few seconds: whoever sends one again and again asks nobody. */
function refusals() {
  let until = new Map<string, number>()
  return {
    has: (key: string, now: number): boolean => (until.get(key) ?? 0) > now,
    note(key: string, now: number): void {
      if (until.size >= mostRefused) until = new Map()
      until.set(key, now + refusedSeconds)
    },
  }
}

const agents = {
  http: new HttpAgent({ keepAlive: true, maxFreeSockets: limits.mostAtOnce }),
  https: new HttpsAgent({ keepAlive: true, maxFreeSockets: limits.mostAtOnce }),
}

async function introspect(
  { endpoint, client_id, client_secret, token_type_hint }: NonNullable<Config['introspection']>,
  token: string,
): Promise<JsonObject> {
  const form = new URLSearchParams({ token, ...(token_type_hint !== undefined && { token_type_hint }) })
  const credentials = [client_id ?? '', client_secret ?? ''].map((text) => encodeForm(text)).join(':')
  const { value } = await fetchDocument(endpoint, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/x-www-form-urlencoded',
      ...(client_id !== undefined && { Authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }),
    },
    body: form.toString(),
    ca: trustedCertificates(),
    agent: endpoint.startsWith('https:') ? agents.https : agents.http,
    timeoutMs,
    longest: longestAnswer,
  })
  if (!isObject(value) || typeof value['active'] !== 'boolean') throw new Error('it is no introspection response')
  return value
}

/** Whoever has one IPv6 address has as a rule all those that share its first 64 bits (RFC 6177). */
function clientOf(address: string): string {
  const host = parseHost(address)
  return 'type' in host && host.type === 'ipv6' ? host.host.slice(0, '2001:0db8:0000:0000'.length) : address
}

/** RFC 6749 2.3.1: the two are encoded as in a form before they are joined. */
const encodeForm = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)

/** Whether a token can be one that only its issuer understands: none that is made of three parts, and of RFC 6750's characters. */
export const isOpaque = (text: string): boolean =>
  text.length <= 4096 && text.split('.').length !== 3 && /^[\w.~+/-]+=*$/.test(text)
