/** For tests: an Admin API of its own, on a port of its own, with a store in a folder that goes with it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { catalogueFor, storeKinds } from '../../src/config/kinds.ts'
import { settingsOf, type Listener, type Settings } from '../../src/config/settings.ts'
import { type Level, levels, type Log, type LogMethod } from '../../src/observe/log.ts'
import { bundledPlugins } from '../../src/plugins/index.ts'
import { indexesOf } from '../../src/store/kinds.ts'
import { openStore, type OpenOptions } from '../../src/store/sqlite/open.ts'
import type { Store } from '../../src/store/store.ts'
import { watchTargets } from '../../src/target-health.ts'
import type { NodeFacts } from '../../src/admin/node.ts'
import { type AdminOptions, startAdmin } from '../../src/admin/server.ts'

export interface TestAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The body as JSON; undefined where it is none. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers whose shape is what they check
  readonly json: any
}

export interface TestAdmin {
  readonly port: number
  readonly store: Store
  /** What was logged as an error. */
  readonly errors: readonly string[]
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<TestAnswer>
  stop(): Promise<void>
}

export interface TestAdminOptions extends Partial<AdminOptions> {
  /** Whether it listens with TLS. */
  readonly ssl?: boolean
  /** Opens a store of another sort than the one on SQLite. */
  readonly open?: (options: OpenOptions) => Promise<Store>
}

/** Starts an Admin API on 127.0.0.1 with an empty store. */
export async function startTestAdmin(
  settings: Partial<Settings> = {},
  { ssl = false, open = openStore, ...options }: TestAdminOptions = {},
): Promise<TestAdmin> {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-admin-'))
  const store = await open({ file: join(folder, 'store.db'), kinds: indexesOf(storeKinds) })
  const errors: string[] = []
  const log = testLog(errors)
  const all = settingsOf({ admin_listen: [{ ...anyPort, ssl }], ...settings })
  const health = watchTargets({ store, settings: all, log, onMove: () => {} })
  const admin = await startAdmin({
    settings: all,
    store,
    node,
    health,
    log,
    ...catalogueFor(all),
    ...options,
  })
  const [port = 0] = admin.ports
  return {
    port,
    store,
    errors,
    send: (method, path, body, headers) => sendTo(port, method, path, body, headers),
    stop: async () => {
      await admin.close()
      health.close()
      await store.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Sends one request; an object is sent as JSON, a text or bytes as they are. */
export function sendTo(
  port: number,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<TestAnswer> {
  const isJson = typeof body === 'object' && !Buffer.isBuffer(body)
  const text = isJson ? JSON.stringify(body) : (body as string | Buffer | undefined)
  const type = isJson ? { 'Content-Type': 'application/json' } : {}
  const length = { 'Content-Length': String(Buffer.byteLength(text ?? '')) }
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: '127.0.0.1', port, method, path, agent: false, headers: { ...type, ...length, ...headers } },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString('utf8')
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text: answer, json: parsed(answer) })
        })
      },
    )
    request.on('error', reject)
    request.end(text)
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A listener on any free port of 127.0.0.1. */
export const anyPort: Listener = {
  ip: '127.0.0.1',
  port: 0,
  ssl: false,
  http2: false,
  proxy_protocol: false,
  deferred: false,
  bind: false,
  reuseport: false,
  backlog: undefined,
  ipv6only: undefined,
  so_keepalive: undefined,
  listener: '127.0.0.1:0',
}

const node: NodeFacts = {
  id: '4f4b15db-2183-42f1-9c8c-6a5fadc9d645',
  hostname: 'test',
  version: '0.1.0',
  plugins: new Map(bundledPlugins.map(({ name, handler: { version, priority } }) => [name, { version, priority }])),
  workers: () => ({ pids: [process.pid], count: 1 }),
  traffic: () => Promise.resolve([]),
  counters: () => ({
    connections_accepted: 0,
    connections_active: 0,
    connections_handled: 0,
    connections_reading: 0,
    connections_waiting: 0,
    connections_writing: 0,
    total_requests: 0,
  }),
}

/** A log that keeps what is an error, and nothing else. */
function testLog(errors: string[]): Log {
  let level: Level = 'notice'
  const silent = (): void => {}
  const error: LogMethod = (text, fields) => errors.push(`${text} ${String(fields?.['error'])}`)
  const methods = Object.fromEntries(levels.map((name) => [name, name === 'error' ? error : silent])) as Record<
    Level,
    LogMethod
  >
  return { ...methods, isEnabled: () => true, level: () => level, setLevel: (wanted) => (level = wanted) }
}
