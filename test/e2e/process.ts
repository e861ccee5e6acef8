/** A gateway in a process of its own, as a system runs it: with limits of its own, and to be measured from outside. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'

export interface GatewayProcess {
  readonly pid: number
  readonly port: number
  readonly folder: string
  /** What it logged so far, and its access log. */
  log(): string
  access(): string
  /** Resident memory in bytes. */
  residentBytes(): number
  /** Asks it to stop, and resolves with its exit status. */
  stop(): Promise<number | null>
}

interface ProcessOptions {
  readonly config: object
  readonly settings?: Readonly<Record<string, string>>
  /** Flags of its listener, such as `http2`. */
  readonly flags?: string
  /** How many files and sockets it may have open. */
  readonly openFiles?: number
  /** A module that every thread of it runs first. */
  readonly preload?: string
}

const command = join(import.meta.dirname, '../../src/cli/gibbon.ts')

export async function startProcess({
  config,
  settings = {},
  flags = '',
  openFiles,
  preload,
}: ProcessOptions): Promise<GatewayProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-process-'))
  const file = join(folder, 'kong.json')
  writeFileSync(file, JSON.stringify({ _format_version: '3.0', ...config }))
  const port = await freePort()
  const limit = openFiles === undefined ? '' : `ulimit -n ${openFiles}; `
  const child = spawn(
    'sh',
    ['-c', `${limit}exec "$0" "$@"`, process.execPath, '--disable-warning=ExperimentalWarning', command, 'start'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        ...(preload === undefined ? {} : { NODE_OPTIONS: `--import=${preload}` }),
        KONG_DATABASE: 'off',
        KONG_DECLARATIVE_CONFIG: file,
        KONG_PREFIX: join(folder, 'prefix'),
        KONG_PROXY_LISTEN: `127.0.0.1:${port} ${flags}`.trim(),
        KONG_ADMIN_LISTEN: `127.0.0.1:${await freePort()}`,
        KONG_NGINX_WORKER_PROCESSES: '1',
        KONG_PROXY_ACCESS_LOG: join(folder, 'access.log'),
        GIBBON_LOG_FORMAT: 'json',
        ...settings,
      },
    },
  )
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (log += bytes.toString()))
  const exited = once(child, 'exit') as Promise<[number | null]>
  // Its ports are tried before its workers listen on them, so that a connection would tell nothing.
  while (!log.includes('gibbon is ready')) {
    if (child.exitCode !== null) throw new Error(`the gateway does not start: ${log}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return {
    pid: child.pid ?? 0,
    port,
    folder,
    log: () => log,
    access: () => readFileSync(join(folder, 'access.log'), 'utf8'),
    residentBytes: () => {
      const status = readFileSync(`/proc/${child.pid}/status`, 'latin1')
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
    },
    async stop() {
      child.kill('SIGTERM')
      const [status] = await exited
      rmSync(folder, { recursive: true, force: true })
      return status
    },
  }
}
