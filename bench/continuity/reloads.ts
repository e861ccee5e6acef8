/** Replacements of the process and reloads of its settings, one after the other, under steady traffic and with an open WebSocket. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askLocally } from '../../src/cli/local-admin.ts'
import { startProcess, type Started } from '../../test/e2e/started.ts'
import { chat } from './chat.ts'
import { startOrigin } from './origin.ts'
import { steady } from './steady.ts'

export interface ReloadsOptions {
  /** How often the process is replaced, and how often its settings are read anew in place. */
  readonly replacements: number
  readonly reloads: number
  readonly perSecond: number
  /** A module that every thread of the gateway runs first. */
  readonly preload?: string
}

export interface ReloadsResult {
  readonly seconds: number
  readonly requests: number
  readonly answered: number
  readonly connections: number
  readonly lost: readonly string[]
  readonly framesSaid: number
  readonly framesHeard: number
  readonly chatEnded: string | undefined
  /** Of each replacement, in ms: until the new process serves, and the one before takes no more connections. */
  readonly replaceMs: readonly number[]
  /** Of requests, in ms. */
  readonly latencies: readonly number[]
  /** Different processes that served. */
  readonly processes: number
}

const reloadEveryMs = 150

export async function tryReloads(options: ReloadsOptions): Promise<ReloadsResult> {
  const origin = await startOrigin('origin')
  const file = join(mkdtempSync(join(tmpdir(), 'gibbon-reloads-')), 'kong.json')
  const service = (path: string) => ({ host: '127.0.0.1', port: origin.port, routes: [{ paths: [path] }] })
  const services = [
    { name: 'all', ...service('/') },
    { name: 'chat', ...service('/chat') },
  ]
  writeFileSync(file, JSON.stringify({ _format_version: '3.0', services }))
  const settings = { database: 'off', declarative_config: file, proxy_error_log: 'error.log' }
  const variables = options.preload === undefined ? {} : { NODE_OPTIONS: `--import=${options.preload}` }
  const gateway = await startProcess(settings, [], variables)
  try {
    return await run(gateway, options)
  } finally {
    await gateway.stop()
    origin.close()
  }
}

async function run(gateway: Started, { replacements, reloads, perSecond }: ReloadsOptions): Promise<ReloadsResult> {
  const port = Number(new URL(gateway.proxy[0]!).port)
  const talk = await chat(port, '/chat')
  const traffic = steady({
    port,
    perSecond,
    path: '/steady',
    note: () => undefined,
    check: (body) => (body === 'origin|/steady|' ? undefined : body),
  })
  const begun = performance.now()
  const pids = new Set<unknown>([gateway.child.pid])
  const replaceMs: number[] = []
  const replacing = (async () => {
    for (let left = replacements; left > 0; left--) {
      const from = performance.now()
      const { status, body } = await askLocally(gateway.prefix, 'POST', '/reload')
      if (status !== 200) throw new Error(JSON.stringify(body))
      replaceMs.push(performance.now() - from)
      pids.add(body['pid'])
    }
  })()
  for (let left = reloads; left > 0; left--) {
    gateway.child.kill('SIGHUP')
    await new Promise((resolve) => setTimeout(resolve, reloadEveryMs))
  }
  await replacing
  const seconds = (performance.now() - begun) / 1000
  await traffic.stop()
  await talk.close()
  const { said, heard, ended: chatEnded } = talk
  return {
    seconds,
    requests: traffic.sent,
    answered: traffic.answered,
    connections: traffic.connections,
    lost: traffic.lost,
    framesSaid: said,
    framesHeard: heard,
    chatEnded,
    replaceMs,
    latencies: traffic.latencies,
    processes: pids.size,
  }
}
