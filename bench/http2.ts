/**
 * What a request costs the gateway over HTTP/2 and over HTTP/1.1, without TLS, 32 under way at once: one connection of HTTP/2 has
 * all of them, HTTP/1.1 takes as many. The gateway runs in the main thread, client and upstream in others; the figure is the
 * processor time of the main thread alone, garbage collection apart. Run it with `node bench/http2.ts [ROUNDS]`.
 */
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net, { type AddressInfo } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { oneService, startDataPlane } from '../test/e2e/data-plane.ts'

type Role = 'upstream' | 'HTTP/1.1' | 'HTTP/2'
interface Part {
  readonly role: Role
  readonly port: number
}

const underWay = 32
const requests = 20_000
const warmUp = 6400

if (isMainThread) await measure(Number(process.argv[2] ?? 5))
else await play(workerData as Part)

function threadFor(role: Role, port = 0): Worker {
  return new Worker(import.meta.filename, { workerData: { role, port } satisfies Part })
}

async function measure(rounds: number): Promise<void> {
  const upstream = threadFor('upstream')
  const [upstreamPort] = (await once(upstream, 'message')) as [number]
  const plane = await startDataPlane({
    config: oneService(upstreamPort),
    http2: true,
    settings: { keepalive_requests: '1000000000' },
  })
  for (let round = 1; round <= rounds; round++) {
    for (const role of ['HTTP/1.1', 'HTTP/2'] as const) {
      const client = threadFor(role, plane.port)
      await once(client, 'message')
      const before = process.threadCpuUsage()
      client.postMessage('go')
      await once(client, 'message')
      const { user, system } = process.threadCpuUsage(before)
      console.log(`${role.padEnd(10)}${((user + system) / requests).toFixed(1).padStart(6)} µs/request`)
      await client.terminate()
    }
  }
  process.exit()
}

async function play({ role, port }: Part): Promise<void> {
  if (role === 'upstream') return serve()
  const ask = role === 'HTTP/2' ? overHttp2(port) : overHttp1(port)
  await all(ask, warmUp)
  parentPort?.postMessage('warm')
  if (parentPort) await once(parentPort, 'message')
  await all(ask, requests)
  parentPort?.postMessage('done')
}

function serve(): void {
  const answer = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello'
  const server = net.createServer((socket) => socket.on('data', () => socket.write(answer)).on('error', () => {}))
  server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port))
}

/** As many at once as are to be under way. */
async function all(ask: () => Promise<void>, count: number): Promise<void> {
  const inTurn = async (left: number): Promise<void> => {
    for (; left > 0; left--) await ask()
  }
  await Promise.all(Array.from({ length: underWay }, () => inTurn(count / underWay)))
}

function overHttp2(port: number): () => Promise<void> {
  const session = http2.connect(`http://127.0.0.1:${port}`)
  return async () => {
    const stream = session.request({ ':path': '/a' }).resume()
    await once(stream, 'end')
  }
}

function overHttp1(port: number): () => Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: underWay })
  return async () => {
    const [response] = (await once(http.get({ port, path: '/a', agent }), 'response')) as [http.IncomingMessage]
    await once(response.resume(), 'end')
  }
}
