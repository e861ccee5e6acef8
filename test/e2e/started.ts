/** For tests: a gateway in a process of its own, as its users start it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import type net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { variableOf } from '../../src/config/settings.ts'

const gibbon = fileURLToPath(new URL('../../src/cli/gibbon.ts', import.meta.url))

export interface Started {
  readonly child: ChildProcess
  readonly prefix: string
  /** URLs of the listeners. */
  readonly proxy: readonly string[]
  /** Such as `tcp://127.0.0.1:9000`. */
  readonly stream: readonly string[]
  readonly admin: readonly string[]
  readonly status: readonly string[]
  /** What came on standard error so far. */
  readonly stderr: () => string
  /** Sends a body to a path of the Admin API and returns the answer. */
  readonly put: (path: string, body: object) => Promise<Response>
  /** Ends it with SIGTERM and returns the exit status. */
  readonly stop: () => Promise<number | null>
}

/** Those that no test has stopped, as when one failed before it could: they end with the tests. */
const running = new Set<ChildProcess>()
process.on('exit', () => running.forEach((child) => child.kill('SIGTERM')))

/**
 * Starts `gibbon start` with these settings, by their names, on free ports of 127.0.0.1, and with variables of its own; rejects
 * with its words where it ends.
 */
export async function startProcess(
  settings: Readonly<Record<string, string>>,
  args: readonly string[] = [],
  variables: NodeJS.ProcessEnv = {},
): Promise<Started> {
  const prefix = settings['prefix'] ?? mkdtempSync(join(tmpdir(), 'gibbon-process-'))
  const env = {
    ...environment({
      prefix,
      proxy_listen: '127.0.0.1:0',
      admin_listen: '127.0.0.1:0',
      proxy_access_log: 'off',
      nginx_worker_processes: '2',
      ...settings,
    }),
    ...variables,
  }
  const child = spawn(process.execPath, [gibbon, 'start', '--json', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = once(child, 'close')
  const first = await Promise.race([once(createInterface(child.stdout), 'line'), ended])
  if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${stderr}`)
  // It is not waited for by whoever forgets to stop it.
  const handles = [child, child.stdout as net.Socket, child.stderr as net.Socket]
  for (const handle of handles) handle.unref()
  const ready = JSON.parse(String(first[0])) as Pick<Started, 'proxy' | 'stream' | 'admin' | 'status'>
  return {
    child,
    prefix,
    ...ready,
    stderr: () => stderr,
    put: (path, body) => {
      const headers = { 'Content-Type': 'application/json' }
      return fetch(`${ready.admin[0]}${path}`, { method: 'PUT', headers, body: JSON.stringify(body) })
    },
    stop: async () => {
      for (const handle of handles) handle.ref()
      child.kill('SIGTERM')
      return ((await ended) as [number | null])[0]
    },
  }
}

/** The environment without settings of whoever runs the tests, and with these. */
function environment(settings: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(KONG|GIBBON)_/.test(name))
  const given = Object.entries(settings).map(([name, value]) => [variableOf(name), value])
  return Object.fromEntries([...inherited, ...given]) as NodeJS.ProcessEnv
}
