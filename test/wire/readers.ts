/** Programs that read HTTP each in its own way: what the gateway sends on, all of them must read alike. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { readAll } from './oracle.ts'
import type { Read } from './requests.ts'

export interface Reader {
  readonly name: string
  /** Reads all requests in these bytes, one character a byte, as far as they are understood. */
  read(bytes: string): Promise<readonly Read[]>
}

export interface Readers {
  /** Starts one of `readerNames`; rejects where it is there and does not start. */
  start(name: string): Promise<Reader>
  close(): void
}

export async function openReaders(): Promise<Readers> {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-readers-'))
  const children: ChildProcess[] = []
  const [node, behind] = [await startNode(), await startBehindProxies()]
  return {
    start: async (name) =>
      reader(name, (await programs[name]?.start({ folder, behindPort: behind.port, children })) ?? node.port),
    close() {
      for (const child of children) child.kill()
      node.close()
      behind.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const encoded = (read: Read): string => Buffer.from(JSON.stringify(read)).toString('base64')

interface Server {
  readonly port: number
  close(): void
}

async function startNode(): Promise<Server> {
  const server = http.createServer((request, response) => {
    let body = ''
    request.on('data', (bytes: Buffer) => (body += bytes.toString('latin1')))
    request.on('end', () => {
      response.setHeader('X-Read', encoded({ method: request.method ?? '', target: request.url ?? '', body }))
      response.end()
    })
  })
  return listening(server, () => server.closeAllConnections())
}

/** Tells what a proxy passes on to it, which has its own strictness only. */
async function startBehindProxies(): Promise<Server> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    let text = ''
    let told = 0
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)))
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1')
      const { requests } = readAll(text)
      for (const { method, target, body } of requests.slice(told))
        socket.write(`HTTP/1.1 200 OK\r\nX-Read: ${encoded({ method, target, body })}\r\nContent-Length: 0\r\n\r\n`)
      told = requests.length
    })
  })
  return listening(server, () => sockets.forEach((socket) => socket.destroy()))
}

async function listening(server: net.Server, cut: () => void): Promise<Server> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    close() {
      server.close()
      cut()
    },
  }
}

interface Place {
  readonly folder: string
  /** Where proxies send what they read. */
  readonly behindPort: number
  readonly children: ChildProcess[]
}

interface Program {
  /** What shows that it is there. */
  readonly version: readonly [program: string, argument: string]
  /** Gives the port that it listens on. */
  readonly start: (place: Place) => Promise<number>
}

const programs: Readonly<Record<string, Program>> = {
  python: {
    version: ['python3', '--version'],
    start: ({ children }) => tellingPort('python3', [join(import.meta.dirname, 'readers/reader.py')], children),
  },
  go: {
    version: ['go', 'version'],
    start: ({ folder, children }) => {
      const program = join(folder, 'reader')
      const source = join(import.meta.dirname, 'readers/reader.go')
      // Without cgo, which needs a C compiler.
      const env = { ...process.env, CGO_ENABLED: '0' }
      const built = spawnSync('go', ['build', '-o', program, source], { env, encoding: 'utf8' })
      if (built.status !== 0) throw new Error(`go does not build the reader: ${built.stderr}`)
      return tellingPort(program, [], children)
    },
  },
  nginx: {
    version: ['nginx', '-v'],
    start: (place) => proxy('nginx', ['-e', 'stderr', '-c'], nginxConfig, place),
  },
  haproxy: {
    version: ['haproxy', '-v'],
    start: (place) => proxy('haproxy', ['-db', '-f'], haproxyConfig, place),
  },
}

export const readerNames: readonly string[] = ['node', ...Object.keys(programs)]

/** Why tests with a reader are skipped; false where they can run. */
export function withoutReader(name: string): string | false {
  const [program, argument] = programs[name]?.version ?? [process.execPath, '--version']
  return spawnSync(program, [argument], { stdio: 'ignore' }).error ? `there is no ${program}` : false
}

async function tellingPort(program: string, args: readonly string[], children: ChildProcess[]): Promise<number> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] })
  children.push(child)
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return Number(line.toString())
}

/** A proxy: what it takes for a request is what it passes on. */
async function proxy(
  program: string,
  args: readonly string[],
  config: (port: number, behindPort: number, folder: string) => string,
  { folder, behindPort, children }: Place,
): Promise<number> {
  const own = join(folder, program)
  mkdirSync(own)
  const port = await freePort()
  writeFileSync(join(own, 'config'), config(port, behindPort, own))
  const child = spawn(program, [...args, join(own, 'config')], { stdio: 'ignore' })
  children.push(child)
  for (let left = 500; left > 0 && child.exitCode === null; left--) {
    if (await connects(port)) return port
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`${program} does not start`)
}

const nginxConfig = (port: number, behindPort: number, folder: string) => `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
master_process off;
pid ${folder}/pid;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  large_client_header_buffers 4 64k;
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://127.0.0.1:${behindPort}; proxy_http_version 1.1; }
  }
}
`

const haproxyConfig = (port: number, behindPort: number) => `
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend front
  bind 127.0.0.1:${port}
  default_backend back
backend back
  server one 127.0.0.1:${behindPort}
`

const connects = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })

function reader(name: string, port: number): Reader {
  return {
    name,
    read: (bytes) =>
      new Promise((resolve) => {
        let text = ''
        const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'))
        socket.setTimeout(5000, () => socket.destroy())
        socket.on('data', (piece: Buffer) => (text += piece.toString('latin1'))).on('error', () => {})
        socket.on('close', () =>
          resolve([...text.matchAll(/^x-read: (\S+)\r$/gim)].map(([, read]) => decoded(read ?? ''))),
        )
      }),
  }
}

const decoded = (text: string): Read => JSON.parse(Buffer.from(text, 'base64').toString()) as Read
