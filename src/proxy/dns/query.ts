import type { SrvRecord } from 'node:dns'
import type { Resolver as Client } from 'node:dns/promises'
import { type Address, type Addresses, type Failure, isFailure, notFound, serverFailure, timedOut } from './address.ts'

/** A record type that gives addresses. A CNAME is followed by the server and needs no asking of its own. */
export type RecordType = 'SRV' | 'A' | 'AAAA'

/** Addresses as they came, with the shortest of their records' times to live. */
export interface Found {
  readonly addresses: Addresses
  readonly ttlSeconds: number
  readonly type: RecordType
}

// A name's SRV records are each another name to be asked for: no answer may cost more than this many questions.
const mostSrvTargets = 64

/**
 * Asks for `names`, for one record type after the other, until one of them has addresses. `expired` is looked at between
 * two questions. Where none has: `not found` only when every server answered so.
 */
export async function query(
  client: Client,
  names: readonly string[],
  types: readonly RecordType[],
  expired: () => boolean,
): Promise<Found | Failure> {
  let failure = notFound
  for (const type of types) {
    for (const name of names) {
      const found = await questions[type](client, name, types)
      if (!('failed' in found)) return found
      if (found.failed !== 'not found') failure = found
      if (expired()) return failure
    }
  }
  return failure
}

const questions: Record<
  RecordType,
  (client: Client, name: string, types: readonly RecordType[]) => Promise<Found | Failure>
> = {
  A: (client, name) => plain('A', 4, () => client.resolve4(name, { ttl: true })),
  AAAA: (client, name) => plain('AAAA', 6, () => client.resolve6(name, { ttl: true })),
  SRV: (client, name, types) => service(client, name, types),
}

async function plain(
  type: 'A' | 'AAAA',
  family: 4 | 6,
  ask: () => Promise<{ address: string; ttl: number }[]>,
): Promise<Found | Failure> {
  const records = await answered(ask)
  if ('failed' in records) return records
  const addresses = records.map(({ address }) => ({ address, family }))
  return found(type, addresses, Math.min(...records.map(({ ttl }) => ttl)))
}

// Node does not tell an SRV record's own time to live: those who answer with such records change them often, and mean seconds.
const longestServiceSeconds = 10

async function service(client: Client, name: string, types: readonly RecordType[]): Promise<Found | Failure> {
  const records = await answered(() => client.resolveSrv(name))
  if ('failed' in records) return records
  const hosts = await Promise.all(preferred(records).map((record) => hostOf(client, record, types)))
  const resolved = hosts.filter((host): host is Found => !('failed' in host))
  if (resolved.length === 0) return hosts.find((host) => 'failed' in host) ?? notFound
  return found(
    'SRV',
    resolved.flatMap(({ addresses }) => addresses),
    Math.min(longestServiceSeconds, ...resolved.map(({ ttlSeconds }) => ttlSeconds)),
  )
}

// RFC 2782: only the records with the lowest priority number are used while they can be; "." says there is no such service.
function preferred(records: readonly SrvRecord[]): readonly SrvRecord[] {
  const priority = Math.min(...records.map((record) => record.priority))
  return records.filter((record) => record.priority === priority && record.name !== '').slice(0, mostSrvTargets)
}

async function hostOf(client: Client, record: SrvRecord, types: readonly RecordType[]): Promise<Found | Failure> {
  const plainTypes = types.filter((type) => type !== 'SRV')
  const host = await query(client, [record.name], plainTypes.length > 0 ? plainTypes : ['A', 'AAAA'], () => false)
  if ('failed' in host) return host
  const { port, weight, name } = record
  // RFC 2782 lets a weight of 0 be picked rarely, not never. Port 0 leaves the port to the configuration.
  const extra = { weight: Math.max(1, weight), name, ...(port > 0 && { port }) }
  return { ...host, addresses: host.addresses.map((address) => ({ ...address, ...extra })) }
}

function found(type: RecordType, addresses: readonly Address[], ttlSeconds: number): Found | Failure {
  return addresses.length > 0 ? { type, addresses: addresses.toSorted(byText), ttlSeconds } : notFound
}

// Servers rotate their answers; sorted ones can be told to be the same as before.
function byText(one: Address, other: Address): number {
  return one.address < other.address ? -1 : one.address > other.address ? 1 : (one.port ?? 0) - (other.port ?? 0)
}

async function answered<T>(ask: () => Promise<readonly T[]>): Promise<readonly T[] | Failure> {
  try {
    return await ask()
  } catch (error) {
    return failures[(error as NodeJS.ErrnoException).code ?? ''] ?? serverFailure
  }
}

// Source: Node's docs, "DNS", "Error codes".
const failures: Readonly<Record<string, Failure>> = {
  ENOTFOUND: notFound,
  ENODATA: notFound,
  EBADNAME: notFound,
  ERR_INVALID_ARG_VALUE: notFound,
  ETIMEOUT: timedOut,
  ECANCELLED: timedOut,
}

/** Whether two answers hold the same addresses, given that both are sorted. */
export function sameAddresses(one: Addresses | Failure, other: Addresses | Failure): boolean {
  if (isFailure(one) || isFailure(other)) return false
  return one.length === other.length && one.every((address, index) => same(address, other[index]))
}

function same(one: Address, other: Address | undefined): boolean {
  return (
    one.address === other?.address && one.port === other.port && one.weight === other.weight && one.name === other.name
  )
}
