/**
 * What size costs: `node bench/scale.ts [--consumers 1000,10000] [--routes 10,1000] [--workers 2] [--json FILE]`.
 * For each number of consumers (with a jwt credential each) and of routes: loading them, starting on them, writing to them,
 * looking credentials up, and building a worker's tables. docs/scale.md tells what the columns mean.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureWrites } from './scale-admin.ts'
import { type Size, pathOf, tokenOf, writeContent } from './scale-content.ts'
import { measureTables } from './scale-tables.ts'
import { startWorker, stop, usageOf } from './processes.ts'
import { freePort } from './subjects/subject.ts'

/** Figures by the name of their column. */
type Row = Readonly<Record<string, number>>

const { values } = parseArgs({
  options: {
    consumers: { type: 'string', default: '1000,10000,100000,1000000' },
    routes: { type: 'string', default: '10,1000,10000' },
    workers: { type: 'string', default: '2' },
    json: { type: 'string' },
  },
})
const numbers = (text: string): number[] => text.split(',').map(Number)
const command = new URL('../src/cli/gibbon.ts', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'gibbon-scale-'))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

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
  writeFileSync(values.json, `${JSON.stringify({ machine, workers: Number(values.workers), rows }, null, 2)}\n`)

async function measure(size: Size): Promise<Row> {
  const own = mkdtempSync(join(folder, 'size-'))
  const prefix = join(own, 'prefix')
  mkdirSync(prefix)
  try {
    const file = join(own, 'content.json')
    writeContent(file, size, upstreamPort)
    const load = await measureLoad(file, prefix)
    const store = join(prefix, 'gibbon.db')
    const tables = measureTables(store, size)
    return {
      ...size,
      ...load,
      'store MB': statSync(store).size / 1e6,
      ...(await measureRunning(prefix, size)),
      ...tables,
    }
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
}

/** `gibbon config import` of the whole into an empty store. */
async function measureLoad(file: string, prefix: string): Promise<Row> {
  const begun = performance.now()
  const child = gibbon(['config', 'import', file], { KONG_PREFIX: prefix })
  let peakKb = 0
  let cpuSeconds = 0
  const watch = setInterval(() => {
    peakKb = Math.max(peakKb, peakOf(child))
    cpuSeconds = Math.max(cpuSeconds, usageOf(child.pid ?? 0).cpuSeconds)
  }, 50)
  const [status] = (await once(child, 'exit')) as [number]
  clearInterval(watch)
  if (status !== 0) throw new Error(`the import ended with status ${status}`)
  const loadSeconds = (performance.now() - begun) / 1000
  return { 'load s': loadSeconds, 'load CPU s': cpuSeconds, 'load peak MB': peakKb / 1000 }
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
    stdio: 'ignore',
  })
}

/** From the start of the process to its memory after many requests, and writes meanwhile. */
async function measureRunning(prefix: string, size: Size): Promise<Row> {
  const [proxyPort, adminPort] = [await freePort(), await freePort()]
  const begun = performance.now()
  const child = gibbon(['start'], {
    KONG_PREFIX: prefix,
    KONG_PROXY_LISTEN: `127.0.0.1:${proxyPort}`,
    KONG_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
    KONG_NGINX_WORKER_PROCESSES: values.workers,
    KONG_PROXY_ACCESS_LOG: 'off',
  })
  try {
    await firstAnswer(child, proxyPort, size)
    const startSeconds = (performance.now() - begun) / 1000
    const startCpuSeconds = usageOf(child.pid ?? 0).cpuSeconds
    const memory = residentMb(child)
    const writes = await measureWrites(`http://127.0.0.1:${adminPort}`, () => usageOf(child.pid ?? 0).cpuSeconds)
    return {
      'start s': startSeconds,
      'start CPU s': startCpuSeconds,
      'memory MB': memory,
      ...writes,
      'memory after writes MB': residentMb(child),
    }
  } finally {
    await stop(child)
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
