/** Programs that read HTTP each in its own way: what the gateway sends on, all of them must read alike. */
import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import type { Read } from './requests.ts'

export interface Reader {
  readonly name: string
  /** Reads all requests in these bytes, one character a byte, as far as they are understood. */
  read(bytes: string): Promise<readonly Read[]>
}

export interface Readers {
  readonly all: readonly Reader[]
  /** Those that this machine does not have. */
  readonly absent: readonly string[]
  close(): void
}

/** Starts every reader that is there: Node itself always is. */
export async function startReaders(): Promise<Readers> {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-readers-'))
  const children: ChildProcess[] = []
  const node = await startNode()
  const all = [reader('node', node.port)]
  const absent: string[] = []
  for (const [name, start] of Object.entries(others)) {
    const port = await start(folder, node.port, children)
    if (port === undefined) absent.push(name)
    else all.push(reader(name, port))
  }
  return {
    all,
    absent,
    close() {
      for (const child of children) child.kill()
      node.server.close()
      node.server.closeAllConnections()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const encoded = (read: Read): string => Buffer.from(JSON.stringify(read)).toString('base64')

async function startNode(): Promise<{ server: http.Server; port: number }> {
  const server = http.createServer((request, response) => {
    let body = ''
    request.on('data', (bytes: Buffer) => (body += bytes.toString('latin1')))
    request.on('end', () => {
      response.setHeader('X-Read', encoded({ method: request.method ?? '', target: request.url ?? '', body }))
      response.end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as net.AddressInfo).port }
}

type Start = (folder: string, nodePort: number, children: ChildProcess[]) => Promise<number | undefined>

const others: Readonly<Record<string, Start>> = {
  python: (_folder, _port, children) =>
    isThere('python3', '--version')
      ? tellingPort(spawn('python3', [join(import.meta.dirname, 'readers/reader.py')], piped), children)
      : absent,
  go: (folder, _port, children) => {
    if (!isThere('go', 'version')) return absent
    const program = join(folder, 'reader')
    const { status } = spawnSync('go', ['build', '-o', program, join(import.meta.dirname, 'readers/reader.go')])
    return status === 0 ? tellingPort(spawn(program, [], piped), children) : absent
  },
  nginx: (folder, nodePort, children) =>
    proxy('nginx', '-v', nginxConfig, ['-e', 'stderr', '-c'], folder, nodePort, children),
  haproxy: (folder, nodePort, children) =>
    proxy('haproxy', '-v', haproxyConfig, ['-db', '-f'], folder, nodePort, children),
}

const piped: SpawnOptions = { stdio: ['pipe', 'pipe', 'ignore'] }
const absent = Promise.resolve(undefined)

const isThere = (program: string, argument: string): boolean =>
  !spawnSync(program, [argument], { stdio: 'ignore' }).error

async function tellingPort(child: ChildProcess, children: ChildProcess[]): Promise<number> {
  children.push(child)
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  return Number(line.toString())
}

/** A proxy in front of the Node reader: what it takes for a request is what it passes on. */
async function proxy(
  program: string,
  version: string,
  config: (port: number, nodePort: number, folder: string) => string,
  args: readonly string[],
  folder: string,
  nodePort: number,
  children: ChildProcess[],
): Promise<number | undefined> {
  if (!isThere(program, version)) return undefined
  const own = join(folder, program)
  mkdirSync(own)
  const port = await freePort()
  writeFileSync(join(own, 'config'), config(port, nodePort, own))
  const child = spawn(program, [...args, join(own, 'config')], { stdio: 'ignore' })
  children.push(child)
  for (let left = 200; left > 0 && child.exitCode === null; left--) {
    if (await connects(port)) return port
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return undefined
}

const nginxConfig = (port: number, nodePort: number, folder: string) => `
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
    location / { proxy_pass http://127.0.0.1:${nodePort}; proxy_http_version 1.1; }
  }
}
`

const haproxyConfig = (port: number, nodePort: number) => `
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend front
  bind 127.0.0.1:${port}
  default_backend back
backend back
  server one 127.0.0.1:${nodePort}
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
