/**
 * How many clients notice that one of three targets fails: before it is found by the checks, and after. Checks every second with a
 * timeout of a second, one failure is enough; two workers. Run it with `node bench/targets.ts [SECONDS]`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSettings } from '../src/config/settings.ts'
import { startGateway, type Gateway } from '../src/main.ts'
import { failures, Target, type Traffic, traffic } from '../test/e2e/traffic.ts'

const seconds = Number(process.argv[2] ?? 10)
const clients = 64
/** An answer later than this is one that the client notices. */
const noticedMs = 5000

const healthchecks = {
  active: {
    timeout: 1,
    healthy: { interval: 1, successes: 1 },
    unhealthy: { interval: 1, tcp_failures: 1, timeouts: 1, http_failures: 1 },
  },
  passive: { healthy: { successes: 1 }, unhealthy: { tcp_failures: 3, timeouts: 3 } },
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const folder = mkdtempSync(join(tmpdir(), 'gibbon-bench-targets-'))
const gateway = await start()
console.log(
  `${'one of three is'.padEnd(16)}${['found after', 'requests', 'failed', 'slowest', 'afterwards', 'failed', 'slowest'].map((word) => word.padStart(12)).join('')}`,
)
let missed = false
for (const name of Object.keys(failures)) await measure(name)
await gateway.stop()
rmSync(folder, { recursive: true })
process.exit(missed ? 1 : 0)

function start(): Promise<Gateway> {
  const loaded = loadSettings({
    env: {},
    overrides: {
      prefix: folder,
      proxy_listen: '127.0.0.1:0',
      admin_listen: '127.0.0.1:0',
      nginx_worker_processes: '2',
      proxy_access_log: 'off',
      proxy_error_log: join(folder, 'error.log'),
    },
  })
  if (!loaded.ok) throw new Error('the settings are wrong')
  return startGateway(loaded.settings)
}

async function admin(method: string, path: string, body?: object): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${gateway.adminPorts[0]}${path}`, {
    method,
    ...(body ? { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) } : {}),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return text
}

async function measure(name: string): Promise<void> {
  const targets = await Promise.all([1, 2, 3].map(() => new Target().listen()))
  const [bad] = targets as [Target]
  await admin('PUT', `/upstreams/${name}.up`, { healthchecks })
  for (const { place } of targets) await admin('POST', `/upstreams/${name}.up/targets`, { target: place })
  await admin('PUT', `/services/${name}`, { url: `http://${name}.up` })
  await admin('PUT', `/services/${name}/routes/${name}`, { paths: [`/${name}`] })
  const before = traffic(gateway.proxyPorts[0] ?? 0, `/${name}`, clients)
  await wait(1000)
  failures[name]?.(bad)
  const since = performance.now()
  while (!(await admin('GET', `/upstreams/${name}.up/health`)).includes('UNHEALTHY')) await wait(10)
  const foundMs = performance.now() - since
  await wait(seconds * 1000)
  await before.stop()
  const after = traffic(gateway.proxyPorts[0] ?? 0, `/${name}`, clients)
  await wait(seconds * 1000)
  await after.stop()
  for (const target of targets) target.die()
  const noticed = before.slowestMs < noticedMs && before.failed.length * 1000 < before.answered
  const calm = after.slowestMs < noticedMs && after.failed.length === 0
  missed ||= !noticed || !calm
  const columns = [`${foundMs.toFixed(0)} ms`, ...columnsOf(before), ...columnsOf(after)]
  const verdict = noticed && calm ? 'met' : 'MISSED'
  console.log(`${name.padEnd(16)}${columns.map((text) => text.padStart(12)).join('')}  ${verdict}`)
}

function columnsOf({ answered, failed, slowestMs }: Traffic): string[] {
  return [String(answered), String(failed.length), `${slowestMs.toFixed(0)} ms`]
}
