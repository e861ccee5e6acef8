/**
 * What decK takes: `node bench/deck.ts --deck FILE [--consumers 20000] [--routes 10000] [--rounds 1] [--json FILE]`.
 * It syncs and diffs the same configuration against Gibbon (SQLite, two workers) and against an Admin API that answers at once
 * (`deck-stub.ts`), and tells decK's time, its ratio, and the processor time of decK and of the gateway.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeContent } from './scale-content.ts'
import { startWorker, stop, usageOf } from './processes.ts'
import { freePort } from './subjects/subject.ts'

const { values } = parseArgs({
  options: {
    deck: { type: 'string', default: process.env['GIBBON_DECK'] ?? 'deck' },
    consumers: { type: 'string', default: '20000' },
    routes: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
})
const command = new URL('../src/cli/gibbon.ts', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'gibbon-deck-'))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

interface Step {
  readonly seconds: number
  readonly serverCpuSeconds: number
}

const steps = ['sync', 'diff', 'sync again'] as const
type Steps = Readonly<Record<(typeof steps)[number], Step>>

const file = join(folder, 'kong.json')
writeContent(file, { consumers: Number(values.consumers), routes: Number(values.routes) }, 9)
const rounds: { readonly stub: Steps; readonly gibbon: Steps }[] = []
for (let round = 0; round < Number(values.rounds); round++) {
  const { gibbon, port } = await startGibbon(mkdtempSync(join(folder, 'prefix-')))
  const stub = startWorker('0,1', 'deck-stub.ts', `http://127.0.0.1:${port}`)
  const [{ port: stubPort }] = (await once(stub, 'message')) as [{ port: number }]
  const result = { stub: await cycle(stub, stubPort), gibbon: await cycle(gibbon, port) }
  await Promise.all([stop(stub), stop(gibbon)])
  rounds.push(result)
  print(result)
}
if (values.json) writeFileSync(values.json, `${JSON.stringify({ options: values, rounds }, null, 2)}\n`)

async function startGibbon(prefix: string): Promise<{ gibbon: ChildProcess; port: number }> {
  const port = await freePort()
  const gibbon = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', command, 'start'], {
    env: {
      ...process.env,
      KONG_PREFIX: prefix,
      KONG_PROXY_LISTEN: '127.0.0.1:0',
      KONG_ADMIN_LISTEN: `127.0.0.1:${port}`,
      KONG_NGINX_WORKER_PROCESSES: '2',
    },
    stdio: 'ignore',
  })
  while (!(await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined))) {
    if (gibbon.exitCode !== null) throw new Error('the gateway ended')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { gibbon, port }
}

async function cycle(server: ChildProcess, port: number): Promise<Steps> {
  return {
    sync: await run(server, port, 'sync'),
    diff: await run(server, port, 'diff', '--non-zero-exit-code'),
    'sync again': await run(server, port, 'sync'),
  }
}

async function run(server: ChildProcess, port: number, ...args: string[]): Promise<Step> {
  const before = usageOf(server.pid ?? 0).cpuSeconds
  const begun = performance.now()
  const deck = spawn(values.deck, ['gateway', ...args, file, '--kong-addr', `http://127.0.0.1:${port}`], {
    env: { ...process.env, DECK_ANALYTICS: 'off' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [deck.stdout, deck.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => (said = (said + piece).slice(-2000)))
  }
  const [status] = (await once(deck, 'close')) as [number]
  if (status !== 0) throw new Error(`deck ${args.join(' ')} ended with status ${status}: ${said}`)
  return {
    seconds: (performance.now() - begun) / 1000,
    serverCpuSeconds: usageOf(server.pid ?? 0).cpuSeconds - before,
  }
}

function print({ stub, gibbon }: { readonly stub: Steps; readonly gibbon: Steps }): void {
  const rows = steps.map((step) => [
    step,
    gibbon[step].seconds.toFixed(1),
    stub[step].seconds.toFixed(1),
    (gibbon[step].seconds / stub[step].seconds).toFixed(2),
    gibbon[step].serverCpuSeconds.toFixed(1),
    stub[step].serverCpuSeconds.toFixed(1),
  ])
  const head = ['decK', 'Gibbon s', 'stub s', 'ratio', "Gibbon's CPU s", "stub's CPU s"]
  for (const row of [head, head.map(() => '---'), ...rows]) console.log(`| ${row.join(' | ')} |`)
}
