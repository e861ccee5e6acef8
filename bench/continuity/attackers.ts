/** What attackers cost a gateway that serves others meanwhile: their time, and its memory. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { startProcess } from '../../test/e2e/process.ts'
import type { Attack, AttackKind } from './attackers.child.ts'
import { steady } from './steady.ts'
import { quantile } from './telling.ts'

export interface AttackOptions {
  /** How many of each kind. */
  readonly attackers: Readonly<Partial<Record<AttackKind, number>>>
  /** For how long good clients are measured, each time. */
  readonly seconds: number
  /** How often good clients ask. */
  readonly perSecond?: number
}

export interface AttackResult {
  readonly held: number
  /** Latencies of good clients in ms: before the attack, while it comes and fills what it can, and while it is held. */
  readonly calm: Latencies
  readonly filling: Latencies
  readonly holding: Latencies
  readonly lost: readonly string[]
  /** By how much the process grew at most. */
  readonly grownBytes: number
  /** Memory of sockets, in the kernel, over the whole machine. */
  readonly kernelBytes: number
}

interface Latencies {
  readonly median: number
  readonly p99: number
}

const pageBytes = 4096

/** Starts a gateway, measures good clients, attacks it, and measures again, twice. */
export async function attack({ attackers, seconds, perSecond = 200 }: AttackOptions): Promise<AttackResult> {
  const count = Object.values(attackers).reduce((sum, one) => sum + one, 0)
  const origin = await startLargeOrigin()
  const gateway = await startProcess({
    config: {
      services: [{ name: 'up', host: '127.0.0.1', port: origin.port, routes: [{ paths: ['/'], strip_path: false }] }],
    },
    settings: { KONG_NGINX_WORKER_PROCESSES: '2', KONG_PROXY_ACCESS_LOG: 'off' },
    openFiles: 2 * count + 1000,
    flags: 'http2',
  })
  const child = fork(join(import.meta.dirname, 'attackers.child.ts'), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  try {
    const calm = await measure(gateway.port, seconds, perSecond)
    const [before, kernelBefore] = [gateway.residentBytes(), kernelBytes()]
    let most = before
    const watch = setInterval(() => (most = Math.max(most, gateway.residentBytes())), 100)
    await begin(child, gateway.port, attackers)
    const filling = await measure(gateway.port, seconds, perSecond)
    const holding = await measure(gateway.port, seconds, perSecond)
    clearInterval(watch)
    return {
      held: heldOn(gateway.port),
      calm: calm.latencies,
      filling: filling.latencies,
      holding: holding.latencies,
      lost: [...calm.lost, ...filling.lost, ...holding.lost],
      grownBytes: most - before,
      kernelBytes: kernelBytes() - kernelBefore,
    }
  } finally {
    child.disconnect()
    await once(child, 'exit')
    await gateway.stop()
    origin.close()
  }
}

async function begin(child: ChildProcess, port: number, attackers: AttackOptions['attackers']): Promise<void> {
  const attacks = Object.entries(attackers).map(([kind, count]): Attack => ({ kind: kind as AttackKind, port, count }))
  const begun = once(child, 'message')
  child.send(attacks)
  await begun
}

async function measure(
  port: number,
  seconds: number,
  perSecond: number,
): Promise<{ latencies: Latencies; lost: readonly string[] }> {
  const traffic = steady({
    ports: { 'HTTP/1.1': port },
    perSecond,
    path: '/small',
    note: () => undefined,
    check: (body) => (body === 'ok' ? undefined : body),
  })
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  await traffic.stop()
  const { latencies, lost } = traffic.counts
  return { latencies: { median: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }, lost }
}

/** Connections that a port holds, by proc(5): a line for each socket, with its own address second, and `01` fourth for an established one. */
function heldOn(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n')
  return lines.filter((line) => {
    const [, address = '', , state] = line.trim().split(/\s+/)
    return address.endsWith(local) && state === '01'
  }).length
}

/** What sockets take in the kernel, by `mem` in /proc/net/sockstat. */
function kernelBytes(): number {
  return Number(/TCP:.* mem (\d+)/.exec(readFileSync('/proc/net/sockstat', 'latin1'))?.[1]) * pageBytes
}

const sizes: Readonly<Record<string, number>> = { large: 1024 * 1024, medium: 96 * 1024 }

/** Answers with 1 MiB to /large, with 96 KiB to /medium, and shortly to all else. */
async function startLargeOrigin(): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<net.Socket>()
  const large = Buffer.alloc(sizes['large']!, 'x')
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket
      .on('data', (bytes: Buffer) => {
        const size = sizes[/^GET \/(\w+) /.exec(bytes.toString('latin1', 0, 16))?.[1] ?? '']
        if (size === undefined) {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
          return
        }
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
        socket.write(large.subarray(0, size))
      })
      .on('error', () => {})
      .on('close', () => sockets.delete(socket))
  })
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
  await once(server, 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
