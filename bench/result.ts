import type { Outcome } from './messages.ts'
import type { Options } from './options.ts'

/** The median of the rounds, and each of them. */
export interface Figure {
  readonly median: number
  readonly rounds: readonly number[]
}

export interface SubjectResult {
  readonly name: string
  /** CPU of the gateway's processes per request, user and system together. */
  readonly cpuMicroseconds: Figure
  readonly requestsPerSecond: Figure
  /** CPU per request divided by that of nginx in the same round; null where nginx is not in the run. */
  readonly ratioToNginx: Figure | null
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

export interface Result {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly pinned: boolean }
  readonly options: Options
  readonly subjects: readonly SubjectResult[]
  readonly floods: readonly FloodResult[]
}

/** A ratio that is wanted: `value` is null where its subjects were not in the run. */
export interface Check {
  readonly what: string
  readonly value: number | null
  readonly atMost: number
  readonly met: boolean
}

type Round = readonly { readonly subject: string; readonly outcome: Outcome }[]

interface FloodOutcome {
  readonly subject: string
  readonly kind: string
  readonly alone: Outcome
  readonly flooded: Outcome
}

/** Makes figures of what was measured. */
export function summaryOf(
  rounds: readonly Round[],
  floods: readonly FloodOutcome[],
): Pick<Result, 'subjects' | 'floods'> {
  const names = rounds[0]?.map(({ subject }) => subject) ?? []
  return { subjects: names.map((name) => subjectResult(name, rounds)), floods: floods.map(floodResult) }
}

function subjectResult(name: string, rounds: readonly Round[]): SubjectResult {
  return {
    name,
    cpuMicroseconds: figure(rounds.map((round) => cpuOf(name, round))),
    requestsPerSecond: figure(rounds.map((round) => perSecond(outcomeOf(name, round)))),
    ratioToNginx: ratio(name, 'nginx plain', rounds),
  }
}

const outcomeOf = (name: string, round: Round) => round.find(({ subject }) => subject === name)?.outcome
const perSecond = (outcome: Outcome | undefined) => (outcome ? outcome.good / outcome.seconds : NaN)
const cpuPerRequest = ({ cpuSeconds, good, refused }: Outcome) => (cpuSeconds * 1e6) / (good + refused)

function cpuOf(name: string, round: Round): number {
  const outcome = outcomeOf(name, round)
  return outcome ? cpuPerRequest(outcome) : NaN
}

// The median of the ratios, not the ratio of the medians: both sides of each come from the same seconds.
function ratio(name: string, base: string, rounds: readonly Round[]): Figure | null {
  const ratios = rounds.map((round) => cpuOf(name, round) / cpuOf(base, round))
  return ratios.every(Number.isFinite) ? figure(ratios) : null
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
export function checksOf({ subjects }: Pick<Result, 'subjects'>): readonly Check[] {
  const between = (name: string, base: string) => {
    const rounds = [
      subjects.find((subject) => subject.name === name),
      subjects.find((subject) => subject.name === base),
    ]
    const [own, other] = rounds.map((subject) => subject?.cpuMicroseconds.rounds)
    return own && other ? figure(own.map((cpu, round) => cpu / (other[round] ?? NaN))).median : null
  }
  const wanted = (name: string, base: string, atMost: number) =>
    check(`CPU per request, ${name} to ${base}`, between(name, base), atMost)
  return [
    wanted('gibbon HS256', 'nginx plain', 1.35),
    wanted('gibbon HS256', 'haproxy HS256', 1),
    wanted('gibbon RS256', 'gibbon HS256', 1.05),
    wanted('gibbon ES256', 'gibbon HS256', 1.05),
    wanted('gibbon EdDSA', 'gibbon HS256', 1.05),
    wanted('gibbon key-auth', 'gibbon HS256', 1.15),
    wanted('gibbon basic-auth', 'gibbon HS256', 1.15),
    wanted('gibbon 1,000,000 tokens', 'nginx plain', 1.8),
    wanted('gibbon 10,000 routes', 'gibbon HS256', 1.03),
  ]
}

const check = (what: string, value: number | null, atMost: number): Check => ({
  what,
  value,
  atMost,
  met: value !== null && value <= atMost,
})
