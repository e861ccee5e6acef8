/** Whatever two sides send each other through a stream, in whatever pieces and order, arrives whole, and both ends arrive. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import * as fc from 'fast-check'
import { issue } from './certificates.ts'
import { pause, startUpstream, until, type Upstream } from './sockets.ts'
import { startStreamPlane, type StreamPlane } from './stream-plane.ts'

/** What one side does: writes so many bytes, or stops reading for so many ms, one after the other; then it ends its direction. */
type Step = { readonly write: number } | { readonly rest: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ write: fc.oneof(fc.nat({ max: 100 }), fc.nat({ max: 40_000 }), fc.nat({ max: 400_000 })) }),
  },
  { weight: 1, arbitrary: fc.record({ rest: fc.nat({ max: 10 }) }) },
)
const side = fc.array(step, { maxLength: 6 })
const way = fc.constantFrom('plain', 'passthrough', 'terminated')

const certificate = issue('it.test')
let plainUpstream: Upstream
let secureUpstream: Upstream
let plain: StreamPlane
let secure: StreamPlane

before(async () => {
  plainUpstream = await startUpstream()
  secureUpstream = await startUpstream(certificate)
  const service = (name: string, protocol: string, port: number, route: object) => ({
    name,
    protocol,
    host: '127.0.0.1',
    port,
    routes: [{ name, ...route }],
  })
  plain = await startStreamPlane({
    config: {
      services: [service('plain', 'tcp', plainUpstream.port, { protocols: ['tcp'], sources: [{ ip: '127.0.0.1' }] })],
    },
  })
  secure = await startStreamPlane({
    tls: certificate,
    config: {
      services: [
        service('passthrough', 'tcp', secureUpstream.port, {
          protocols: ['tls_passthrough'],
          snis: ['passthrough.test'],
        }),
        service('terminated', 'tls', secureUpstream.port, { protocols: ['tls'], snis: ['terminated.test'] }),
      ],
    },
  })
})

after(() => {
  plain.close()
  secure.close()
  plainUpstream.close()
  secureUpstream.close()
})

/** A byte that tells its place, and from which side it is. */
const byteAt = (at: number, salt: number): number => (at * 31 + (at >> 8) + salt) & 0xff

function bytesFrom(from: number, length: number, salt: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; at++) bytes[at] = byteAt(from + at, salt)
  return bytes
}

/** Plays one side, and gives how many bytes of the other one came, each in its place, once that has ended. */
async function play(
  socket: net.Socket,
  steps: readonly Step[],
  salts: { own: number; other: number },
): Promise<number> {
  let got = 0
  let hasEnded = false
  socket.on('data', (bytes: Buffer) => {
    for (const byte of bytes) assert.equal(byte, byteAt(got++, salts.other))
  })
  socket.on('end', () => (hasEnded = true))
  let written = 0
  for (const one of steps) {
    if ('rest' in one) {
      socket.pause()
      await pause(one.rest)
      socket.resume()
    } else {
      socket.write(bytesFrom(written, one.write, salts.own))
      written += one.write
    }
  }
  socket.end()
  await until(
    () => hasEnded,
    () => `the other side's end, after ${got} bytes`,
  )
  return got
}

const written = (steps: readonly Step[]): number =>
  steps.reduce((sum, one) => sum + ('write' in one ? one.write : 0), 0)

function connect(kind: string): net.Socket {
  const options = { host: '127.0.0.1', allowHalfOpen: true }
  if (kind === 'plain') return net.connect({ ...options, port: plain.port })
  return tls.connect({
    ...options,
    port: secure.port,
    servername: `${kind}.test`,
    rejectUnauthorized: false,
  } as tls.ConnectionOptions)
}

const numRuns = Number(process.env['GIBBON_STREAM_RUNS'] ?? 30)

test('all bytes and both ends arrive', { timeout: numRuns * 10_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(way, side, side, async (kind, client, server) => {
      const upstream = kind === 'plain' ? plainUpstream : secureUpstream
      const accepted = new Promise<net.Socket>(
        (resolve) => (upstream.serve = (socket) => resolve(socket as net.Socket)),
      )
      const socket = connect(kind)
      await once(socket, kind === 'plain' ? 'connect' : 'secureConnect')
      const [atClient, atServer] = await Promise.all([
        play(socket, client, { own: 3, other: 7 }),
        accepted.then((peer) => play(peer, server, { own: 7, other: 3 })),
      ])
      assert.deepEqual([atClient, atServer], [written(server), written(client)])
    }),
    { numRuns },
  )
  for (const { access } of [plain, secure])
    for (const { status, reason } of access) assert.deepEqual([status, reason], [200, undefined])
})
