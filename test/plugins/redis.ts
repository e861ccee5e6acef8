/** For tests: a real Redis server, Debian's redis-server, in a folder that goes with it. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from '../../src/config/self-signed.ts'
import type { RedisServer as Place } from '../../src/pdk/redis.ts'
import { freePort } from '../free-port.ts'

/** Why tests with Redis are skipped; false where they can run. */
export const noRedis =
  spawnSync('redis-server', ['--version']).status === 0
    ? false
    : 'there is no redis-server (Debian: apt install redis-server)'

export interface RedisServer {
  readonly port: number
  readonly tlsPort: number
  /** The certificate, in PEM, for localhost. */
  readonly certificate: string
  /** Where it is, in a config. */
  place(given?: Partial<Place>): Place
  /** Has it stand still, or go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  kill(): Promise<void>
  /** Starts it again, empty. */
  start(): Promise<void>
  stop(): Promise<void>
}

/** Starts a server; `settings` are those of redis.conf. */
export async function startRedis(settings: readonly (readonly string[])[] = []): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-redis-'))
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const { cert, key } = makeCertificate(['localhost'], Date.now())
  const [port, tlsPort] = [await freePort(), await freePort()]
  const lines = [
    ['bind', '127.0.0.1'],
    ['port', String(port)],
    ['tls-port', String(tlsPort)],
    ['tls-cert-file', file('cert.pem', cert)],
    ['tls-key-file', file('key.pem', key)],
    ['tls-auth-clients', 'no'],
    ['dir', folder],
    ['save', '""'],
    ...settings,
  ]
  const config = file('redis.conf', lines.map((words) => `${words.join(' ')}\n`).join(''))
  let child: ChildProcess | undefined
  const start = async () => {
    child = spawn('redis-server', [config], { stdio: ['ignore', 'pipe', 'inherit'] })
    for await (const piece of child.stdout ?? []) if (String(piece).includes('Ready to accept')) break
    child.stdout?.resume()
  }
  const kill = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }
  await start()
  return {
    port,
    tlsPort,
    certificate: cert,
    place: (given = {}) => ({
      host: '127.0.0.1',
      port,
      // Longer than a busy machine may take for anything.
      timeout: 20_000,
      username: null,
      password: null,
      database: 0,
      ssl: false,
      ssl_verify: false,
      server_name: null,
      ...given,
    }),
    signal: (signal) => void child?.kill(signal),
    kill,
    start,
    stop: async () => {
      await kill()
      rmSync(folder, { recursive: true })
    },
  }
}
