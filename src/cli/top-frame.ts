/** What `gibbon top` shows: the difference between two answers of `GET /traffic`, for people and for programs. */
import { quantile } from '../observe/tally.ts'
import { bold, columns, styled } from './terminal.ts'

/** Counts as `/traffic` answers them. */
export interface Counts {
  readonly statuses: Readonly<Record<string, number>>
  readonly latency_counts: readonly number[]
}

interface Named {
  readonly id: string
  readonly name: string | null
}

export interface TrafficAnswer {
  readonly workers: number
  readonly connections_active: number
  readonly routes: readonly {
    readonly route: Named
    readonly service: Named | null
    readonly answers: Counts
  }[]
  readonly unrouted: { readonly answers: Counts }
  readonly targets: readonly {
    readonly upstream: string
    readonly target: string
    readonly address: string
    readonly in_flight: number
    readonly failures: number
    readonly responses: Counts
  }[]
}

/** How requests went in a while. Latencies are upper bounds in ms: 0 for less than one, Infinity beyond the last bound. */
interface Rate {
  readonly perSecond: number
  readonly p50: number | undefined
  readonly p99: number | undefined
  /** A second, by the first digit of the status. */
  readonly classes: Readonly<Record<StatusClass, number>>
}

const statusClasses = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const
type StatusClass = (typeof statusClasses)[number]

export interface Frame {
  readonly workers: number
  readonly connections: number
  readonly all: Rate
  /** Busiest first. */
  readonly routes: readonly (Rate & { readonly route: string; readonly service: string })[]
  /** Slowest first. */
  readonly targets: readonly (Rate & TargetFacts)[]
}

interface TargetFacts {
  readonly upstream: string
  readonly target: string
  readonly inFlight: number
  readonly failuresPerSecond: number
}

/** What has happened in the seconds between two answers. */
export function frameOf(before: TrafficAnswer, after: TrafficAnswer, seconds: number): Frame {
  const rate = (now: Counts, then: Counts | undefined): Rate => rateOf(since(now, then), seconds)
  const routesBefore = new Map(before.routes.map(({ route, answers }) => [route.id, answers]))
  const routes = after.routes.map(({ route, service, answers }) => ({
    route: route.name ?? route.id,
    service: service === null ? '' : (service.name ?? service.id),
    ...rate(answers, routesBefore.get(route.id)),
  }))
  const unrouted = { route: '(no route)', service: '', ...rate(after.unrouted.answers, before.unrouted.answers) }
  const targetsBefore = new Map(before.targets.map((target) => [keyOf(target), target]))
  const targets = after.targets.map((target) => {
    const last = targetsBefore.get(keyOf(target))
    return {
      upstream: target.upstream,
      target: target.target === `${target.address}:${portOf(target.target)}` ? target.target : withAddress(target),
      inFlight: target.in_flight,
      failuresPerSecond: Math.max(0, target.failures - (last?.failures ?? 0)) / seconds,
      ...rate(target.responses, last?.responses),
    }
  })
  const counts = (answer: TrafficAnswer): Counts[] => [
    answer.unrouted.answers,
    ...answer.routes.map((one) => one.answers),
  ]
  return {
    workers: after.workers,
    connections: after.connections_active,
    all: rate(sum(counts(after)), sum(counts(before))),
    routes: [...routes, unrouted].filter(isBusy).toSorted((one, other) => other.perSecond - one.perSecond),
    targets: targets
      .filter((target) => isBusy(target) || target.inFlight > 0 || target.failuresPerSecond > 0)
      .toSorted((one, other) => bySlowness(one) - bySlowness(other)),
  }
}

const isBusy = ({ perSecond }: Rate): boolean => perSecond > 0
/** Those that fail count as slowest. */
const bySlowness = ({ p99, p50, failuresPerSecond }: Rate & TargetFacts): number =>
  -(failuresPerSecond * 1e9 + Math.min(p99 ?? 0, 1e6) * 1000 + Math.min(p50 ?? 0, 999))

const keyOf = (target: TrafficAnswer['targets'][number]): string =>
  JSON.stringify([target.upstream, target.target, target.address])
const portOf = (target: string): string => target.slice(target.lastIndexOf(':') + 1)
const withAddress = ({ target, address }: TrafficAnswer['targets'][number]): string => `${target} (${address})`

/** A worker that was replaced has begun to count anew: what seems to have become less is nothing. */
function since(now: Counts, then: Counts | undefined): Counts {
  const less = (count: number, before: number | undefined): number => Math.max(0, count - (before ?? 0))
  return {
    statuses: Object.fromEntries(
      Object.entries(now.statuses).map(([status, count]) => [status, less(count, then?.statuses[status])]),
    ),
    latency_counts: now.latency_counts.map((count, at) => less(count, then?.latency_counts[at])),
  }
}

function sum(all: readonly Counts[]): Counts {
  const statuses: Record<string, number> = {}
  const latencies: number[] = []
  for (const counts of all) {
    for (const [status, count] of Object.entries(counts.statuses)) statuses[status] = (statuses[status] ?? 0) + count
    for (const [at, count] of counts.latency_counts.entries()) latencies[at] = (latencies[at] ?? 0) + count
  }
  return { statuses, latency_counts: latencies }
}

function rateOf({ statuses, latency_counts: latencies }: Counts, seconds: number): Rate {
  const ofClass = (name: StatusClass): number =>
    Object.entries(statuses).reduce((count, [status, more]) => (status[0] === name[0] ? count + more : count), 0) /
    seconds
  const total = latencies.reduce((count, more) => count + more, 0)
  return {
    perSecond: total / seconds,
    p50: quantile({ latencies }, 0.5),
    p99: quantile({ latencies }, 0.99),
    classes: Object.fromEntries(statusClasses.map((name) => [name, ofClass(name)])) as Record<StatusClass, number>,
  }
}

/** A frame for people, with at most `rows` routes and targets. */
export function frameText(frame: Frame, title: string, rows: number, isTerminal: boolean): string {
  const { all, routes, targets } = frame
  const classes = statusClasses.map((name) => `${name} ${rateText(all.classes[name])}`).join('  ')
  const head = (cells: readonly string[]) => cells.map((cell) => bold(cell, isTerminal))
  const failing = (perSecond: number, text: string) => (perSecond > 0 ? styled('red', text, isTerminal) : text)
  return [
    `${bold(title, isTerminal)}\n`,
    `${bold(rateText(all.perSecond), isTerminal)} requests/s  p50 ${msText(all.p50)}  p99 ${msText(all.p99)}  ` +
      `connections ${frame.connections}  workers ${frame.workers}\n${classes}  (a second)\n\n`,
    columns([
      head(['busiest routes', 'service', 'req/s', 'p50', 'p99', '4xx/s', '5xx/s']),
      ...routes
        .slice(0, rows)
        .map(({ route, service, perSecond, p50, p99, classes: { '4xx': refused, '5xx': failed } }) => [
          plain(route),
          plain(service),
          rateText(perSecond),
          msText(p50),
          msText(p99),
          rateText(refused),
          failing(failed, rateText(failed)),
        ]),
    ]),
    '\n',
    columns([
      head(['slowest upstreams', 'target', 'req/s', 'p50', 'p99', '5xx/s', 'failed/s', 'in flight']),
      ...targets
        .slice(0, rows)
        .map(({ upstream, target, perSecond, p50, p99, classes: { '5xx': failed }, failuresPerSecond, inFlight }) => [
          plain(upstream),
          plain(target),
          rateText(perSecond),
          msText(p50),
          msText(p99),
          failing(failed, rateText(failed)),
          failing(failuresPerSecond, rateText(failuresPerSecond)),
          String(inFlight),
        ]),
    ]),
  ].join('')
}

const longest = 40
// Names are whatever somebody has written: they must not steer the terminal, nor push the figures off it.
const plain = (name: string): string => {
  const text = name.replaceAll(/[^\x20-\x7e\xa0-\uffff]/g, '?')
  return text.length > longest ? `${text.slice(0, longest - 3)}...` : text
}

const rateText = (perSecond: number): string =>
  perSecond === 0 ? '0' : perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond).toLocaleString('en')

function msText(ms: number | undefined): string {
  if (ms === undefined) return '-'
  if (ms === 0) return '<1 ms'
  return ms === Infinity ? '>60 s' : ms < 1000 ? `${ms} ms` : `${ms / 1000} s`
}

/** A frame for programs: one JSON object, the latencies null where there are none, or beyond the last bound. */
export const frameJson = ({ workers, connections, all, routes, targets }: Frame, rows: number): object => ({
  workers,
  connections,
  ...rateJson(all),
  routes: routes.slice(0, rows).map(({ route, service, ...rate }) => ({ route, service, ...rateJson(rate) })),
  upstreams: targets.slice(0, rows).map(({ upstream, target, inFlight, failuresPerSecond, ...rate }) => ({
    upstream,
    target,
    ...rateJson(rate),
    failures_per_second: failuresPerSecond,
    in_flight: inFlight,
  })),
})

const rateJson = ({ perSecond, p50, p99, classes }: Rate): object => ({
  requests_per_second: perSecond,
  p50_ms: finite(p50),
  p99_ms: finite(p99),
  statuses_per_second: classes,
})

const finite = (ms: number | undefined): number | null => (ms === undefined || ms === Infinity ? null : ms)
