/**
 * Instructions that processes have run, by `perf`. They hardly vary with what else the machine does, and so show what CPU time on
 * a busy machine cannot. Where perf is missing, or may not count, there are none.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'

export interface Instructions {
  readonly user: number
  readonly kernel: number
}

export interface Counting {
  begin(): Promise<void>
  end(): Promise<void>
  /** Undefined where nothing could be counted. */
  result(): Promise<Instructions | undefined>
}

const nothing: Counting = {
  begin: () => Promise.resolve(),
  end: () => Promise.resolve(),
  result: () => Promise.resolve(undefined),
}

const events = ['instructions:u', 'instructions:k'] as const

/** Gets ready to count for processes that run already, with all their threads. */
export async function countingFor(pids: readonly number[]): Promise<Counting> {
  const args = ['stat', '-x', ',', '-e', events.join(','), '-D', '-1', '--control', 'fd:3,4', '-p', pids.join(',')]
  const perf = spawn('perf', args, {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  })
  let report = ''
  perf.stderr?.setEncoding('utf8').on('data', (text: string) => (report += text))
  const ended = new Promise((resolve) => perf.once('error', resolve).once('close', resolve))
  const tell = teller(perf, ended)
  // The first answer comes when it has attached itself to all threads.
  if (!(await tell('ping'))) return nothing
  return {
    begin: async () => void (await tell('enable')),
    end: async () => void (await tell('disable')),
    result: async () => {
      perf.kill('SIGINT')
      await ended
      const [user, kernel] = events.map((event) => countOf(report, event))
      return user === undefined || kernel === undefined ? undefined : { user, kernel }
    },
  }
}

/** Sends a command and waits until it is done; false where perf has ended instead. */
function teller({ stdio }: ChildProcess, ended: Promise<unknown>): (command: string) => Promise<boolean> {
  const [, , , control, acknowledged] = stdio as unknown as [null, null, null, Writable, Readable]
  control.on('error', () => {})
  acknowledged.on('error', () => {})
  return async (command) => {
    const done = once(acknowledged, 'data').then(
      () => true,
      () => false,
    )
    control.write(`${command}\n`)
    return Promise.race([done, ended.then(() => false)])
  }
}

function countOf(report: string, event: string): number | undefined {
  const line = report.split('\n').find((one) => one.includes(`,${event}`))
  const count = Number(line?.split(',')[0])
  return Number.isFinite(count) && count > 0 ? count : undefined
}
