/**
 * How often a password was wrong, and for how long nobody is let in by that name therefore.
 *
 * After three wrong ones in a row a name has to wait, and longer after each that follows. While it waits, a right password is
 * answered as a wrong one is. The count ends with a right password, or when there was no wrong one for a day.
 * Where many count, each attempt is one step, so that of many at once no more are looked at than of as many in a row.
 */
import { hash } from 'node:crypto'
import type { Log } from '../../pdk/kong.ts'
import { Absence, type Redis } from '../../pdk/redis.ts'

/** A name that was tried. */
export interface Tried {
  readonly username: string
  /** Whether a credential has it. */
  readonly isKnown: boolean
}

/** Counts an attempt; gives the seconds that are left to wait, 0 where the attempt counts. */
type Attempt<Seconds> = (tried: Tried, isRight: boolean, log: Log) => Seconds

export interface Failures {
  readonly attempt: Attempt<number | Promise<number>>
}

/** Those of this node alone. */
export interface NodeFailures {
  readonly attempt: Attempt<number>
}

/** Wrong passwords that have no consequence. */
const free = 3
/** The first wait, and the longest; each is twice as long as the one before it. In seconds. */
const [firstWait, longestWait] = [10, 3600]
/** After so many seconds without a wrong password the count begins anew. */
const forgottenAfter = 86_400

const waitAfter = (failures: number): number =>
  failures < free ? 0 : Math.min(firstWait * 2 ** (failures - free), longestWait)

/** A count stands in 64 bits, from the top: 28 of the name's hash, 4 of failures, 32 of the last one's second. */
const cellsInGroup = 8
const groupBits = 12
const tableCells = cellsInGroup << groupBits
const mostFailures = 15

/** The bytes in which a node counts: one table for names that there are, one for all others. */
export const failureBytes = 2 * tableCells * BigInt64Array.BYTES_PER_ELEMENT

/**
 * Counts in memory that all workers of a node share. A name has a cell of one group of eight; where all are taken the one that has been
 * quiet for longest is given up. So strangers cannot make it grow, nor, with names that there are not, push out others.
 */
export function failuresIn(memory: SharedArrayBuffer, now = () => Math.floor(Date.now() / 1000)): NodeFailures {
  const tables = [0, 1].map((half) => new BigUint64Array(memory, (half * failureBytes) / 2, tableCells))
  return {
    attempt({ username, isKnown }, isRight) {
      const cells = tables[isKnown ? 0 : 1] as BigUint64Array
      const digest = hash('sha256', username, 'buffer')
      const first = (digest.readUInt16BE(0) & ((1 << groupBits) - 1)) * cellsInGroup
      const tag = digest.readUInt32BE(2) >>> 4 || 1
      for (;;) {
        const at = cellOf(cells, first, tag, now())
        const before = Atomics.load(cells, at)
        const known = read(before)
        const failures = known.tag === tag && !isForgotten(known, now()) ? known.failures : 0
        const left = failures === 0 ? 0 : known.last + waitAfter(failures) - now()
        if (left > 0) return left
        if (isRight && failures === 0) return 0
        const after = isRight ? 0n : written({ tag, failures: Math.min(failures + 1, mostFailures), last: now() })
        if (Atomics.compareExchange(cells, at, before, after) === before) return 0
      }
    },
  }
}

interface Count {
  readonly tag: number
  readonly failures: number
  readonly last: number
}

const read = (cell: bigint): Count => ({
  tag: Number(cell >> 36n),
  failures: Number((cell >> 32n) & 0xfn),
  last: Number(cell & 0xffffffffn),
})

const written = ({ tag, failures, last }: Count): bigint =>
  (BigInt(tag) << 36n) | (BigInt(failures) << 32n) | BigInt(last)

const isForgotten = ({ last }: Count, now: number): boolean => now - last >= forgottenAfter

/** The cell of a name in its group: its own, or the one whose last failure is the longest ago. */
function cellOf(cells: BigUint64Array, first: number, tag: number, now: number): number {
  let oldest = first
  let since = Infinity
  for (let at = first; at < first + cellsInGroup; at++) {
    const count = read(Atomics.load(cells, at))
    if (count.tag === tag && !isForgotten(count, now)) return at
    if (count.last < since) [oldest, since] = [at, count.last]
  }
  return oldest
}

/**
 * One step in Redis. KEYS: the count, and what is there while the name has to wait. ARGV: whether the password is right, the free
 * failures, the first and the longest wait in ms, and when the count is forgotten.
 */
const step = `
local left = redis.call('PTTL', KEYS[2])
if left > 0 then return left end
if ARGV[1] == '1' then redis.call('DEL', KEYS[1]) return 0 end
local failures = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
local beyond = failures - tonumber(ARGV[2])
if beyond >= 0 then
  redis.call('SET', KEYS[2], '1', 'PX', math.floor(math.min(tonumber(ARGV[3]) * 2 ^ math.min(beyond, 30), tonumber(ARGV[4]))))
end
return 0`

const times = [free, firstWait * 1000, longestWait * 1000, forgottenAfter * 1000].map(String)

/** All names that there are not share so many counts in Redis, which they would fill otherwise. */
const strangers = 65_536

/** Counts in Redis, which all nodes that use it share; while it is away, this node counts for itself. */
export function failuresAt(redis: Redis, meanwhile: NodeFailures): { readonly attempt: Attempt<Promise<number>> } {
  const absence = new Absence('basic-auth: wrong passwords are counted on this node alone')
  return {
    async attempt(tried, isRight, log) {
      const name = `gibbon:basic-auth:{${keyOf(tried)}}`
      try {
        const words = ['EVAL', step, '2', `${name}:failures`, `${name}:waits`, isRight ? '1' : '0', ...times]
        const left = Number(await redis.command(words))
        absence.ended(log)
        return Math.ceil(left / 1000)
      } catch (error) {
        absence.met(log, error)
        return meanwhile.attempt(tried, isRight, log)
      }
    },
  }
}

function keyOf({ username, isKnown }: Tried): string {
  const digest = hash('sha256', username, 'buffer')
  return isKnown ? digest.toString('base64url', 0, 16) : `unknown-${digest.readUInt32BE(0) % strangers}`
}

let shared = new SharedArrayBuffer(failureBytes)

/** Sets the memory in which the workers of a node count. */
export function configureFailures(memory: SharedArrayBuffer): void {
  shared = memory
}

/** The counts of this worker's node. */
export const nodeFailures = (): NodeFailures => failuresIn(shared)
