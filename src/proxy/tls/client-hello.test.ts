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

const complete = (serverName: string | undefined, isWhole = true) => ({
  state: 'complete',
  bytes: 0,
  serverName,
  isWhole,
})
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
    assert.deepEqual(readClientHello(bytes), complete(undefined, false))
})

/** A hello in one record, with these bytes as its extensions. */
function helloWith(extensions: Buffer | undefined): Buffer {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 1),
    Buffer.from([0, 0, 2, 0x13, 0x01, 1, 0]),
    ...(extensions ? [sized(2, extensions)] : []),
  ])
  const message = Buffer.concat([Buffer.from([1, 0]), sized(2, body)])
  return Buffer.concat([Buffer.from([22, 3, 1]), sized(2, message)])
}

/** Bytes behind their length. */
const sized = (size: 1 | 2, bytes: Buffer): Buffer => {
  const head = Buffer.alloc(size)
  head.writeUIntBE(bytes.length, 0, size)
  return Buffer.concat([head, bytes])
}
const extension = (type: number, content: Buffer): Buffer => Buffer.concat([Buffer.from([0, type]), sized(2, content)])
const nameEntry = (name: Buffer | string, type = 0): Buffer =>
  Buffer.concat([Buffer.from([type]), sized(2, Buffer.from(name))])
const serverName = (...names: Buffer[]): Buffer => extension(0, sized(2, Buffer.concat(names)))

test('a hello is whole where each part ends at the next one, and it asks for one name at most', () => {
  const name = serverName(nameEntry('a.test'))
  assert.deepEqual(readClientHello(helloWith(undefined)), complete(undefined))
  assert.deepEqual(readClientHello(helloWith(Buffer.alloc(0))), complete(undefined))
  assert.deepEqual(readClientHello(helloWith(name)), complete('a.test'))
  assert.deepEqual(
    readClientHello(helloWith(Buffer.concat([extension(23, Buffer.alloc(0)), name]))),
    complete('a.test'),
  )
  const wrong: Readonly<Record<string, Buffer>> = {
    'two names': serverName(nameEntry('a.test'), nameEntry('b.test')),
    'two extensions': Buffer.concat([name, serverName(nameEntry('b.test'))]),
    'another type of name': serverName(nameEntry('a.test', 1)),
    'an empty name': serverName(nameEntry('')),
    'an empty list': serverName(),
    'an empty extension': extension(0, Buffer.alloc(0)),
    'a NUL in the name': serverName(nameEntry('a.test\0.b')),
    'a line end in the name': serverName(nameEntry('a\r\nb')),
    'a letter beyond ASCII': serverName(nameEntry(Buffer.from([0x61, 0xe4]))),
    'bytes behind the list': extension(0, Buffer.concat([sized(2, nameEntry('a.test')), Buffer.from([0])])),
    'a byte behind the extensions': Buffer.concat([name, Buffer.from([0])]),
    'an extension that is cut': extension(23, Buffer.alloc(4)).subarray(0, 6),
  }
  for (const [what, extensions] of Object.entries(wrong)) {
    const read = readClientHello(helloWith(extensions))
    assert.equal(read.state === 'complete' && read.isWhole, false, what)
  }
})

test('any one name is read back out of a hello, however it is cut into records and whatever stands beside it', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){0,5}$/),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ maxLength: 300 })), { maxLength: 8 }),
      fc.nat({ max: 8 }),
      fc.integer({ min: 64, max: 2000 }),
      (name, others, at, recordBytes) => {
        const around = others.map(([type, content]) => extension(type, Buffer.from(content)))
        const whole = helloWith(Buffer.concat(around.toSpliced(at, 0, serverName(nameEntry(name))))).subarray(5)
        const records = []
        for (let from = 0; from < whole.length; from += recordBytes)
          records.push(Buffer.from([22, 3, 1]), sized(2, whole.subarray(from, from + recordBytes)))
        const bytes = Buffer.concat(records)
        assert.deepEqual(readClientHello(bytes), complete(name, true))
        assert.deepEqual(readClientHello(Buffer.concat([bytes, Buffer.from('later')])), complete(name, true))
      },
    ),
  )
})

test('whatever bytes come, no more than 33 records of a hello are waited for', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64 }),
      fc.array(fc.nat({ max: 16_384 }), { maxLength: 40 }),
      (start, sizes) => {
        const bytes = Buffer.concat([start, ...sizes.map((size) => sized(2, Buffer.alloc(size, 1)))])
        const read = readClientHello(bytes)
        if (bytes.length > 33 * (16_384 + 5)) assert.equal(read.state, 'complete')
        else assert.ok(['partial', 'complete'].includes(read.state))
      },
    ),
  )
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
