/**
 * What size costs: `node bench/scale.ts [--consumers 1000,10000] [--routes 10,1000] [--workers 2] [--database postgres] [--json FILE]`.
 * For each number of consumers (with a jwt credential each) and of routes: loading them, starting on them, writing to them,
 * looking credentials up, and building a worker's tables. With PostgreSQL, a server of its own, also a second node's start, which
 * copies everything, and how soon it follows the first. docs/scale.md tells what the columns mean.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureFollowing, measureWrites } from './scale-admin.ts'
import { type Size, pathOf, tokenOf, writeContent } from './scale-content.ts'
import { measureTables } from './scale-tables.ts'
import { startWorker, stop, usageOf } from './processes.ts'
import { freePort } from './subjects/subject.ts'
import { settingsFor } from '../test/postgres/gateway.ts'
import { startPostgres } from '../test/postgres/server.ts'

/** Figures by the name of their column. */
type Row = Readonly<Record<string, number>>

const { values } = parseArgs({
  options: {
    consumers: { type: 'string', default: '1000,10000,100000,1000000' },
    routes: { type: 'string', default: '10,1000,10000' },
    workers: { type: 'string', default: '2' },
    database: { type: 'string', default: 'sqlite' },
    json: { type: 'string' },
  },
})
const numbers = (text: string): number[] => text.split(',').map(Number)
const command = new URL('../src/cli/gibbon.ts', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'gibbon-scale-'))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
process.on('exit', () => {
  if (server && server.pid() > 0) process.kill(server.pid(), 'SIGINT')
  rmSync(folder, { recursive: true, force: true })
})

const server = values.database === 'postgres' ? await startPostgres({ durable: true }) : undefined
const upstream = startWorker('0,1', 'ends.ts')
const [{ port: upstreamPort }] = (await once(upstream, 'message')) as [{ port: number }]
const rows: Row[] = []
for (const consumers of numbers(values.consumers)) {
  for (const routes of numbers(values.routes)) {
    rows.push(await measure({ consumers, routes }))
    process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`)
  }
}
await stop(upstream)
print(rows)
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version }
if (values.json)
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine, workers: Number(values.workers), database: values.database, rows }, null, 2)}\n`,
  )

async function measure(size: Size): Promise<Row> {
  const own = mkdtempSync(join(folder, 'size-'))
  const node = (name: string, database: Readonly<Record<string, string>>): Node => {
    const prefix = join(own, name)
    mkdirSync(prefix)
    return { prefix, env: { KONG_PREFIX: prefix, ...database } }
  }
  try {
    const file = join(own, 'content.json')
    writeContent(file, size, upstreamPort)
    const database = server ? settingsFor(await server.database()) : {}
    const first = node('first', database)
    const load = await measureLoad(file, first)
    const store = join(first.prefix, server ? 'shared.db' : 'gibbon.db')
    const tables = measureTables(store, size)
    const figures = { ...size, ...load, 'store MB': statSync(store).size / 1e6 }
    const second = server && node('second', database)
    return { ...figures, ...(await measureRunning(first, second, size)), ...tables }
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
}

/** A node's prefix, and the settings that it is started with. */
interface Node {
  readonly prefix: string
  readonly env: Readonly<Record<string, string>>
}

/** `gibbon config import` of the whole into an empty store. */
async function measureLoad(file: string, { env }: Node): Promise<Row> {
  const begun = performance.now()
  const child = gibbon(['config', 'import', file], env)
  const serverBefore = serverCpu()
  let serverCpuSeconds = 0
  let peakKb = 0
  let cpuSeconds = 0
  const watch = setInterval(() => {
    peakKb = Math.max(peakKb, peakOf(child))
    cpuSeconds = Math.max(cpuSeconds, usageOf(child.pid ?? 0).cpuSeconds)
    serverCpuSeconds = Math.max(serverCpuSeconds, serverCpu() - serverBefore)
  }, 50)
  const [status] = (await once(child, 'exit')) as [number]
  clearInterval(watch)
  if (status !== 0) throw new Error(`the import ended with status ${status}`)
  const loadSeconds = (performance.now() - begun) / 1000
  return {
    'load s': loadSeconds,
    'load CPU s': cpuSeconds,
    ...(server && { 'PostgreSQL CPU s': serverCpuSeconds }),
    'load peak MB': peakKb / 1000,
  }
}

function serverCpu(): number {
  return server ? usageOf(server.pid()).cpuSeconds : 0
}

function peakOf({ pid }: ChildProcess): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0 // it has ended
  }
}

function gibbon(args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', command, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

/** From the start of the process to its memory after many requests, and writes meanwhile; with a second node, its start, too. */
async function measureRunning(first: Node, second: Node | undefined, size: Size): Promise<Row> {
  const gateway = await measureStart(first, size)
  const { child, adminPort } = gateway
  try {
    const memory = residentMb(child)
    const writes = await measureWrites(`http://127.0.0.1:${adminPort}`, () => usageOf(child.pid ?? 0).cpuSeconds)
    return {
      'start s': gateway.seconds,
      'start CPU s': gateway.cpuSeconds,
      'memory MB': memory,
      ...writes,
      'memory after writes MB': residentMb(child),
      ...(second && (await measureSecond(adminPort, second, size))),
    }
  } finally {
    await stop(child)
  }
}

/** A node that has no copy yet, beside one that serves, and how soon it has what the other one is told. */
async function measureSecond(adminPort: number, node: Node, size: Size): Promise<Row> {
  const { child, proxyPort, seconds, cpuSeconds } = await measureStart(node, size)
  try {
    const peak = peakOf(child) / 1000
    return {
      'fresh start s': seconds,
      'fresh start CPU s': cpuSeconds,
      'fresh start peak MB': peak,
      ...(await measureFollowing(`http://127.0.0.1:${adminPort}`, `http://127.0.0.1:${proxyPort}`)),
    }
  } finally {
    await stop(child)
  }
}

async function measureStart(node: Node, size: Size) {
  const [proxyPort, adminPort] = [await freePort(), await freePort()]
  const begun = performance.now()
  const child = gibbon(['start'], {
    ...node.env,
    KONG_PROXY_LISTEN: `127.0.0.1:${proxyPort}`,
    KONG_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
    KONG_NGINX_WORKER_PROCESSES: values.workers,
    KONG_PROXY_ACCESS_LOG: 'off',
  })
  try {
    await firstAnswer(child, proxyPort, size)
    const seconds = (performance.now() - begun) / 1000
    return { child, proxyPort, adminPort, seconds, cpuSeconds: usageOf(child.pid ?? 0).cpuSeconds }
  } catch (error) {
    await stop(child)
    throw error
  }
}

function residentMb({ pid }: ChildProcess): number {
  return usageOf(pid ?? 0).residentBytes / 1e6
}

/** Asks until a request with the last consumer's token has come back from the upstream through the last route. */
async function firstAnswer(child: ChildProcess, port: number, { consumers, routes }: Size): Promise<void> {
  const headers = { Authorization: `Bearer ${tokenOf(consumers - 1)}` }
  while (child.exitCode === null) {
    const answer = await fetch(`http://127.0.0.1:${port}${pathOf(routes - 1)}`, { headers }).catch(() => undefined)
    if (answer?.status === 200) return
    if (answer) throw new Error(`the gateway answers ${answer.status} ${await answer.text()}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('the gateway ended')
}

function print(all: readonly Row[]): void {
  const names = Object.keys(all[0] ?? {})
  const lines = all.map((row) => `| ${names.map((name) => figure(row[name] ?? Number.NaN)).join(' | ')} |`)
  console.log([`| ${names.join(' | ')} |`, `|${names.map(() => '---:|').join('')}`, ...lines].join('\n'))
}

/** Three digits that count. */
function figure(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)))
}
