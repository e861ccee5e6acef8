/**
 * Names to addresses for the way of a request: an answer that is known is given at once, from a bounded cache; asking
 * happens beside it, once per name.
 */
import { Resolver as Client } from 'node:dns/promises'
import { type Addresses, type Failure, isFailure, literal, notFound, serverFailure } from './address.ts'
import { readHosts } from './hosts.ts'
import { type Found, type RecordType, query, sameAddresses } from './query.ts'
import { candidates, readResolvConf } from './resolv-conf.ts'

export interface Resolver {
  /** The addresses of a host name or IP literal (brackets allowed), or why there are none; a promise only where it must be asked for. Never throws or rejects. */
  lookup(name: string): Addresses | Failure | Promise<Addresses | Failure>
  /**
   * Asks again for a name whose addresses do not serve any more, whatever their time to live; undefined where it need not be
   * asked for, or was within the last second. Never rejects.
   */
  renew(name: string): Promise<Addresses | Failure> | undefined
  /** How many names are remembered. */
  readonly size: number
  /** Ends the questions under way; they are answered with a failure. */
  close(): void
}

/** All times to live in seconds, as in Kong's settings `dns_*`. */
export interface ResolverOptions {
  /** `address` or `address:port` each, tried in order; those of the system where left out. */
  readonly servers?: readonly string[]
  readonly hostsFile?: string
  readonly resolvConfFile?: string
  /** How long an answer may be used after its time, while a new one is asked for. */
  readonly staleTtl?: number
  /** How long it is remembered that a name does not exist. */
  readonly notFoundTtl?: number
  /** How long it is remembered that a server failed. */
  readonly errorTtl?: number
  /** In place of every record's own time to live. */
  readonly validTtl?: number
  /** Record types in the order they are asked for, by Kong's names: LAST (what succeeded before), SRV, A, AAAA, CNAME. */
  readonly order?: readonly string[]
  readonly maxEntries?: number
  /** The present time in ms. */
  readonly now?: () => number
}

interface Entry {
  answer: Addresses | Failure
  /** When it was last asked for, in ms. */
  askedAt: number
  /** When a new answer is to be asked for, in ms. */
  expiresAt: number
  /** Until when `answer` may be used all the same, in ms. */
  staleUntil: number
  type: RecordType | undefined
  /** Looked up since the cache last made room. */
  used: boolean
}

// A time to live of 0 would mean a question per request; one beyond a week is more likely a mistake (RFC 8767 section 4).
const leastTtlSeconds = 1
const mostTtlSeconds = 7 * 86_400
// However many types and domains are to be tried, a name that is not answered by then counts as failed.
const patienceMs = 10_000
// Between two questions for a name that was given up before its time.
const renewalMs = 1000

/** Makes a resolver, reading the hosts file and resolv.conf once. */
export function createResolver(options: ResolverOptions = {}): Resolver {
  const { staleTtl = 3600, notFoundTtl = 30, errorTtl = 1, validTtl, maxEntries = 10_000, now = Date.now } = options
  const resolvConf = readResolvConf(options.resolvConfFile ?? '/etc/resolv.conf')
  const types = recordTypes(options.order ?? ['LAST', 'SRV', 'A', 'CNAME'])
  const hosts = readHosts(options.hostsFile ?? '/etc/hosts')
  const client = new Client({
    timeout: resolvConf.timeoutMs,
    maxTimeout: resolvConf.timeoutMs,
    tries: resolvConf.tries,
  })
  if (options.servers?.length) client.setServers(options.servers)
  const entries = new Map<string, Entry>()
  const asking = new Map<string, Promise<Addresses | Failure>>()

  function lookup(name: string): Addresses | Failure | Promise<Addresses | Failure> {
    const entry = entries.get(name)
    if (entry === undefined) return withoutAsking(name) ?? ask(name, undefined)
    entry.used = true
    const time = now()
    if (time < entry.expiresAt) return entry.answer
    const answer = ask(name, entry)
    return time < entry.staleUntil ? entry.answer : answer
  }

  function renew(name: string): Promise<Addresses | Failure> | undefined {
    const entry = entries.get(name)
    if (entry === undefined || entry.expiresAt === Infinity) return undefined
    if (now() - entry.askedAt < renewalMs) return asking.get(name)
    const answer = ask(name, entry)
    return answer instanceof Promise ? answer : undefined
  }

  function withoutAsking(name: string): Addresses | Failure | undefined {
    const address = literal(name)
    if (address) return [address]
    const known = hosts.get(name.toLowerCase().replace(/\.$/, ''))
    if (!known) return name === '' || name.length > 254 ? notFound : undefined
    const answer = known.filter(({ family }) => family === preferredFamily(known, types))
    remember(name, { answer, askedAt: now(), expiresAt: Infinity, staleUntil: Infinity, type: undefined, used: false })
    return answer
  }

  function ask(name: string, before: Entry | undefined): Promise<Addresses | Failure> | Failure {
    const underWay = asking.get(name)
    if (underWay) return underWay
    // What is being asked for is held in memory as well: a flood of names waits no longer than it would be remembered.
    if (asking.size >= maxEntries) return serverFailure
    const answer = answerOf(name, before).finally(() => asking.delete(name))
    asking.set(name, answer)
    return answer
  }

  async function answerOf(name: string, before: Entry | undefined): Promise<Addresses | Failure> {
    const deadline = now() + patienceMs
    const order =
      types.last && before?.type ? [before.type, ...types.order.filter((type) => type !== before.type)] : types.order
    const result = await query(client, candidates(name, resolvConf), order, () => now() >= deadline)
    const entry = 'failed' in result ? afterFailure(result, before) : afterSuccess(result, before)
    remember(name, entry)
    return entry.answer
  }

  function afterSuccess({ addresses, ttlSeconds, type }: Found, before: Entry | undefined): Entry {
    const ttl = validTtl ?? Math.min(Math.max(ttlSeconds, leastTtlSeconds), mostTtlSeconds)
    const askedAt = now()
    const expiresAt = askedAt + ttl * 1000
    const answer = before && sameAddresses(before.answer, addresses) ? before.answer : addresses
    return { answer, askedAt, expiresAt, staleUntil: expiresAt + staleTtl * 1000, type, used: before !== undefined }
  }

  // A server that fails says nothing about the name, so what was known of it holds as long as it may; "not found" does.
  function afterFailure(failure: Failure, before: Entry | undefined): Entry {
    const time = now()
    const retryAt = time + (failure.failed === 'not found' ? notFoundTtl : errorTtl) * 1000
    if (before && !isFailure(before.answer) && failure.failed !== 'not found' && time < before.staleUntil) {
      return { ...before, askedAt: time, expiresAt: Math.min(retryAt, before.staleUntil) }
    }
    const used = before !== undefined
    return { answer: failure, askedAt: time, expiresAt: retryAt, staleUntil: retryAt, type: before?.type, used }
  }

  function remember(name: string, entry: Entry): void {
    if (!entries.has(name) && entries.size >= maxEntries) makeRoom()
    entries.set(name, entry)
  }

  // Second chance: the oldest entry goes, unless it was used since it was last looked at here.
  function makeRoom(): void {
    for (const [name, entry] of entries) {
      entries.delete(name)
      if (!entry.used) return
      entry.used = false
      entries.set(name, entry)
    }
  }

  return {
    lookup,
    renew,
    get size() {
      return entries.size
    },
    close: () => client.cancel(),
  }
}

interface Types {
  readonly order: readonly RecordType[]
  readonly last: boolean
}

const isRecordType = (name: string): name is RecordType => name === 'SRV' || name === 'A' || name === 'AAAA'

function recordTypes(order: readonly string[]): Types {
  const names = order.map((name) => name.toUpperCase())
  const known = [...new Set(names.filter(isRecordType))]
  return { order: known.length > 0 ? known : ['A', 'AAAA'], last: names.includes('LAST') }
}

function preferredFamily(addresses: Addresses, { order }: Types): 4 | 6 {
  const first =
    order.indexOf('AAAA') !== -1 && (order.indexOf('A') === -1 || order.indexOf('AAAA') < order.indexOf('A')) ? 6 : 4
  return addresses.some(({ family }) => family === first) ? first : first === 4 ? 6 : 4
}
