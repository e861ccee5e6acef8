/** For tests: a PostgreSQL server of their own, in a temporary folder, with a Unix socket and a free port. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type Database } from '../../src/store/postgres/connection.ts'
import { bootstrap } from '../../src/store/postgres/migrations.ts'

export interface PostgresServer {
  readonly port: number
  /** A database whose tables are in a schema of their own, made and brought up to date. */
  database(): Promise<Database>
  /** The server's main process. */
  readonly pid: () => number
  /** Ends it as a crash does, all its processes at once. */
  kill(): Promise<void>
  /** Has all its processes stand still, as a machine does that hangs: connections stay, and nothing is answered. */
  pause(): void
  /** Lets them go on. */
  resume(): void
  /** Starts it again where it was killed; resolves when it takes connections. */
  start(): Promise<void>
  stop(): Promise<void>
}

/** Why there is no server to be had; tests say it where they are skipped. */
export const withoutPostgres: string | undefined = reason()

function reason(): string | undefined {
  if (folderOfPrograms() === undefined) return 'PostgreSQL is not installed (Debian: apt install postgresql)'
  return process.getuid?.() === 0 && otherUser() === undefined
    ? 'PostgreSQL does not run as root, and there is no other user to run it as'
    : undefined
}

/** Where initdb and postgres are: on the path, or where Debian puts them. The newest version is taken. */
function folderOfPrograms(): string | undefined {
  const onPath = (process.env['PATH'] ?? '').split(delimiter)
  const debian = globSync('/usr/lib/postgresql/*/bin').sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  return [...debian.reverse(), ...onPath].find((folder) =>
    ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))),
  )
}

/** The user that a server is run as where the tests run as root. */
function otherUser(): { readonly uid: number; readonly gid: number } | undefined {
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const found = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return found && { uid: Number(found[2]), gid: Number(found[3]) }
}

export interface ServerOptions {
  /** Who may come in how: lines of pg_hba.conf that stand before the one by which `gibbon` needs no password. */
  readonly access?: readonly string[]
  /** What it shows to clients that speak TLS; it speaks none where this is left out. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Whether what it writes is forced to the disk (default: no, which only the death of the whole machine would tell). */
  readonly durable?: boolean
}

/** Starts a server. */
export async function startPostgres({
  access = [],
  tls,
  durable = false,
}: ServerOptions = {}): Promise<PostgresServer> {
  const programs = folderOfPrograms()
  if (programs === undefined) throw new Error(withoutPostgres)
  const as = process.getuid?.() === 0 ? otherUser() : undefined
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-pg-'))
  if (as) chownSync(folder, as.uid, as.gid)
  const data = join(folder, 'data')
  execFileSync(
    join(programs, 'initdb'),
    ['-D', data, '-U', 'gibbon', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions'],
    { ...as, stdio: ['ignore', 'ignore', 'pipe'], cwd: folder },
  )
  const write = (name: string, text: string) => {
    writeFileSync(join(data, name), text, { mode: 0o600 })
    if (as) chownSync(join(data, name), as.uid, as.gid)
  }
  write('pg_hba.conf', [...access, 'local all all trust', 'host all gibbon 127.0.0.1/32 trust', ''].join('\n'))
  if (tls) {
    write('server.crt', tls.cert)
    write('server.key', tls.key)
  }
  const port = await freePort()
  const options = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    port,
    fsync: durable ? 'on' : 'off',
    max_connections: 100,
    ssl: tls ? 'on' : 'off',
  }
  let server: ChildProcess | undefined
  let schemas = 0
  const place = (schema?: string): Database => ({
    host: '127.0.0.1',
    port,
    user: 'gibbon',
    password: undefined,
    database: 'postgres',
    schema,
    timeoutMs: 5000,
    ssl: undefined,
  })
  const start = async () => {
    const settings = Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    // Right after a crash a server does not start while a process of the one before still holds its memory.
    for (let triesLeft = 50; ; triesLeft--) {
      server = spawn(join(programs, 'postgres'), ['-D', data, ...settings], { ...as, stdio: 'ignore', cwd: folder })
      try {
        return await accepting(place(), server)
      } catch (error) {
        if (triesLeft === 0 || server.exitCode === null) throw error
        await sleep(100)
      }
    }
  }
  const ended = async (signal: NodeJS.Signals) => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const exit = new Promise((resolve) => server?.once('exit', resolve))
    server.kill(signal)
    await exit
  }
  const signalAll = (signal: NodeJS.Signals) => {
    const pid = server?.pid ?? 0
    for (const each of [pid, ...childrenOf(pid)]) signalIfThere(each, signal)
  }
  await start()
  return {
    port,
    async database() {
      const database = place(`test_${++schemas}`)
      const connection = await connect(database)
      await bootstrap(connection, database, 10_000)
      connection.end()
      return database
    },
    pid: () => server?.pid ?? 0,
    async kill() {
      const children = childrenOf(server?.pid ?? 0)
      await ended('SIGKILL')
      for (const pid of children) signalIfThere(pid, 'SIGKILL')
    },
    pause: () => signalAll('SIGSTOP'),
    resume: () => signalAll('SIGCONT'),
    start,
    async stop() {
      await ended('SIGINT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function accepting(database: Database, server: ChildProcess): Promise<void> {
  for (let triesLeft = 300; ; triesLeft--) {
    try {
      return (await connect(database)).end()
    } catch (error) {
      if (triesLeft === 0 || server.exitCode !== null) throw error
      await sleep(50)
    }
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function childrenOf(pid: number): number[] {
  const listed = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
  return (listed.stdout ?? '')
    .split('\n')
    .map(Number)
    .filter((child) => child > 0)
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has gone meanwhile.
  }
}
