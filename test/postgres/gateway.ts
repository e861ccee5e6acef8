/** For tests: a whole gateway in a process of its own, as one of several nodes on a database. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Database } from '../../src/store/postgres/connection.ts'

export interface GatewayProcess {
  readonly proxyPort: number
  readonly adminPort: number
  readonly pid: number
  /** Sends one request to the Admin API; a status of 0 where the connection failed. */
  admin(method: string, path: string, body?: object): Promise<AdminAnswer>
  /** Ends it as `kill -9` does. */
  kill(): Promise<void>
  stop(): Promise<void>
}

export interface AdminAnswer {
  readonly status: number
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers whose shape is what they check
  readonly body: any
  readonly ms: number
}

const command = join(import.meta.dirname, '../../src/cli/gibbon.ts')

/** Starts a gateway on free ports and resolves when it is ready; rejects with what it says where it does not start. */
export async function startGatewayProcess(
  prefix: string,
  database: Database,
  more: NodeJS.ProcessEnv = {},
  args: readonly string[] = [],
): Promise<GatewayProcess> {
  const env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(KONG|GIBBON)_/.test(name))),
    KONG_PREFIX: prefix,
    ...settingsFor(database),
    KONG_PROXY_LISTEN: '127.0.0.1:0',
    KONG_ADMIN_LISTEN: '127.0.0.1:0',
    KONG_NGINX_WORKER_PROCESSES: '1',
    KONG_PROXY_ACCESS_LOG: 'off',
    KONG_PROXY_ERROR_LOG: join(prefix, 'error.log'),
    ...more,
  }
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', command, 'start', '--json', ...args],
    {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const { proxy, admin } = await readyLine(child)
  const [proxyPort, adminPort] = [proxy, admin].map(([url]) => Number(new URL(url ?? '').port)) as [number, number]
  const ended = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }
  return {
    proxyPort,
    adminPort,
    pid: child.pid ?? 0,
    admin: (method, path, body) => ask(`http://127.0.0.1:${adminPort}${path}`, method, body),
    kill: () => ended('SIGKILL'),
    stop: () => ended('SIGTERM'),
  }
}

/** The settings by which a gateway finds a database, as environment variables. */
export const settingsFor = (database: Database): Readonly<Record<string, string>> => ({
  KONG_DATABASE: 'postgres',
  KONG_PG_HOST: database.host,
  KONG_PG_PORT: String(database.port),
  KONG_PG_USER: database.user,
  KONG_PG_DATABASE: database.database,
  KONG_PG_SCHEMA: database.schema ?? '',
})

function readyLine(child: ChildProcess): Promise<{ proxy: string[]; admin: string[] }> {
  let complaints = ''
  child.stderr?.on('data', (bytes: Buffer) => (complaints += bytes.toString()))
  return new Promise((resolve, reject) => {
    if (child.stdout) createInterface(child.stdout).once('line', (line) => resolve(JSON.parse(line)))
    child.once('exit', (code) => reject(new Error(`the gateway ended with ${code}: ${complaints}`)))
  })
}

async function ask(url: string, method: string, body?: object): Promise<AdminAnswer> {
  const begun = performance.now()
  try {
    const response = await fetch(url, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text), ms: performance.now() - begun }
  } catch {
    return { status: 0, body: undefined, ms: performance.now() - begun }
  }
}
