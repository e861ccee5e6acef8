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
  /** For how long good clients are measured, before and during the attack. */
  readonly seconds: number
  /** How often good clients ask. */
  readonly perSecond?: number
}

export interface AttackResult {
  readonly held: number
  /** Latencies of good clients before and during the attack, in ms. */
  readonly calm: Latencies
  readonly attacked: Latencies
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

/** Starts a gateway, measures good clients, attacks it, and measures again. */
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
    const attacked = await measure(gateway.port, seconds, perSecond)
    clearInterval(watch)
    return {
      held: heldOn(gateway.port),
      calm: calm.latencies,
      attacked: attacked.latencies,
      lost: [...calm.lost, ...attacked.lost],
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

const largeBytes = 1024 * 1024

/** Answers with 1 MiB to /large, and shortly to all else. */
async function startLargeOrigin(): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<net.Socket>()
  const large = Buffer.alloc(largeBytes, 'x')
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket
      .on('data', (bytes: Buffer) => {
        if (!bytes.toString('latin1', 0, 11).startsWith('GET /large ')) {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
          return
        }
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${largeBytes}\r\n\r\n`)
        socket.write(large)
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
