import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test, type TestContext } from 'node:test'
import { DirectWrites } from './direct-write.ts'
import { Writer } from './writer.ts'

interface Pair {
  readonly near: net.Socket
  readonly far: net.Socket
}

async function pair(t: TestContext): Promise<Pair> {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = net.connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [[net.Socket], unknown]
  near.on('error', () => undefined)
  far.on('error', () => undefined)
  t.after(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  return { near, far }
}

async function readAll(socket: net.Socket): Promise<string> {
  let text = ''
  for await (const piece of socket) text += (piece as Buffer).toString('latin1')
  return text
}

test('text goes straight to the system, each character a byte', async (t) => {
  const { near, far } = await pair(t)
  near.write = () => assert.fail('the usual way')
  assert.equal(new DirectWrites(near).text('h\xe9llo'), true)
  assert.equal(near.bytesWritten, 5)
  near.end()
  assert.equal(await readAll(far), 'h\xe9llo')
})

test('a socket that is not connected yet, or has ended, takes the usual way', async (t) => {
  const { near, far } = await pair(t)
  const early = net.connect({ port: near.remotePort as number, host: '127.0.0.1' })
  t.after(() => early.destroy())
  assert.equal(new DirectWrites(early).text('x'), false)
  near.end()
  assert.equal(new DirectWrites(near).text('x'), false)
  near.destroy()
  assert.equal(new DirectWrites(near).text('x'), false)
  assert.equal(await readAll(far), '')
})

for (const kind of ['text', 'bytes']) {
  test(`${kind} that the system does not take at once arrive in order, and the socket says when they have`, async (t) => {
    const { near, far } = await pair(t)
    far.pause()
    const writer = new Writer(near)
    let sent = ''
    let goesOn = true
    for (let count = 0; goesOn; count++) {
      const text = `${count}:`.padEnd(12_000, String(count % 10))
      sent += text
      if (kind === 'text') writer.text(text)
      else writer.bytes(Buffer.from(text), 0, text.length)
      goesOn = writer.flush()
    }
    assert.equal(near.writableLength, 0, 'it waits with the system')
    const drained = once(near, 'drain')
    // What follows must not overtake it, whichever way it goes.
    writer.text('after')
    writer.flush()
    const long = Buffer.alloc(40_000, 'b')
    writer.bytes(long, 0, long.length)
    writer.text('last')
    writer.flush()
    sent += `after${long.toString('latin1')}last`
    const received = readAll(far)
    await drained
    assert.equal(writer.needsDrain, false)
    near.end()
    assert.equal(await received, sent)
  })
}

test('a peer that has gone is told of by the socket, as ever', async (t) => {
  const { near, far } = await pair(t)
  far.resetAndDestroy()
  const closed = new Promise((resolve) => near.on('close', resolve))
  const writer = new Writer(near)
  const timer = setInterval(() => {
    writer.text('x')
    writer.flush()
  }, 1)
  t.after(() => clearInterval(timer))
  await closed
})
