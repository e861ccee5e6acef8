/** Replacements of the process and reloads of its settings, one after the other, under steady traffic and while clients talk. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askLocally } from '../../src/cli/local-admin.ts'
import { startEchoServer } from '../../test/e2e/grpc-echo.ts'
import { startProcess, type Started } from '../../test/e2e/started.ts'
import { call, chat, type Talk } from './chat.ts'
import { type Database, openDatabase } from './database.ts'
import { startOrigin } from './origin.ts'
import { type SteadyCounts, steady } from './steady.ts'

export interface ReloadsOptions {
  /** How often the process is replaced, and how often its settings are read anew in place. */
  readonly replacements: number
  readonly reloads: number
  readonly perSecond: number
  /** How long a process that was replaced lets its connections end by themselves, before it drains as a stop does. */
  readonly drainAfter?: string
  readonly database?: Database
  /** A module that every thread of the gateway runs first. */
  readonly preload?: string
}

export interface ReloadsResult extends SteadyCounts {
  readonly seconds: number
  /** What was said on WebSockets, on streams and in calls, and what of it was heard. */
  readonly said: number
  readonly heard: number
  readonly talks: number
  /** WebSockets that a process closed in good order as it went away, and that were opened again. */
  readonly reopened: number
  /** Why talks ended by themselves. */
  readonly ended: readonly string[]
  /** What was written meanwhile, where there is a database. */
  readonly written: number
  /** Of each replacement, in ms: until the new process serves, and the one before takes no more connections. */
  readonly replaceMs: readonly number[]
  /** Different processes that served. */
  readonly processes: number
}

/** Longer than any trial. */
const never = '1d'
const reloadEveryMs = 150
const writeEveryMs = 50
const sources = [{ ip: '127.0.0.1' }]
/** Through so many replacements a talk goes on, but for those that last from the beginning to the end. */
const talkThrough = 3

export async function tryReloads(options: ReloadsOptions): Promise<ReloadsResult> {
  const { database = 'off', preload, drainAfter = never } = options
  const origin = await startOrigin('origin')
  const echo = await startEchoServer()
  const store = await openDatabase(database)
  const file = join(mkdtempSync(join(tmpdir(), 'gibbon-reloads-')), 'kong.json')
  const at = (port: number, protocol = 'http') => ({ protocol, host: '127.0.0.1', port })
  const services = [
    { name: 'all', ...at(origin.port), routes: [{ name: 'all', paths: ['/'], strip_path: false }] },
    {
      name: 'calls',
      ...at(echo.port, 'grpc'),
      routes: [{ name: 'calls', paths: ['/test.Echo'], protocols: ['grpc'] }],
    },
    { name: 'streams', ...at(origin.port, 'tcp'), routes: [{ name: 'streams', protocols: ['tcp'], sources }] },
  ]
  writeFileSync(file, JSON.stringify({ _format_version: '3.0', services }))
  const settings = {
    ...store.settings,
    ...(database === 'off' ? { declarative_config: file } : {}),
    proxy_listen: '127.0.0.1:0 http2, 127.0.0.1:0 ssl http2',
    stream_listen: '127.0.0.1:0',
    proxy_error_log: 'error.log',
    reload_drain_timeout: drainAfter,
  }
  const gateway = await startProcess(settings, [], preload === undefined ? {} : { NODE_OPTIONS: `--import=${preload}` })
  try {
    if (database !== 'off') {
      for (const { routes, ...service } of services) {
        await gateway.put(`/services/${service.name}`, service)
        for (const route of routes) await gateway.put(`/services/${service.name}/routes/${route.name}`, route)
      }
    }
    return await run(gateway, { ...options, database, drainAfter })
  } finally {
    await gateway.stop()
    await store.close()
    echo.server.forceShutdown()
    origin.close()
  }
}

type Trial = ReloadsOptions & Required<Pick<ReloadsOptions, 'database' | 'drainAfter'>>

async function run(gateway: Started, options: Trial): Promise<ReloadsResult> {
  const { reloads, perSecond, drainAfter, database } = options
  const [port = 0, tlsPort = 0, streamPort = 0] = [...gateway.proxy, ...gateway.stream].map((url) =>
    Number(new URL(url).port),
  )
  const { counts, stop } = steady({
    ports: { 'HTTP/1.1': port, 'HTTP/2': port, 'HTTP/2 over TLS': tlsPort },
    perSecond,
    path: '/steady',
    note: () => undefined,
    check: (body) => (body === 'origin|/steady|' ? undefined : body),
  })
  const talks: Talk[] = []
  const talk = async (withOthers = true): Promise<readonly Talk[]> => {
    const others = withOthers ? [await chat(streamPort, '/chat'), call(port)] : []
    const begun = [await chat(port, '/chat'), ...others]
    talks.push(...begun)
    return begun
  }
  const begun = performance.now()
  // Where processes drain, calls and streams are not to last for all of it: what a WebSocket is told, they have no words for.
  const first = await talk(drainAfter === never)
  const writing = database === 'off' ? undefined : writeOn(gateway)
  const replacing = replaceAgain(gateway, options, talk)
  for (let left = reloads; left > 0; left--) {
    gateway.child.kill('SIGHUP')
    await new Promise((resolve) => setTimeout(resolve, reloadEveryMs))
  }
  const { replaceMs, pids } = await replacing
  await writing?.stop()
  const seconds = (performance.now() - begun) / 1000
  await stop()
  await closeAll(first)
  const total = (of: 'said' | 'heard' | 'reopened'): number => talks.reduce((sum, one) => sum + one[of], 0)
  return {
    ...counts,
    lost: [...counts.lost, ...(writing?.state.failed ?? [])],
    seconds,
    said: total('said'),
    heard: total('heard'),
    talks: talks.length,
    reopened: total('reopened'),
    ended: talks.flatMap(({ ended }) => ended ?? []),
    written: writing?.state.written ?? 0,
    replaceMs,
    processes: pids.size,
  }
}

/** Replaces the process again and again. A pair of talks begins before each time and goes on through some. */
async function replaceAgain(gateway: Started, options: Trial, talk: () => Promise<readonly Talk[]>) {
  const through = options.drainAfter === never ? talkThrough : 1
  const open: (readonly Talk[])[] = []
  const replaceMs: number[] = []
  const pids = new Set<unknown>([gateway.child.pid])
  for (let left = options.replacements; left > 0; left--) {
    open.push(await talk())
    const from = performance.now()
    const { status, body } = await askLocally(gateway.prefix, 'POST', '/reload')
    if (status !== 200) throw new Error(JSON.stringify(body))
    replaceMs.push(performance.now() - from)
    pids.add(body['pid'])
    if (open.length >= through) await closeAll(open.shift()!)
  }
  await closeAll(open.flat())
  return { replaceMs, pids }
}

/** Writes on and on, one after the other. */
function writeOn({ put }: Started) {
  const state = { failed: [] as string[], written: 0, isOver: false }
  const ended = (async () => {
    while (!state.isOver) {
      const { status } = await put(`/consumers/c${state.written % 100}`, { custom_id: `w${state.written}` }).catch(
        ({ message, cause }: Error) => ({ status: `${message}, ${String(cause)}` }),
      )
      if (status === 200 || status === 201) state.written++
      else state.failed.push(`a write: ${status}`)
      await new Promise((resolve) => setTimeout(resolve, writeEveryMs))
    }
  })()
  return {
    state,
    stop(): Promise<void> {
      state.isOver = true
      return ended
    },
  }
}

const closeAll = async (talks: readonly Talk[]): Promise<void> =>
  void (await Promise.all(talks.map((one) => one.close())))
