/** For tests of plugins: a whole gateway with an echo server behind it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { importThrough } from '../../src/cli/config-import.ts'
import { startEcho } from '../../src/cli/echo.ts'
import { loadSettings } from '../../src/config/settings.ts'
import { startGateway } from '../../src/main.ts'
import { sendTo, type TestAnswer } from '../admin/fixture.ts'

export interface TestGateway {
  readonly proxyPort: number
  readonly adminPort: number
  /** The echo server's. */
  readonly upstreamPort: number
  /** Sends to the proxy; an object is sent as JSON, a text as it is. */
  send(method: string, path: string, headers?: Record<string, string>, body?: unknown): Promise<TestAnswer>
  /** Sends to the Admin API. */
  admin(method: string, path: string, body?: unknown): Promise<TestAnswer>
  stop(): Promise<void>
}

/**
 * Starts a gateway with settings as in a settings file. `yaml` is its configuration, with the echo server on 8080: the whole of it,
 * or where `database` is asked for what is in the database when it starts.
 */
export async function startTestGateway({
  yaml,
  database = yaml === undefined,
  settings = {},
}: {
  readonly yaml?: string
  readonly database?: boolean
  readonly settings?: Readonly<Record<string, string>>
} = {}): Promise<TestGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-plugin-'))
  const echo = await startEcho()
  const text = yaml?.replaceAll(':8080', `:${echo.port}`)
  const loaded = loadSettings({
    env: {},
    overrides: {
      prefix: folder,
      ...(database ? {} : { database: 'off', ...(text !== undefined && { declarative_config_string: text }) }),
      proxy_listen: '127.0.0.1:0',
      admin_listen: '127.0.0.1:0',
      nginx_worker_processes: '1',
      proxy_access_log: 'off',
      ...settings,
    },
  })
  assert.ok(loaded.ok, JSON.stringify(loaded))
  const gateway = await startGateway(loaded.settings)
  const [proxyPort = 0] = gateway.proxyPorts
  const [adminPort = 0] = gateway.adminPorts
  if (database && text !== undefined) {
    const imported = await importThrough(
      { url: `http://127.0.0.1:${adminPort}`, headers: {} },
      loaded.settings,
      text,
      'yaml',
    )
    assert.ok('entities' in imported, JSON.stringify(imported))
  }
  return {
    proxyPort,
    adminPort,
    upstreamPort: echo.port,
    send: (method, path, headers, body) => sendTo(proxyPort, method, path, body, headers),
    admin: (method, path, body) => sendTo(adminPort, method, path, body),
    stop: async () => {
      await gateway.stop()
      await echo.close()
      rmSync(folder, { recursive: true })
    },
  }
}
