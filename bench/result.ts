import type { Outcome } from './messages.ts'
import type { Options } from './options.ts'

/** The median of the rounds, and each of them. */
export interface Figure {
  readonly median: number
  readonly rounds: readonly number[]
}

export interface SubjectResult {
  readonly section: string
  readonly name: string
  /** Which of its rows in the section. */
  readonly variant: string
  /** CPU of the gateway's processes per request, user and system together. */
  readonly cpuMicroseconds: Figure
  readonly requestsPerSecond: Figure
  /** CPU per request divided by that of nginx in the same round and variant; null where nginx is not in the run. */
  readonly ratioToNginx: Figure | null
  /** Instructions per request, in thousands, of the gateway itself and of the system for it; null where they were not counted. */
  readonly userKiloinstructions: Figure | null
  readonly kernelKiloinstructions: Figure | null
}

/** Latencies at a steady rate, in ms from when a request was due. */
export interface SteadyResult {
  readonly name: string
  /** Of what the gateway can do at most. */
  readonly share: number
  readonly requestsPerSecond: Figure
  /** What came of that rate. */
  readonly answersPerSecond: Figure
  readonly p50: Figure
  readonly p99: Figure
  readonly p999: Figure
}

export interface FloodResult {
  readonly name: string
  readonly kind: string
  /** Good requests per second without and with the flood. */
  readonly goodPerSecondAlone: number
  readonly goodPerSecond: number
  readonly refusedPerSecond: number
  /** CPU per request, good and bad together. */
  readonly cpuMicroseconds: number
  readonly refused: number
  readonly residentBytesBefore: number
  readonly residentBytesAfter: number
}

/** Connections that are kept alive without a request, of one protocol. */
export interface IdleResult {
  readonly protocol: string
  readonly connections: number
  /** By how much the process grew for each. */
  readonly bytesEach: number
}

export interface Result {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly pinned: boolean }
  readonly options: Options
  readonly subjects: readonly SubjectResult[]
  readonly steady: readonly SteadyResult[]
  readonly floods: readonly FloodResult[]
  readonly idle: readonly IdleResult[]
}

/** A ratio that is wanted: `value` is null where its subjects were not in the run. */
export interface Check {
  readonly what: string
  readonly value: number | null
  readonly atMost: number
  readonly met: boolean
}

/** One measurement of one row. */
export interface Measurement {
  readonly section: string
  readonly subject: string
  readonly variant: string
  readonly outcome: Outcome
}

export interface SteadyMeasurement {
  readonly subject: string
  readonly share: number
  readonly perSecond: number
  readonly outcome: Outcome
}

type Round = readonly Measurement[]

interface FloodOutcome {
  readonly subject: string
  readonly kind: string
  readonly alone: Outcome
  readonly flooded: Outcome
}

/** Makes figures of what was measured. */
export function summaryOf(
  rounds: readonly Round[],
  steady: readonly SteadyMeasurement[],
  floods: readonly FloodOutcome[],
): Pick<Result, 'subjects' | 'steady' | 'floods'> {
  const kept = new Map(steady.map((one) => [`${one.subject} ${one.share}`, one]))
  return {
    subjects: (rounds[0] ?? []).map((_, row) => subjectResult(row, rounds)),
    steady: [...kept.values()].map(({ subject, share }) =>
      steadyResult(steady.filter((one) => one.subject === subject && one.share === share)),
    ),
    floods: floods.map(floodResult),
  }
}

/** The row at a place of each round. */
function subjectResult(row: number, rounds: readonly Round[]): SubjectResult {
  const own = rounds.flatMap((round) => round[row] ?? [])
  const { section = '', subject = '', variant = '' } = own[0] ?? {}
  const base = rounds.map((round) =>
    round.find((one) => one.subject === 'nginx plain' && one.section === section && one.variant === variant),
  )
  return {
    section,
    name: subject,
    variant,
    cpuMicroseconds: figure(own.map(({ outcome }) => cpuPerRequest(outcome))),
    requestsPerSecond: figure(own.map(({ outcome }) => perSecond(outcome))),
    ratioToNginx: ratio(own, base),
    userKiloinstructions: kiloinstructions(own, 'user'),
    kernelKiloinstructions: kiloinstructions(own, 'kernel'),
  }
}

function kiloinstructions(own: Round, side: 'user' | 'kernel'): Figure | null {
  const counts = own.map(({ outcome: { instructions, good, refused } }) =>
    instructions ? instructions[side] / (good + refused) / 1000 : Number.NaN,
  )
  return counts.every(Number.isFinite) ? figure(counts) : null
}

const perSecond = (outcome: Outcome) => outcome.good / outcome.seconds
const cpuPerRequest = ({ cpuSeconds, good, refused }: Outcome) => (cpuSeconds * 1e6) / (good + refused)

// The median of the ratios, not the ratio of the medians: both sides of each come from the same seconds.
function ratio(own: Round, base: readonly (Measurement | undefined)[]): Figure | null {
  const ratios = own.map(({ outcome }, round) => {
    const other = base[round]?.outcome
    return other ? cpuPerRequest(outcome) / cpuPerRequest(other) : Number.NaN
  })
  return ratios.every(Number.isFinite) ? figure(ratios) : null
}

function steadyResult(own: readonly SteadyMeasurement[]): SteadyResult {
  const latency = (name: 'p50' | 'p99' | 'p999') => figure(own.map(({ outcome }) => outcome.latencyMs?.[name] ?? NaN))
  return {
    name: own[0]?.subject ?? '',
    share: own[0]?.share ?? NaN,
    requestsPerSecond: figure(own.map((one) => one.perSecond)),
    answersPerSecond: figure(own.map(({ outcome }) => perSecond(outcome))),
    p50: latency('p50'),
    p99: latency('p99'),
    p999: latency('p999'),
  }
}

function figure(rounds: readonly number[]): Figure {
  const sorted = rounds.toSorted((one, other) => one - other)
  const middle = sorted.length >> 1
  const [low = NaN, high = NaN] = [sorted[sorted.length % 2 === 1 ? middle : middle - 1], sorted[middle]]
  return { median: (low + high) / 2, rounds }
}

function floodResult({ subject, kind, alone, flooded }: FloodOutcome): FloodResult {
  return {
    name: subject,
    kind,
    goodPerSecondAlone: perSecond(alone),
    goodPerSecond: perSecond(flooded),
    refusedPerSecond: flooded.refused / flooded.seconds,
    cpuMicroseconds: cpuPerRequest(flooded),
    refused: flooded.refused,
    residentBytesBefore: flooded.residentBytesBefore,
    residentBytesAfter: flooded.residentBytesAfter,
  }
}

/** What the project promises, held against a result. */
export function checksOf({ subjects, idle }: Pick<Result, 'subjects' | 'idle'>): readonly Check[] {
  const roundsOf = (section: string, name: string, variant: string) =>
    subjects.find((one) => one.section === section && one.name === name && one.variant === variant)?.cpuMicroseconds
      .rounds
  const compared = (own: readonly number[] | undefined, other: readonly number[] | undefined) =>
    own && other ? figure(own.map((cpu, round) => cpu / (other[round] ?? NaN))).median : null
  const wanted = (name: string, base: string, atMost: number, section = 'requests', variant = '') =>
    check(
      `CPU per request, ${name} to ${base}${variant === '' ? '' : `, ${variant}`}`,
      compared(roundsOf(section, name, variant), roundsOf(section, base, variant)),
      atMost,
    )
  return [
    wanted('gibbon HS256', 'nginx plain', 1.35),
    wanted('gibbon HS256', 'haproxy HS256', 1),
    wanted('gibbon RS256', 'gibbon HS256', 1.05),
    wanted('gibbon ES256', 'gibbon HS256', 1.05),
    wanted('gibbon EdDSA', 'gibbon HS256', 1.05),
    wanted('gibbon key-auth', 'gibbon HS256', 1.15),
    wanted('gibbon basic-auth', 'gibbon HS256', 1.15),
    wanted('gibbon JWKS of 100 keys', 'gibbon RS256', 1.15),
    wanted('gibbon observing', 'gibbon HS256', 1.15),
    wanted('gibbon claims to headers', 'gibbon HS256', 1.15),
    wanted('gibbon 1,000,000 tokens', 'nginx plain', 1.8),
    wanted('gibbon 10,000 routes', 'gibbon HS256', 1.03),
    wanted('gibbon HS256', 'nginx plain', 1.3, 'bodies', '1 MB down'),
    wanted('gibbon HS256', 'nginx plain', 1.3, 'bodies', '1 MB up'),
    check(
      'CPU per request, gibbon HS256 with all cores to one',
      compared(roundsOf('cores', 'gibbon HS256', 'all cores'), roundsOf('requests', 'gibbon HS256', '')),
      1.1,
    ),
    ...['HTTP/1.1', 'HTTP/2'].map((protocol) => {
      const bytes = idle.find((one) => one.protocol === protocol)?.bytesEach
      return check(`KiB per idle connection, gibbon, ${protocol}`, bytes === undefined ? null : bytes / 1024, 12)
    }),
  ]
}

const check = (what: string, value: number | null, atMost: number): Check => ({
  what,
  value,
  atMost,
  met: value !== null && value <= atMost,
})
