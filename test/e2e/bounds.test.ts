/** A gateway at its limits: large bodies in little memory, no file descriptors left, a worker that dies. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import { after, before, suite, test } from 'node:test'
import { oneService } from './data-plane.ts'
import { startProcess, type GatewayProcess } from './process.ts'
import { client, echoTargets, pause, request, startUpstream, type Upstream } from './sockets.ts'

const giga = 1024 ** 3
const mega = 1024 ** 2

suite('a body of 1 GiB', () => {
  let upstream: Upstream
  let gateway: GatewayProcess

  before(async () => {
    upstream = await startUpstream()
    gateway = await startProcess({ config: oneService(upstream.port) })
  })
  after(async () => {
    await gateway.stop()
    upstream.close()
  })

  /** The most memory that the gateway takes while something is under way, beyond what it took before. */
  async function grownBy(run: () => Promise<void>): Promise<number> {
    const before = gateway.residentBytes()
    let most = before
    const timer = setInterval(() => (most = Math.max(most, gateway.residentBytes())), 20)
    await run().finally(() => clearInterval(timer))
    return most - before
  }

  const piece = Buffer.alloc(mega, 'x')
  const pour = (socket: Duplex, head: string, size: number, tail = ''): void => {
    socket.write(head)
    let left = size
    const more = () => {
      while (left > 0) {
        left -= piece.length
        if (!socket.write(piece)) return void socket.once('drain', more)
      }
      socket.write(tail)
    }
    more()
  }

  /** Counts what comes on a socket, and rests now and then. */
  function counting(socket: Duplex, size: number, enough: () => void): void {
    let bytes = 0
    let rested = 0
    socket.on('data', (piece: Buffer) => {
      bytes += piece.length
      if (bytes >= size) enough()
      if (bytes - rested < 128 * mega) return
      rested = bytes
      socket.pause()
      setTimeout(() => socket.resume(), 20)
    })
  }

  const uploads = {
    'with its length': [giga, `Content-Length: ${giga}`, '', ''],
    'chunked (of 256 MiB)': [giga / 4, 'Transfer-Encoding: chunked', `${(giga / 4).toString(16)}\r\n`, '\r\n0\r\n\r\n'],
  } as const
  for (const [how, [size, framing, before, behind]] of Object.entries(uploads)) {
    test(`goes up ${how} in little memory, at the pace of the slower side`, async () => {
      upstream.serve = (socket) =>
        counting(socket, size, () =>
          socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nthat'),
        )
      const grown = await grownBy(async () => {
        const socket = net.connect(gateway.port, '127.0.0.1')
        pour(socket, `POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${before}`, size, behind)
        const [answer] = (await once(socket, 'data')) as [Buffer]
        assert.match(answer.toString(), /^HTTP\/1\.1 200 OK[^]*that$/)
        socket.destroy()
      })
      assert.ok(grown < 64 * mega, `${grown / mega} MiB more`)
    })
  }

  test('comes down in little memory, at the pace of the slower side', async () => {
    upstream.serve = (socket) =>
      socket.once('data', () => pour(socket, `HTTP/1.1 200 OK\r\nContent-Length: ${giga}\r\n\r\n`, giga))
    const grown = await grownBy(async () => {
      const socket = net.connect(gateway.port, '127.0.0.1')
      socket.write(request('/'))
      await new Promise<void>((enough) => counting(socket, giga, enough))
      socket.destroy()
    })
    assert.ok(grown < 64 * mega, `${grown / mega} MiB more`)
  })
})

test('without file descriptors left the gateway serves whom it has, and everybody again afterwards', async () => {
  const upstream = await startUpstream()
  upstream.serve = echoTargets
  const gateway = await startProcess({ config: oneService(upstream.port), openFiles: 120 })
  const first = client(gateway.port)
  first.send(request('/first'))
  await first.until(/\/first$/)
  const crowd = Array.from({ length: 200 }, () => net.connect(gateway.port, '127.0.0.1').on('error', () => {}))
  await pause(300)
  first.send(request('/meanwhile'))
  await first.until(/\/meanwhile$/)
  for (const socket of crowd) socket.destroy()
  await pause(100)
  const next = client(gateway.port)
  next.send(request('/next'))
  await next.until(/\/next$/)
  assert.ok(gateway.log().split('\n').length < 20, 'the log is not flooded')
  first.socket.destroy()
  next.socket.destroy()
  assert.equal(await gateway.stop(), 0)
  upstream.close()
})

test('a client that asks on and on without reading costs bounded memory', async () => {
  const upstream = await startUpstream()
  const answer = `HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n${'x'.repeat(20_000)}`
  let answered = 0
  upstream.serve = (socket) =>
    socket.on('data', (bytes: Buffer) => {
      for (const _ of bytes.toString('latin1').matchAll(/\r\n\r\n/g)) {
        answered++
        socket.write(answer)
      }
    })
  const gateway = await startProcess({ config: oneService(upstream.port) })
  // Heaps grow when they get to work for the first time, which is not what is measured here.
  await reading(gateway.port, 20, 200)
  const before = gateway.residentBytes()
  const greedy = Array.from({ length: 20 }, () => {
    const socket = net.connect(gateway.port, '127.0.0.1').on('error', () => {})
    socket.pause()
    socket.write(request('/').repeat(20_000))
    return socket
  })
  let most = 0
  for (let still = 0, last = -1; still < 20; still = answered === last ? still + 1 : 0) {
    last = answered
    await pause(50)
    most = Math.max(most, gateway.residentBytes() - before)
  }
  // All that was asked for would be 8 GB.
  assert.ok(most < 96 * mega, `${most / mega} MiB more`)
  for (const socket of greedy) socket.destroy()
  await gateway.stop()
  upstream.close()
})

/** Clients that ask for 20,000 bytes as often as they are told to, and read the answers. */
async function reading(port: number, clients: number, requests: number): Promise<void> {
  const one = () =>
    new Promise<void>((done) => {
      let left = requests * 20_000
      const socket = net.connect(port, '127.0.0.1').on('data', (bytes: Buffer) => {
        left -= bytes.length
        if (left > 0) return
        socket.destroy()
        done()
      })
      socket.write(request('/').repeat(requests))
    })
  await Promise.all(Array.from({ length: clients }, one))
}
