/**
 * The keys of issuers, fetched once for all workers of a node: in the background, before they age; at once, but not as often as
 * a stranger may make us, when a token names a key that is not known; kept for as long as the issuer cannot be reached.
 * Source: OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3, RFC 7517 section 5.
 */
import { backOffMs } from '../../pdk/back-off.ts'
import type { Document } from './document.ts'
import type { KeptKeys } from './kept-keys.ts'
import { isObject } from './token.ts'

/** Where an issuer's keys are: at `jwks_uri`, or where the metadata at `discovery_uri`, or below the issuer, says. */
export interface IssuerAddress {
  readonly issuer: string
  readonly jwks_uri: string | null
  readonly discovery_uri: string | null
}

export interface KeyFetching {
  /** Follows an issuer from now on, for a day; gives its keys as JSON where they are known. */
  follow(address: string): string | undefined
  /** Asks for an issuer's keys anew, or takes part in what is under way. Resolves when that is over, whatever came of it. */
  ask(address: string): Promise<void>
  /** Told of an issuer's keys whenever they have changed. */
  onChange(listener: (address: string, keys: string) => void): void
  close(): void
}

export interface Surroundings {
  readonly get: (url: string) => Promise<Document>
  readonly warn: (text: string) => void
  /** Where keys outlive a restart; nowhere without it. */
  readonly kept?: KeptKeys
  readonly now?: () => number
  readonly random?: () => number
  /** Calls after so many ms, and gives what calls that off. */
  readonly after?: (ms: number, call: () => void) => () => void
}

/**
 * Whoever sends tokens with made-up key names makes us fetch so often at most: a few times at once, so that a real change is met at
 * once, and then time after time with as long between, so that a stranger delays it for no longer than that.
 */
const mostAtOnce = 3
const betweenMs = 5_000
const usualAgeMs = 300_000
const leastAgeMs = 60_000
const mostAgeMs = 3_600_000
const pauses = { firstMs: 2_000, longestMs: 300_000 }
const followedMs = 86_400_000
const mostIssuers = 1000

interface Followed {
  readonly address: IssuerAddress
  readonly name: string
  keys: string | undefined
  failures: number
  /** When all that were asked for would be over, were there `betweenMs` between any two. */
  askedUntil: number
  followedAt: number
  fetching: Promise<void> | undefined
  callOff: (() => void) | undefined
}

const afterMs = (ms: number, call: () => void) => {
  const timer = setTimeout(call, ms).unref()
  return () => clearTimeout(timer)
}

export function createKeyFetching({
  get,
  warn,
  kept,
  now = Date.now,
  random = Math.random,
  after = afterMs,
}: Surroundings): KeyFetching {
  const issuers = new Map<string, Followed>()
  const unfollowed = new Set<string>()
  const listeners: ((address: string, keys: string) => void)[] = []

  const followed = (name: string): Followed | undefined => {
    const known = issuers.get(name)
    if (known) return known
    const address = JSON.parse(name) as IssuerAddress
    if (issuers.size >= mostIssuers) return turnAway(name, address)
    unfollowed.delete(name)
    const fresh: Followed = {
      address,
      name,
      keys: kept?.load(name),
      failures: 0,
      askedUntil: 0,
      followedAt: now(),
      fetching: undefined,
      callOff: undefined,
    }
    issuers.set(name, fresh)
    void fetchNow(fresh)
    return fresh
  }
  const turnAway = (name: string, { issuer }: IssuerAddress): undefined => {
    if (!unfollowed.has(name))
      warn(
        `the keys of the issuer ${issuer} are not fetched, and its tokens are refused: ${mostIssuers} others are followed`,
      )
    unfollowed.add(name)
  }
  const fetchNow = (issuer: Followed): Promise<void> => {
    issuer.callOff?.()
    issuer.fetching ??= fetchKeys(issuer.address, get)
      .then(
        ({ keys, maxAgeMs }) => succeed(issuer, keys, maxAgeMs),
        (error: Error) => fail(issuer, error),
      )
      .finally(() => (issuer.fetching = undefined))
    return issuer.fetching
  }
  const succeed = (issuer: Followed, keys: string, maxAgeMs = usualAgeMs): void => {
    issuer.failures = 0
    const age = Math.min(Math.max(maxAgeMs, leastAgeMs), mostAgeMs)
    again(issuer, age * (0.7 + 0.2 * random()))
    // Anew even where they are the same: they are known to be good until now.
    kept?.save(issuer.name, keys)
    if (keys === issuer.keys) return
    issuer.keys = keys
    for (const listener of listeners) listener(issuer.name, keys)
  }
  const fail = (issuer: Followed, error: Error): void => {
    const kept = issuer.keys === undefined ? 'its tokens are refused until they can be' : 'those it had stay in force'
    if (issuer.failures === 0)
      warn(`cannot fetch the keys of the issuer ${issuer.address.issuer}: ${error.message}; ${kept}`)
    issuer.failures++
    again(issuer, backOffMs(issuer.failures, pauses, random))
  }
  const again = (issuer: Followed, ms: number): void => {
    issuer.callOff = after(ms, () => {
      if (now() - issuer.followedAt > followedMs) issuers.delete(issuer.name)
      else void fetchNow(issuer)
    })
  }
  return {
    follow(name) {
      const issuer = followed(name)
      if (issuer) issuer.followedAt = now()
      return issuer?.keys
    },
    async ask(name) {
      const issuer = followed(name)
      if (!issuer) return
      if (issuer.fetching) return issuer.fetching
      if (issuer.askedUntil - now() > (mostAtOnce - 1) * betweenMs) return
      issuer.askedUntil = Math.max(issuer.askedUntil, now()) + betweenMs
      await fetchNow(issuer)
    },
    onChange: (listener) => void listeners.push(listener),
    close() {
      for (const { callOff } of issuers.values()) callOff?.()
      issuers.clear()
    },
  }
}

/** Fetches an issuer's keys once. Rejects, saying where and why. */
export async function fetchKeys(
  address: IssuerAddress,
  get: Surroundings['get'],
): Promise<{ readonly keys: string; readonly maxAgeMs: number | undefined }> {
  const uri = address.jwks_uri ?? (await discovered(address, get))
  const { value, maxAgeMs } = await get(uri).catch((error: Error) => {
    throw new Error(`${uri}: ${error.message}`, { cause: error })
  })
  if (!isObject(value) || !Array.isArray(value['keys'])) throw new Error(`${uri}: it is no JSON Web Key Set`)
  return { keys: JSON.stringify(value['keys']), maxAgeMs }
}

/** The metadata must be the issuer's own: else one issuer could pass off its keys as another's. */
async function discovered({ issuer, discovery_uri }: IssuerAddress, get: Surroundings['get']): Promise<string> {
  const uri = discovery_uri ?? `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const { value } = await get(uri).catch((error: Error) => {
    throw new Error(`${uri}: ${error.message}`, { cause: error })
  })
  if (!isObject(value) || value['issuer'] !== issuer) throw new Error(`${uri}: it is not the metadata of that issuer`)
  const { jwks_uri: keys } = value
  if (typeof keys !== 'string' || !/^https?:\/\//.test(keys)) throw new Error(`${uri}: it has no jwks_uri`)
  if (uri.startsWith('https:') && !keys.startsWith('https:')) throw new Error(`${uri}: its jwks_uri is not https`)
  return keys
}
