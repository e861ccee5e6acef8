import assert from 'node:assert/strict'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { keepBuffer } from './read-buffers.ts'
import { acceptPlain, connectPlain, type SocketEvents } from './socket.ts'

const long = Buffer.from(Uint32Array.from({ length: 2 ** 20 }, (_, at) => at).buffer)

/** What a reader was given, kept where that was possible, and a copy of each piece. */
class Keeper implements SocketEvents {
  readonly kept: { readonly bytes: Buffer; readonly copy: Buffer; readonly release: () => void }[] = []
  received = 0
  lastWasKept = false
  onBytes(bytes: Buffer, length: number): void {
    this.received += length
    const release = keepBuffer(bytes)
    this.lastWasKept = release !== undefined
    const part = bytes.subarray(0, length)
    if (release) this.kept.push({ bytes: part, copy: Buffer.from(part), release })
  }
  onEnd(): void {}
  onDrain(): void {}
  onClose(): void {}
}

/** Both ends of a connection that reads as the gateway's do: one that was made, and one that was accepted. */
async function pairOf(events: SocketEvents): Promise<Record<'made' | 'accepted', net.Socket> & { close: () => void }> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = new Promise<net.Socket>((resolve) =>
    acceptPlain(server, (socket) => {
      resolve(socket)
      return events
    }),
  )
  const made = connectPlain('127.0.0.1', (server.address() as AddressInfo).port, events)
  await once(made, 'connect')
  return { made, accepted: await accepted, close: () => server.close() }
}

const until = async (isSo: () => boolean) => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2))
}

for (const reading of ['made', 'accepted'] as const) {
  test(`long reads of a socket that was ${reading} can be kept, and stay as they are until they are released`, async () => {
    const keeper = new Keeper()
    const { [reading]: socket, [reading === 'made' ? 'accepted' : 'made']: other, close } = await pairOf(keeper)
    other.write(long)
    await until(() => keeper.received === long.length)
    assert.ok(keeper.kept.length > 1, 'at least two buffers were kept at once')
    for (const { bytes, copy } of keeper.kept) assert.ok(bytes.equals(copy))
    const buffers = new Set(keeper.kept.map(({ bytes }) => bytes.buffer))
    for (const { release } of keeper.kept) release()

    // After a short read nothing is kept any more, and what was released is used again.
    other.write('short')
    await until(() => keeper.received === long.length + 5)
    other.write('short')
    await until(() => keeper.received === long.length + 10)
    assert.equal(keeper.lastWasKept, false)
    keeper.kept.length = 0
    other.write(long)
    await until(() => keeper.received === 2 * long.length + 10)
    assert.ok(keeper.kept.some(({ bytes }) => buffers.has(bytes.buffer)))
    socket.destroy()
    other.destroy()
    close()
  })
}

test('bytes of another buffer than that of the read at hand are never kept', async () => {
  assert.equal(keepBuffer(Buffer.alloc(100_000)), undefined)
})
