/** For tests: a whole gateway on ports of its own, in a folder that goes with it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { loadSettings, settingsOf, type Settings } from '../../src/config/settings.ts'
import { startGateway } from '../../src/main.ts'
import { anyPort, sendTo, type TestAnswer } from '../admin/fixture.ts'

export interface TestGateway {
  /** Where its Admin API is, such as `http://127.0.0.1:43210`. */
  readonly adminUrl: string
  /** Where its Status API listens; 0 without `status_listen`. */
  readonly statusPort: number
  readonly folder: string
  send(method: string, path: string, body?: unknown): Promise<TestAnswer>
  stop(): Promise<void>
}

/** Starts a gateway with one worker; `overrides` are settings as in `kong.conf`. */
export async function startTestGateway(overrides: Readonly<Record<string, string>> = {}): Promise<TestGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-e2e-'))
  const loaded = loadSettings({
    env: {},
    overrides: {
      prefix: folder,
      proxy_listen: '127.0.0.1:0',
      admin_listen: '127.0.0.1:0',
      nginx_worker_processes: '1',
      proxy_access_log: 'off',
      ...overrides,
    },
  })
  assert.ok(loaded.ok)
  const gateway = await startGateway(loaded.settings)
  const port = gateway.adminPorts[0] ?? 0
  return {
    adminUrl: `http://127.0.0.1:${port}`,
    statusPort: gateway.statusPorts[0] ?? 0,
    folder,
    send: (method, path, body) => sendTo(port, method, path, body),
    stop: async () => {
      await gateway.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Starts a gateway with two workers for one test, with whose end it ends, and its folder. `own` are settings that follow from the folder. */
export async function startForTest(t: TestContext, own: (folder: string) => Partial<Settings> = () => ({})) {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-e2e-'))
  const settings = settingsOf({
    prefix: folder,
    proxy_listen: [anyPort],
    admin_listen: [anyPort],
    nginx_worker_processes: 2,
    proxy_access_log: 'off',
    proxy_error_log: 'off',
    ...own(folder),
  })
  const gateway = await startGateway(settings)
  t.after(async () => {
    await gateway.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return { gateway, settings, folder }
}
