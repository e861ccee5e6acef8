import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import tls from 'node:tls'
import * as fc from 'fast-check'
import { readClientHello } from './client-hello.ts'

/** The first bytes that a real client sends. */
async function helloOf(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const client = tls.connect({ port, host: '127.0.0.1', ...options }).on('error', () => {})
  const [socket] = (await once(server, 'connection')) as [net.Socket]
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  server.close()
  return bytes
}

const complete = (serverName: string | undefined) => ({ state: 'complete', bytes: 0, serverName })
const hello = await helloOf({ servername: 'www.shop.test' })

test('the server name is found in what clients of either version send', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const bytes = await helloOf({ servername: 'www.shop.test', minVersion: version, maxVersion: version })
    assert.deepEqual(readClientHello(bytes), complete('www.shop.test'))
  }
  assert.deepEqual(readClientHello(await helloOf({})), complete(undefined))
})

test('a hello that is cut anywhere is waited for', () => {
  for (let cut = 0; cut < hello.length; cut++)
    assert.equal(readClientHello(hello.subarray(0, cut)).state, 'partial', `${cut} bytes`)
})

test('a hello in many records is one', () => {
  const records: Buffer[] = []
  for (let at = 5; at < hello.length; at += 50) {
    const piece = hello.subarray(at, at + 50)
    records.push(Buffer.from([22, 3, 1, 0, piece.length]), piece)
  }
  assert.deepEqual(readClientHello(Buffer.concat(records)), complete('www.shop.test'))
})

test('what is no hello is left to OpenSSL, without waiting for more', () => {
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\n'),
    Buffer.from([22, 3, 1, 0, 0]),
    Buffer.from([22, 3, 1, 0xff, 0xff]),
    Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0]),
    Buffer.from([22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]),
    Buffer.concat(Array.from(hello, (byte) => Buffer.from([22, 3, 1, 0, 1, byte]))),
  ])
    assert.deepEqual(readClientHello(bytes), complete(undefined))
})

test('no damage to a hello makes reading it fail', () => {
  fc.assert(
    fc.property(fc.nat({ max: hello.length - 1 }), fc.nat({ max: 255 }), (at, value) => {
      const damaged = Buffer.from(hello)
      damaged[at] = value
      assert.ok(['partial', 'complete'].includes(readClientHello(damaged).state))
    }),
  )
})
