/** Deaths of proxy workers under steady traffic: what each costs, and when a new worker serves. */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startProcess, type Started } from '../../test/e2e/started.ts'
import { chat } from './chat.ts'
import { startOrigin } from './origin.ts'
import { steady } from './steady.ts'

/** How a worker may die, as `die.child.ts` knows it. */
export const ways = ['throws', 'loops', 'fills the heap', 'fills the heap slowly'] as const
export type Way = (typeof ways)[number]

export interface DeathsOptions {
  readonly ways: readonly Way[]
  readonly perSecond: number
}

export interface Death {
  readonly way: Way
  /** Until the worker was given up, and from then on until a new one served. */
  readonly foundMs: number
  readonly replacedMs: number
  /** WebSockets that ended with it, of so many; every other one has heard all that was said. */
  readonly talksEnded: number
  readonly talks: number
  /** Requests lost with its connections, and those lost after it was given up. */
  readonly lost: readonly string[]
  readonly lostLater: readonly string[]
  readonly answered: number
}

const talksAtOnce = 16
const settleMs = 300
const restMs = 1000
/** A worker that dies younger is replaced after a pause. */
const grownUpMs = 6000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Lets a worker die in each way, one after the other. */
export async function tryDeaths({ ways, perSecond }: DeathsOptions): Promise<readonly Death[]> {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-deaths-'))
  const file = join(folder, 'die')
  const origin = await startOrigin('origin')
  const gateway = await startProcess(
    {
      proxy_listen: '127.0.0.1:0 http2, 127.0.0.1:0 ssl http2',
      proxy_error_log: 'error.log',
      worker_heap_size: '256m',
    },
    [],
    {
      NODE_OPTIONS: `--import=${join(import.meta.dirname, '../../test/e2e/die.child.ts')}`,
      TEST_DIE_FILE: file,
    },
  )
  try {
    await gateway.put('/services/all', { host: '127.0.0.1', port: origin.port })
    await gateway.put('/services/all/routes/all', { paths: ['/'], strip_path: false })
    const deaths: Death[] = []
    for (const way of ways) {
      await pause(grownUpMs)
      deaths.push(await die(gateway, file, way, perSecond))
    }
    return deaths
  } finally {
    await gateway.stop()
    origin.close()
    rmSync(folder, { recursive: true })
  }
}

async function die(gateway: Started, file: string, way: Way, perSecond: number): Promise<Death> {
  const [port = 0, tlsPort = 0] = gateway.proxy.map((url) => Number(new URL(url).port))
  const { counts, stop } = steady({
    ports: { 'HTTP/1.1': port, 'HTTP/2': port, 'HTTP/2 over TLS': tlsPort },
    perSecond,
    path: '/steady',
    note: () => undefined,
    check: (body) => (body === 'origin|/steady|' ? undefined : body),
  })
  const talks = await Promise.all(Array.from({ length: talksAtOnce }, () => chat(port, '/chat')))
  await pause(restMs)
  const begun = performance.now()
  writeFileSync(`${file}.new`, way)
  renameSync(`${file}.new`, file)
  await logged(gateway, 'died and is replaced')
  const found = performance.now()
  await pause(settleMs)
  const lost = counts.lost.splice(0)
  await logged(gateway, 'a new proxy worker serves')
  const served = performance.now()
  await pause(restMs)
  await stop()
  await Promise.all(talks.map((talk) => talk.close()))
  const survivors = talks.filter(({ ended }) => ended === undefined)
  const unheard = survivors.filter(({ said, heard }) => said !== heard).map(() => 'a WebSocket did not hear all')
  return {
    way,
    foundMs: found - begun,
    replacedMs: served - found,
    talksEnded: talks.length - survivors.length,
    talks: talks.length,
    lost,
    lostLater: [...counts.lost, ...unheard],
    answered: counts.answered,
  }
}

/** Waits until the log has a text once more than it was waited for before. */
async function logged({ prefix }: Started, text: string): Promise<void> {
  const wanted = (seen.get(prefix + text) ?? 0) + 1
  seen.set(prefix + text, wanted)
  const file = join(prefix, 'error.log')
  for (let left = 12_000; readFileSync(file, 'utf8').split(text).length <= wanted; left--) {
    if (left === 0) throw new Error(`not logged: ${text}`)
    await pause(5)
  }
}

const seen = new Map<string, number>()
