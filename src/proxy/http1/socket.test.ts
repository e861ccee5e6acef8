import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import { bufferBytes } from './read-buffers.ts'
import { acceptPlain } from './socket.ts'

test('of clients that have sent much and say nothing more, 256 keep a buffer for it', async (t) => {
  const clients = 600
  const sent = Buffer.alloc(20_000)
  let read = 0
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  acceptPlain(server, () => ({
    onBytes: (_bytes, length) => void (read += length),
    onEnd() {},
    onDrain() {},
    onClose() {},
  }))
  const sockets: net.Socket[] = []
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as net.AddressInfo
  const before = process.memoryUsage().arrayBuffers
  for (let at = 1; at <= clients; at++) {
    const socket = net.connect(port, '127.0.0.1')
    sockets.push(socket)
    socket.write(sent)
    while (read < at * sent.length) await new Promise(setImmediate)
  }
  const grown = process.memoryUsage().arrayBuffers - before
  assert.ok(grown <= 300 * bufferBytes, `${grown} bytes more`)
})
