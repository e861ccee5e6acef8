/**
 * Replaces the process that serves by a new one beside it. The process that was started first is the one that systemd, a container
 * or a shell knows: it starts each successor and stays for as long as one serves, also when its own connections have ended.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { openChannel } from './channel.ts'
import type { Handover, Legacy } from './handover.ts'
import type { Gateway } from './main.ts'
import type { Use } from './plugins/jwt/proof-memory.ts'
import { bequeath, type ListeningSocket, received } from './sockets.ts'
import type { Operation, Written } from './store/store.ts'

/** The part of a process in how gateways follow one another. */
export interface Life {
  /** Replaces the process that serves; rejects, with everything as before, where the new one cannot start. */
  replace(): Promise<Replaced>
  /** Passes a signal on to the process that serves; false where that is this one. */
  passOn(signal: NodeJS.Signals): boolean
  /** Drains and ends everything; gives the exit status. */
  stop(): Promise<number>
  /** Resolves with the exit status where it is over without `stop`. */
  readonly over: Promise<number>
}

export interface Replaced {
  readonly pid: number
  /** How long it took until the new process served. */
  readonly ms: number
}

/** A process that serves, or has. */
interface Peer {
  sockets(): Promise<{ readonly list: readonly ListeningSocket[]; close(): void }>
  give(): Promise<Legacy>
  takeBack(): Promise<void>
  /** Resolves when no more connections are taken. */
  retire(): Promise<void>
  look(): Promise<void>
  write(operations: readonly Operation[]): Promise<Written>
  /** Tells it that there are others that are to know of its commits. */
  follow(isFollowed: boolean): void
  signal(signal: NodeJS.Signals): void
}

interface ChildPeer extends Peer {
  readonly pid: number
  /** Resolves when it serves; rejects where it ends before. */
  readonly serving: Promise<void>
  /** Tells it that its predecessor listens no more. */
  enthrone(): void
  readonly ended: Promise<number>
}

/** A configuration of a million entities takes its time. */
const longestStartMs = 300_000
/** How long a commit waits for processes that serve their last connections. */
const lookMs = 1000
/** Of more processes that serve their last connections the eldest stops. */
const mostRetired = 4

export function createKeeper({ handover, stop: stopOwn }: Pick<Gateway, 'handover' | 'stop'>): Life {
  const over = Promise.withResolvers<number>()
  const children = new Set<ChildPeer>()
  /** Those that serve their last connections, eldest first. */
  const retired = new Set<Peer>()
  let stopping: Promise<void> | undefined
  const own = ownPeer(
    handover,
    (operations) => serving.write(operations),
    () => void stop().then(() => leave(own)),
  )
  let serving: Peer = own
  let isReplacing = false
  const stop = () => (stopping ??= stopOwn())

  function leave(peer: Peer): void {
    retired.delete(peer)
    serving.follow(retired.size > 0)
  }

  async function replace(): Promise<Replaced> {
    if (isReplacing) throw new Error('another process is about to take the place of this one')
    isReplacing = true
    try {
      const begun = performance.now()
      const { pid } = await succeed(serving)
      return { pid, ms: Math.round(performance.now() - begun) }
    } finally {
      isReplacing = false
    }
  }

  async function succeed(before: Peer): Promise<ChildPeer> {
    let isGiven = false
    const give = (): Promise<Legacy> => {
      isGiven = true
      return before.give()
    }
    const child = await startChild(before, give)
    children.add(child)
    void child.ended.then((status) => ended(child, status))
    try {
      await child.serving
    } catch (error) {
      child.signal('SIGKILL')
      await child.ended
      if (isGiven) await before.takeBack()
      throw error
    }
    serving = child
    retired.add(before)
    child.follow(true)
    await before.retire()
    child.enthrone()
    const [eldest] = [...retired].filter((peer) => peer !== own)
    if (eldest && retired.size > mostRetired) eldest.signal('SIGTERM')
    return child
  }

  async function startChild(before: Peer, give: () => Promise<Legacy>): Promise<ChildPeer> {
    const sockets = await before.sockets()
    try {
      return childPeer(spawnSuccessor(sockets.list), {
        give,
        replace,
        committed: async () => {
          const told = [...retired].map((peer) => peer.look().catch(() => {}))
          await Promise.race([Promise.all(told), wait(lookMs, undefined, { ref: false })])
        },
        write: (operations) => serving.write(operations),
        useProof: ({ key, until }) => handover.useProof(key, until),
      })
    } finally {
      sockets.close()
    }
  }

  function ended(child: ChildPeer, status: number): void {
    children.delete(child)
    leave(child)
    if (child === serving) void stopAll().then(() => over.resolve(status))
  }

  async function stopAll(): Promise<void> {
    const others = [...children]
    for (const child of others) child.signal('SIGTERM')
    await Promise.all([stop(), ...others.map((child) => child.ended)])
  }

  return {
    replace,
    passOn(signal) {
      if (serving !== own) serving.signal(signal)
      return serving !== own
    },
    async stop() {
      const last = serving
      await stopAll()
      return last === own ? 0 : (last as ChildPeer).ended
    },
    over: over.promise,
  }
}

/** The process itself. */
function ownPeer(handover: Handover, write: Peer['write'], gone: () => void): Peer {
  return {
    sockets: async () => ({ list: handover.sockets(), close() {} }),
    give: () => handover.give(),
    takeBack: () => handover.takeBack(),
    async retire() {
      const retiring = handover.retire(write)
      void retiring.gone.then(gone)
      await retiring.closed
    },
    look: () => handover.look(),
    write: (operations) => handover.write(operations),
    follow() {},
    signal() {},
  }
}

/** The same command, with the same arguments and environment, perhaps of another version. In a session of its own, as Ctrl-C is passed on. */
function spawnSuccessor(sockets: readonly ListeningSocket[]): ChildProcess {
  const { stdio, env } = bequeath(sockets)
  return spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...stdio],
    detached: true,
  })
}

interface Asked {
  readonly give: () => Promise<Legacy>
  readonly replace: () => Promise<Replaced>
  readonly committed: () => Promise<void>
  readonly write: Peer['write']
  readonly useProof: (proof: { readonly key: string; readonly until: number }) => Promise<Use>
}

function childPeer(child: ChildProcess, asked: Asked): ChildPeer {
  const serving = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<number>()
  let sockets: ReturnType<typeof received>[] = []
  const channel = openChannel(
    child,
    {
      ...asked,
      serving: () => serving.resolve(),
      failed: (reason: string) => serving.reject(new Error(reason)),
    },
    (about, handle) => {
      const { key, port } = about as ListeningSocket
      sockets.push(received(key, port, handle))
    },
  )
  const late = setTimeout(
    () => serving.reject(new Error(`the new process does not serve after ${longestStartMs / 1000} s`)),
    longestStartMs,
  )
  const end = (status: number, how: string) => {
    clearTimeout(late)
    serving.reject(new Error(`the new process ${how}`))
    ended.resolve(status)
  }
  serving.promise.then(
    () => clearTimeout(late),
    () => {},
  )
  child.on('error', (error) => {
    if (child.pid === undefined) end(1, `cannot be started: ${error.message}`)
  })
  child.on('exit', (code, signal) =>
    end(code ?? 1, `ended with ${signal ?? `status ${code}`} while it started; the error log may say why`),
  )
  const ask = (name: string, argument?: unknown) => channel.call(name, argument)
  return {
    pid: child.pid ?? 0,
    serving: serving.promise,
    ended: ended.promise,
    sockets: async () => {
      sockets = []
      await ask('sockets')
      const list = sockets
      return { list, close: () => list.forEach((socket) => socket.close()) }
    },
    give: () => ask('give') as Promise<Legacy>,
    takeBack: async () => void (await ask('takeBack')),
    retire: async () => void (await ask('retire')),
    look: async () => void (await ask('look')),
    write: (operations) => ask('write', operations) as Promise<Written>,
    follow: (isFollowed) => void ask('follow', isFollowed).catch(() => {}),
    enthrone: () => void ask('enthrone').catch(() => {}),
    signal: (signal) => void child.kill(signal),
  }
}
