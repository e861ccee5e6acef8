/** `npm run bench`: what a request costs in each gateway, measured in one run. README.md tells what the figures mean. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Options, readOptions } from './options.ts'
import { type Flood, type Job, type Outcome, answerBody, requestWith } from './messages.ts'
import { cores, pinned, startWorker, stop } from './processes.ts'
import { type Check, type Result, checksOf, summaryOf } from './result.ts'
import { printResult } from './table.ts'
import {
  gibbonBasicAuth,
  gibbonEdDsa,
  gibbonEs256,
  gibbonHs256,
  gibbonKeyAuth,
  gibbonPlain,
  gibbonRoutes100,
  gibbonRoutes10k,
  gibbonRs256,
  gibbonTokens10k,
  gibbonTokens1m,
} from './subjects/gibbon.ts'
import { haproxy, haproxyHs256 } from './subjects/haproxy.ts'
import { nginx } from './subjects/nginx.ts'
import { headerOf, type Running, type Subject } from './subjects/subject.ts'
import { type TokenSet, es256, hs256 } from './tokens.ts'

const subjects: readonly Subject[] = [
  nginx,
  haproxy,
  haproxyHs256,
  gibbonPlain,
  gibbonHs256,
  gibbonRs256,
  gibbonEs256,
  gibbonEdDsa,
  gibbonTokens10k,
  gibbonTokens1m,
  gibbonRoutes100,
  gibbonRoutes10k,
  gibbonKeyAuth,
  gibbonBasicAuth,
]

const floods: readonly { readonly subject: Subject; readonly tokens: TokenSet; readonly kind: Flood['kind'] }[] = [
  { subject: gibbonHs256, tokens: hs256, kind: 'unknown key' },
  { subject: gibbonHs256, tokens: hs256, kind: 'bad signature' },
  { subject: gibbonEs256, tokens: es256, kind: 'bad signature' },
]

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
  const upstream = startWorker(cores.rest, 'upstream.ts')
  const load = startWorker(cores.rest, 'load.ts')
  const [{ port }] = (await once(upstream, 'message')) as [{ port: number }]
  const measured = await startAll(options, port)
  const rounds = await measureRounds(load, measured, options)
  const underFlood = options.floods ? await measureFloods(load, measured, options) : []
  for (const { running } of measured) await stop(running.process)
  await Promise.all([stop(upstream), stop(load)])

  const result: Result = { machine: machine(), options, ...summaryOf(rounds, underFlood) }
  const checks = checksOf(result)
  printResult(result, checks)
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ ...result, checks }, null, 2)}\n`)
  return checks
}

interface Measured {
  readonly subject: Subject
  readonly running: Running
}

async function startAll(options: Options, upstreamPort: number): Promise<readonly Measured[]> {
  const measured: Measured[] = []
  for (const subject of subjects.filter(({ name }) => options.only?.test(name) ?? true)) {
    if (subject.absent === undefined) measured.push(await startOne(subject, upstreamPort))
    else say(`skipped: ${subject.name}: ${subject.absent}`)
  }
  return measured
}

async function startOne(subject: Subject, upstreamPort: number): Promise<Measured> {
  const own = mkdtempSync(join(directory, 'subject-'))
  const running = await subject.start(own, upstreamPort)
  try {
    await waitUntilListening(subject, running)
    await verify(subject, running)
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${lastLines(own)}`, { cause: error })
  }
  say(`started: ${subject.name}: ${subject.about}`)
  return { subject, running }
}

/** What a gateway that would not start wrote last. */
function lastLines(directory: string): string {
  const logs = readdirSync(directory).filter((name) => name.endsWith('.log'))
  return logs.map((name) => readFileSync(join(directory, name), 'utf8').split('\n').slice(-10).join('\n')).join('\n')
}

async function waitUntilListening({ name }: Subject, { process: child, port }: Running): Promise<void> {
  for (let tries = 0; tries < 1200; tries++) {
    if (child.exitCode !== null) throw new Error(`${name} ended with status ${child.exitCode} while starting`)
    const answered = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)
    if (answered) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${name} does not listen after a minute`)
}

/** A figure is worth something only where the gateway did its work: the right body with a token, a refusal without one. */
async function verify(subject: Subject, { port }: Running): Promise<void> {
  const url = `http://127.0.0.1:${port}${subject.path}`
  for (const token of subject.tokens) {
    const good = await fetch(url, { headers: Object.fromEntries([headerOf(subject, token)]) })
    const body = await good.text()
    if (good.status !== 200 || body !== answerBody) throw new Error(`${subject.name} answers ${good.status} ${body}`)
  }
  const bare = await fetch(url)
  await bare.arrayBuffer()
  const wanted = subject.checksTokens ? 401 : 200
  if (bare.status !== wanted) throw new Error(`${subject.name} answers ${bare.status} without a token, not ${wanted}`)
}

/** Every subject once in each round, so that a machine that slows down meanwhile slows all of them. */
async function measureRounds(load: ChildProcess, measured: readonly Measured[], options: Options) {
  const rounds: { subject: string; outcome: Outcome }[][] = []
  for (let round = 0; round <= options.rounds; round++) {
    const outcomes = []
    for (const { subject, running } of measured) {
      outcomes.push({ subject: subject.name, outcome: await measure(load, jobOf(subject, running, options)) })
    }
    // The first round lets compilers and caches warm up.
    if (round > 0) rounds.push(outcomes)
    say(round === 0 ? 'warmed up' : `round ${round} of ${options.rounds}`)
  }
  return rounds
}

async function measureFloods(load: ChildProcess, measured: readonly Measured[], options: Options) {
  const outcomes = []
  for (const { subject, tokens, kind } of floods) {
    const running = measured.find((other) => other.subject === subject)?.running
    if (!running) continue
    const job = jobOf(subject, running, options)
    const alone = await measure(load, job)
    const flooded = await measure(load, { ...job, flood: floodOf(subject, tokens, kind, options) })
    outcomes.push({ subject: subject.name, kind, alone, flooded })
    say(`flood: ${subject.name}, ${kind}`)
  }
  return outcomes
}

function jobOf(subject: Subject, { process: child, port }: Running, options: Options): Job {
  const { seconds, connections } = options
  const requests = subject.tokens.map((token) => requestWith(subject.path, headerOf(subject, token)))
  const distinct = subject.distinct && { path: subject.path, ...subject.distinct }
  return {
    pid: child.pid ?? 0,
    port,
    seconds,
    warmUpSeconds: 0.3,
    connections,
    requests,
    ...(distinct && { distinct }),
  }
}

function floodOf(subject: Subject, tokens: TokenSet, kind: Flood['kind'], { connections }: Options): Flood {
  const { algorithm, keys, wrongSignature } = tokens
  return { kind, connections, path: subject.path, algorithm, key: keys[0] ?? '', signature: wrongSignature }
}

async function measure(load: ChildProcess, job: Job): Promise<Outcome> {
  load.send(job)
  const [outcome] = (await once(load, 'message')) as [Outcome]
  if (outcome.wrong > 0) throw new Error(`${outcome.wrong} wrong answers, the first: ${outcome.firstWrong}`)
  if (outcome.good === 0) throw new Error('no answers')
  return outcome
}

function machine() {
  const [cpu] = cpus()
  return { cpu: cpu?.model ?? 'unknown', cores: cpus().length, node: process.version, pinned }
}
