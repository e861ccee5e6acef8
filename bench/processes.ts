/** Starting, pinning and measuring the processes of a run. Linux: CPU and memory are read from /proc. */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** What a process, its threads and its descendants have used so far. */
export interface Usage {
  readonly cpuSeconds: number
  readonly residentBytes: number
}

// The unit of utime and stime in proc(5); 100 on every Linux that people run.
const ticksPerSecond = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout || 100)
const pageBytes = Number(spawnSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }).stdout || 4096)

/** Reads the usage of a process tree. */
export function usageOf(root: number): Usage {
  const tree = [...treeOf(root).values()]
  return {
    cpuSeconds: tree.reduce((sum, { ticks }) => sum + ticks, 0) / ticksPerSecond,
    residentBytes: tree.reduce((sum, { pages }) => sum + pages, 0) * pageBytes,
  }
}

/** A process and its descendants, by their ids. */
function treeOf(root: number): ReadonlyMap<number, Stat> {
  const all = new Map<number, Stat>()
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined
    if (stat) all.set(Number(name), stat)
  }
  const belongs = (pid: number): boolean => pid === root || (pid > 1 && belongs(all.get(pid)?.parent ?? 0))
  return new Map([...all].filter(([pid]) => belongs(pid)))
}

export const idsOfTree = (root: number): readonly number[] => [...treeOf(root).keys()]

interface Stat {
  readonly parent: number
  readonly ticks: number
  readonly pages: number
}

function statOf(pid: number): Stat | undefined {
  try {
    // The command's name may hold spaces and brackets; what follows its last bracket is numbers. Fields as in proc(5).
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
      .map(Number)
    return { parent: fields[1] ?? 0, ticks: (fields[11] ?? 0) + (fields[12] ?? 0), pages: fields[21] ?? 0 }
  } catch {
    return undefined // it has ended meanwhile
  }
}

/** The core that the gateway under test has for itself, and the one that everything else shares. */
export const cores = { gateway: '0', rest: '1', all: `0-${availableParallelism() - 1}` }
const canPin = availableParallelism() > 1 && isInstalled('taskset')

/** Whether processes are pinned to cores; figures of throughput mean little where they are not. */
export const pinned = canPin

export function isInstalled(program: string): boolean {
  return !spawnSync(program, ['--version'], { stdio: 'ignore' }).error
}

const children = new Set<ChildProcess>()

/** Starts a program on a core. It ends with this process at the latest. */
export function start(
  core: string,
  program: string,
  args: readonly string[],
  options: SpawnOptions = {},
): ChildProcess {
  const child = canPin ? spawn('taskset', ['-c', core, program, ...args], options) : spawn(program, args, options)
  children.add(child)
  child.on('exit', () => children.delete(child))
  return child
}

/** Starts a file of this folder in a process of its own that can be sent messages. */
export function startWorker(core: string, file: string, ...args: readonly string[]): ChildProcess {
  return start(core, process.execPath, [new URL(file, import.meta.url).pathname, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

/** Stops a process and its descendants until they are woken: what is not measured uses neither cores nor their caches. */
export const rest = ({ pid }: ChildProcess): void => signal(pid, 'SIGSTOP')
export const wake = ({ pid }: ChildProcess): void => signal(pid, 'SIGCONT')

function signal(root: number | undefined, name: NodeJS.Signals): void {
  if (root !== undefined) for (const pid of idsOfTree(root)) process.kill(pid, name)
}

/** Ends a process and waits until it has. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  wake(child)
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const killer = setTimeout(() => child.kill('SIGKILL'), 3000)
  await ended
  clearTimeout(killer)
}

// Not SIGKILL: nginx's master would leave its worker behind.
process.on('exit', () => {
  for (const child of children) {
    child.kill('SIGTERM')
    wake(child)
  }
})
