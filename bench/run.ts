/** `npm run bench`: what a request costs in each gateway, measured in one run. README.md tells what the figures mean. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { attack } from './continuity/attackers.ts'
import { Fleet, type Ready } from './fleet.ts'
import { type Options, readOptions } from './options.ts'
import { type Flood, type Job, type Outcome, pathOfSize, requestWith } from './messages.ts'
import { cores, pinned, rest, startWorker, stop, wake } from './processes.ts'
import {
  type Check,
  type IdleResult,
  type Measurement,
  type Result,
  type SteadyMeasurement,
  checksOf,
  summaryOf,
} from './result.ts'
import { nameOf, type Row, rows, steady, steadyShares } from './rows.ts'
import { printResult } from './table.ts'
import { gibbonEs256, gibbonHs256, gibbonPlain } from './subjects/gibbon.ts'
import { headerOf, type Running, type Subject } from './subjects/subject.ts'
import { type TokenSet, es256, hs256 } from './tokens.ts'

const floods: readonly { readonly subject: Subject; readonly tokens: TokenSet; readonly kind: Flood['kind'] }[] = [
  { subject: gibbonHs256, tokens: hs256, kind: 'unknown key' },
  { subject: gibbonHs256, tokens: hs256, kind: 'bad signature' },
  { subject: gibbonEs256, tokens: es256, kind: 'bad signature' },
]

/** Of bodies as long as these, few connections keep every core busy. */
const longBytes = 512 * 1024
const longConnections = 8
/** Over HTTP/2 as many requests are under way at a time as over HTTP/1.1, on so many connections. */
const http2Connections = 4

const idleConnections = 10_000

/** On a machine that is very busy a second may pass without an answer: then more time is given. */
const mostSeconds = 30

const options = readOptions(process.argv.slice(2))
const directory = mkdtempSync(join(tmpdir(), 'gibbon-bench-'))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))

const say = (line: string) => process.stderr.write(`${line}\n`)

try {
  const checks = await bench(options)
  process.exit(options.check && checks.some(({ met }) => !met) ? 1 : 0)
} catch (error) {
  say(`bench: ${(error as Error).message}`)
  process.exit(1)
}

async function bench(options: Options): Promise<readonly Check[]> {
  const ends = startWorker(cores.rest, 'ends.ts')
  const [{ port }] = (await once(ends, 'message')) as [{ port: number }]
  const isWanted = ({ section, subject }: Row) =>
    options.sections.includes(section) && (options.only?.test(subject.name) ?? true)
  const fleet = new Fleet({ directory, upstreamPort: port, install: options.install, say })
  const measured = await fleet.ready(rows.filter(isWanted))
  const asked = await fleet.ready(steady.filter(isWanted))
  for (const { running } of [...measured, ...asked]) rest(running.process)
  const rounds = await measureRounds(ends, measured, options)
  const steadyRounds = await measureSteady(ends, asked, options)
  const underFlood = options.sections.includes('floods') ? await measureFloods(ends, fleet, options) : []
  await fleet.stop()
  await stop(ends)
  const isIdleWanted = options.sections.includes('idle') && (options.only?.test(gibbonPlain.name) ?? true)
  const idle = isIdleWanted ? await measureIdle() : []

  const result: Result = { machine: machine(), options, ...summaryOf(rounds, steadyRounds, underFlood), idle }
  const checks = checksOf(result)
  printResult(result, checks)
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ ...result, checks }, null, 2)}\n`)
  return checks
}

/** Every row once in each round, so that a machine that slows down meanwhile slows all of them. */
async function measureRounds(ends: ChildProcess, ready: readonly Ready[], options: Options) {
  const rounds: Measurement[][] = []
  if (ready.length === 0) return rounds
  for (let round = 0; round <= options.rounds; round++) {
    const outcomes: Measurement[] = []
    for (const { row, running } of ready) {
      const job = jobOf(row, running, options)
      // The first round lets compilers and caches warm up.
      wake(running.process)
      const outcome = await measure(ends, nameOf(row), round === 0 ? { ...job, warmUpRequests: warmUpOf(row) } : job)
      rest(running.process)
      outcomes.push({ section: row.section, subject: row.subject.name, variant: row.variant, outcome })
    }
    if (round > 0) rounds.push(outcomes)
    say(round === 0 ? 'warmed up' : `round ${round} of ${options.rounds}`)
  }
  return rounds
}

function warmUpOf({ up, down }: Row): number {
  return Math.max(up, down) >= longBytes ? 500 : 20_000
}

/** Finds the limit of each anew in every round, and asks for parts of it. */
async function measureSteady(ends: ChildProcess, ready: readonly Ready[], options: Options) {
  const measured: SteadyMeasurement[] = []
  for (let round = 1; round <= options.rounds && ready.length > 0; round++) {
    for (const { row, running } of ready) {
      const job = jobOf(row, running, options)
      wake(running.process)
      const { good, seconds } = await measure(ends, nameOf(row), job)
      for (const share of steadyShares) {
        const perSecond = (good / seconds) * share
        const outcome = await measure(ends, nameOf(row), { ...job, perSecond })
        measured.push({ subject: row.subject.name, share, perSecond, outcome })
      }
      rest(running.process)
    }
    say(`steady rates, round ${round} of ${options.rounds}`)
  }
  return measured
}

async function measureFloods(ends: ChildProcess, fleet: Fleet, options: Options) {
  const outcomes = []
  for (const { subject, tokens, kind } of floods) {
    if (!(options.only?.test(subject.name) ?? true)) continue
    const row: Row = {
      section: 'floods',
      variant: '',
      subject,
      tls: false,
      http2: false,
      allCores: false,
      accessLog: false,
      up: 0,
      down: 0,
    }
    const running = await fleet.start(row)
    if (!running) continue
    wake(running.process)
    const job = jobOf(row, running, options)
    const alone = await measure(ends, subject.name, job)
    const flooded = await measure(ends, subject.name, { ...job, flood: floodOf(subject, tokens, kind, options) })
    outcomes.push({ subject: subject.name, kind, alone, flooded })
    rest(running.process)
    say(`flood: ${subject.name}, ${kind}`)
  }
  return outcomes
}

/** What kept connections take without requests, beside a few good clients: the others tell less by their processes' size. */
async function measureIdle(): Promise<readonly IdleResult[]> {
  const results: IdleResult[] = []
  for (const [protocol, kind] of [
    ['HTTP/1.1', 'idle'],
    ['HTTP/2', 'HTTP/2 idle'],
  ] as const) {
    const { held, grownBytes } = await attack({ attackers: { [kind]: idleConnections }, seconds: 4 })
    if (held < idleConnections)
      throw new Error(`only ${held} connections were held: they need ulimit -n of ${idleConnections + 1000}`)
    results.push({ protocol, connections: idleConnections, bytesEach: grownBytes / idleConnections })
    say(`idle connections: ${protocol}`)
  }
  return results
}

function jobOf({ subject, tls, http2, up, down }: Row, { process: child, port }: Running, options: Options): Job {
  const { seconds, connections, instructions } = options
  const path = down > 0 ? pathOfSize(subject.path, down) : subject.path
  const requests = subject.tokens.map((token) => requestWith(path, headerOf(subject, token), up))
  const distinct = subject.distinct && { path: subject.path, ...subject.distinct }
  return {
    pid: child.pid ?? 0,
    port,
    seconds,
    instructions,
    warmUpSeconds: 0.3,
    ...(http2
      ? { connections: http2Connections, streams: Math.ceil(connections / http2Connections) }
      : { connections: Math.max(up, down) >= longBytes ? Math.min(connections, longConnections) : connections }),
    requests,
    tls,
    bodyBytes: up,
    ...(distinct && { distinct }),
  }
}

function floodOf(subject: Subject, tokens: TokenSet, kind: Flood['kind'], { connections }: Options): Flood {
  const { algorithm, keys, wrongSignature } = tokens
  return { kind, connections, path: subject.path, algorithm, key: keys[0] ?? '', signature: wrongSignature }
}

async function measure(ends: ChildProcess, name: string, job: Job): Promise<Outcome> {
  ends.send(job)
  const [outcome] = (await once(ends, 'message')) as [Outcome]
  if (outcome.wrong > 0) throw new Error(`${name}: ${outcome.wrong} wrong answers, the first: ${outcome.firstWrong}`)
  if (outcome.good > 0) return outcome
  if (job.seconds >= mostSeconds) throw new Error(`${name}: no answers in ${job.seconds} s`)
  return measure(ends, name, { ...job, seconds: job.seconds * 4 })
}

function machine() {
  const [cpu] = cpus()
  return { cpu: cpu?.model ?? 'unknown', cores: cpus().length, node: process.version, pinned }
}
