/** What flows piece by piece: events of a server, long polls, uploads that are not waited for. */
import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import { after, afterEach, before, test } from 'node:test'
import { type DataPlane, oneService, startDataPlane } from './data-plane.ts'
import { client, ok, pause, request, startUpstream, until, type Upstream } from './sockets.ts'

let plane: DataPlane
let upstream: Upstream
let server: Duplex | undefined
let got = ''

before(async () => {
  upstream = await startUpstream()
  upstream.serve = (socket) => {
    server = socket
    got = ''
    socket.on('data', (bytes: Buffer) => (got += bytes.toString('latin1'))).on('end', () => socket.end())
  }
  plane = await startDataPlane({ config: oneService(upstream.port) })
})
after(() => {
  plane.close()
  upstream.close()
})
afterEach(async () => {
  upstream.cut()
  server = undefined
  await pause(20)
})

const reached = (pattern: RegExp) =>
  until(
    () => pattern.test(got),
    () => `${pattern} at the upstream in ${JSON.stringify(got.slice(-300))}`,
  )

for (const response_buffering of [true, false]) {
  test(`each event of a server reaches the client when it is sent, with response_buffering ${response_buffering}`, async () => {
    plane.adopt(oneService(upstream.port, {}, { response_buffering }))
    for (const framing of ['Transfer-Encoding: chunked', 'Connection: close']) {
      const { send, until, socket } = client(plane.port)
      got = ''
      send(request('/events', 'Accept: text/event-stream'))
      await reached(/\r\n\r\n$/)
      server?.write(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${framing}\r\n\r\n`)
      await until(/\r\n\r\n$/)
      for (let at = 0; at < 3; at++) {
        const event = `data: ${at}\n\n`
        server?.write(framing.includes('chunked') ? `${event.length.toString(16)}\r\n${event}\r\n` : event)
        await until(new RegExp(`data: ${at}\n\n(\r\n)?$`))
      }
      socket.destroy()
      upstream.cut()
      await pause(10)
    }
  })
}

test('a client that polls for long gets its answer when there is one', async () => {
  const { send, until, text, socket } = client(plane.port)
  send(request('/poll'))
  await reached(/\r\n\r\n$/)
  await pause(100)
  assert.equal(text(), '')
  server?.write(ok('at last'))
  await until(/at last$/)
  socket.destroy()
})

test('a body flows from its first byte where request_buffering is off', async () => {
  plane.adopt(oneService(upstream.port, {}, { request_buffering: false }))
  const { send, socket, until } = client(plane.port)
  send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n')
  await reached(/\r\n\r\n$/)
  for (let at = 0; at < 10; at++) {
    send(String(at))
    await reached(new RegExp(`${at}$`))
  }
  server?.write(ok('got it'))
  await until(/got it$/)
  socket.destroy()
})

test('an answer that comes before the body is complete is passed on at once, and the rest of the body is still taken', async () => {
  plane.adopt(oneService(upstream.port, {}, { request_buffering: false }))
  const { send, socket, until } = client(plane.port)
  send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234')
  await reached(/01234$/)
  server?.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n')
  await until(/yes\r\n$/)
  send('56789')
  await reached(/0123456789$/)
  server?.write('0\r\n\r\n')
  await until(/\r\n0\r\n\r\n$/)
  socket.destroy()
})
