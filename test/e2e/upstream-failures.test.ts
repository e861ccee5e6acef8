/** Upstreams that refuse, reset, fall silent or talk nonsense: what the client gets, and what is tried again. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { type DataPlane, oneService, startDataPlane } from './data-plane.ts'
import { client, ok, onRequests, pause, startUpstream, until, type Serve, type Upstream } from './sockets.ts'

let plane: DataPlane
let upstream: Upstream
/** Methods in the order in which the upstream got their requests. */
let seen: string[] = []

before(async () => {
  upstream = await startUpstream()
  plane = await startDataPlane({ config: configOf({}) })
})
after(() => {
  plane.close()
  upstream.close()
})
beforeEach(async () => {
  upstream.cut()
  await pause(20)
  seen = []
  plane.access.length = 0
  plane.adopt(configOf({}))
})

const fast = { connect_timeout: 200, write_timeout: 200, read_timeout: 200 }
const configOf = (service: object, route: object = {}) => oneService(upstream.port, { ...fast, ...service }, route)
/** Bodies are passed on as they come. */
const streaming = { request_buffering: false }

/** Sends a request and gives the answer's status and body. */
async function ask(method: string, body = ''): Promise<string> {
  const { send, socket, text, until } = client(plane.port)
  send(`${method} / HTTP/1.1\r\nHost: a\r\n${body ? `Content-Length: ${body.length}\r\n` : ''}\r\n${body}`)
  await until(/HTTP\/1\.1 [2-5]\d\d [^]*\r\n\r\n/)
  await pause(5)
  socket.destroy()
  return `${text().slice(9, 12)} ${text().split('\r\n\r\n')[1]?.split('\n')[0] ?? ''}`.trim()
}

/** Notes requests, and does with the first `times` of them what `fail` does. */
const failing = (times: number, fail: Serve): Serve =>
  onRequests(({ head }, socket) => {
    seen.push(head.split(' ')[0] ?? '')
    if (seen.length <= times) fail(socket)
    else socket.write(ok('at last'))
  })

const reset: Serve = (socket) => (socket as unknown as { resetAndDestroy(): void }).resetAndDestroy()
const end: Serve = (socket) => socket.end()
const halfHead: Serve = (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Le')
const silence: Serve = () => {}
const nonsense: Serve = (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n')
const invalid = '502 An invalid response was received from the upstream server'
const late = '504 The upstream server is timing out'

const repeatable = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']
const single = ['POST', 'PATCH', 'PROPFIND']

suite('a request whose upstream fails after it was sent', () => {
  const ways: Readonly<Record<string, readonly [fail: Serve, answer: string]>> = {
    resets: [reset, invalid],
    'ends without a word': [end, invalid],
    'ends within a head': [halfHead, invalid],
    'says nothing in time': [silence, late],
  }
  for (const [way, [fail, answer]] of Object.entries(ways)) {
    test(`is sent again where the upstream ${way} and the method may be repeated`, async () => {
      for (const method of repeatable) {
        seen = []
        upstream.serve = failing(1, fail)
        assert.equal(await ask(method), method === 'HEAD' ? '200' : '200 at last')
        assert.deepEqual(seen, [method, method])
      }
    })
    test(`is not sent again where the upstream ${way} and the method may not be repeated`, async () => {
      for (const method of single) {
        seen = []
        upstream.serve = failing(1, fail)
        assert.equal(await ask(method, 'x'), answer)
        assert.deepEqual(seen, [method])
      }
    })
  }

  test('is sent again at most `retries` times', async () => {
    for (const retries of [0, 2, 5]) {
      seen = []
      plane.adopt(configOf({ retries }))
      upstream.serve = failing(100, reset)
      assert.equal(await ask('GET'), invalid)
      assert.equal(seen.length, 1 + retries)
    }
  })

  test('is sent again with its body', async () => {
    const bodies: string[] = []
    upstream.serve = onRequests(({ body }, socket) => {
      bodies.push(body)
      if (bodies.length === 1) reset(socket)
      else socket.write(ok('at last'))
    })
    assert.equal(await ask('PUT', 'the body'), '200 at last')
    assert.deepEqual(bodies, ['the body', 'the body'])
  })

  test('is sent again with a long body, which was waited for', async () => {
    const bodies: string[] = []
    upstream.serve = onRequests(({ body }, socket) => {
      bodies.push(body)
      if (bodies.length === 1) reset(socket)
      else socket.write(ok('at last'))
    })
    const long = 'the body '.repeat(500_000)
    assert.equal(await ask('PUT', long), '200 at last')
    assert.ok(bodies.length === 2 && bodies.every((body) => body === long))
  })

  test('is not sent again where its body is passed on as it comes', async () => {
    plane.adopt(configOf({}, streaming))
    let connections = 0
    upstream.serve = (socket) => {
      connections++
      socket.once('data', () => reset(socket))
    }
    assert.equal(await ask('PUT', 'x'.repeat(300_000)), invalid)
    assert.equal(connections, 1)
  })

  test('is not sent again where the upstream answers with nonsense', async () => {
    upstream.serve = failing(1, nonsense)
    assert.equal(await ask('GET'), invalid)
    assert.deepEqual(seen, ['GET'])
  })

  test('is not sent again for any status', async () => {
    for (const status of [500, 502, 503, 504]) {
      seen = []
      upstream.cut()
      await pause(10)
      upstream.serve = failing(1, (socket) => socket.write(`HTTP/1.1 ${status} X\r\nContent-Length: 1\r\n\r\nx`))
      assert.equal(await ask('GET'), `${status} x`)
      assert.deepEqual(seen, ['GET'])
    }
  })
})

suite('a response that breaks off', () => {
  const beginnings: Readonly<Record<string, string>> = {
    'with a length': 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
    chunked: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  }
  for (const [kind, beginning] of Object.entries(beginnings)) {
    test(`is not asked for again, ${kind}; the client gets what there was, and sees that it is not all`, async () => {
      upstream.serve = failing(1, (socket) => socket.end(beginning))
      const { send, text, closed } = client(plane.port)
      send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      await closed()
      assert.match(text(), /half(\r\n)?$/)
      assert.deepEqual(seen, ['GET'])
      assert.deepEqual(
        plane.access.map(({ status, bytes }) => [status, bytes]),
        [[200, 4]],
      )
    })
  }

  test('is reset for a client of HTTP/1.0, which could not tell otherwise', async () => {
    upstream.serve = failing(1, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')
      setTimeout(() => socket.end(), 30)
    })
    const { send, socket, text, closed } = client(plane.port)
    let code: string | undefined
    socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code))
    send('GET / HTTP/1.0\r\nHost: a\r\n\r\n')
    await closed()
    assert.match(text(), /half$/)
    assert.equal(code, 'ECONNRESET')
  })

  test('is given up where the rest does not come in time', async () => {
    upstream.serve = failing(1, (socket) => socket.write(beginnings['chunked'] ?? ''))
    const { send, text, closed } = client(plane.port)
    send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await closed()
    assert.match(text(), /half\r\n$/)
  })
})

suite('a connection that waited in the pool', () => {
  test('and was just closed costs a request that may be repeated nothing, not even a retry', async () => {
    plane.adopt(configOf({ retries: 0 }))
    upstream.serve = failing(0, end)
    assert.equal(await ask('GET'), '200 at last')
    // The next one on this connection is cut, as by an upstream that closed it at the same moment.
    upstream.cut()
    assert.equal(await ask('GET'), '200 at last')
  })

  test('and was closed is not used, so that a request that may not be repeated is not lost', async () => {
    upstream.serve = failing(0, end)
    for (let at = 0; at < 20; at++) {
      assert.equal(await ask('GET'), '200 at last')
      for (const socket of upstream.sockets) socket.end()
      await pause(5)
      assert.equal(await ask('POST', 'x'), '200 at last')
    }
  })

  test('is left alone a second before its upstream closes it by its own word', async () => {
    const answer = (seconds: number) =>
      `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=${seconds}\r\nContent-Length: 2\r\n\r\nok`
    const before = upstream.connections
    upstream.serve = failing(10, (socket) => socket.write(answer(1)))
    await ask('GET')
    await ask('GET')
    assert.equal(upstream.connections - before, 2)
    upstream.serve = failing(10, (socket) => socket.write(answer(5)))
    await ask('GET')
    await ask('GET')
    assert.equal(upstream.connections - before, 3)
  })

  test('is dropped where something came on it unasked for', async () => {
    upstream.serve = failing(0, end)
    await ask('GET')
    for (const socket of upstream.sockets) socket.write(ok('poison'))
    await pause(20)
    assert.equal(await ask('GET'), '200 at last')
    assert.equal(await ask('POST', 'x'), '200 at last')
  })

  test('is dropped where more came with its response', async () => {
    for (const more of [ok('poison'), 'HTTP/1.1 100 Continue\r\n\r\n', ' ', '\r\n']) {
      upstream.serve = failing(1, (socket) => socket.write(ok('one') + more))
      seen = []
      const before = upstream.connections
      assert.equal(await ask('GET'), '200 one')
      assert.equal(await ask('GET'), '200 at last', JSON.stringify(more))
      assert.equal(upstream.connections - before, 2)
      upstream.cut()
      await pause(10)
    }
  })

  test('is dropped where the response came before all of the request was sent', async () => {
    plane.adopt(configOf({}, streaming))
    const before = upstream.connections
    upstream.serve = (socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 413 X\r\nContent-Length: 5\r\n\r\nearly')
        socket.on('data', () => {})
      })
      socket.on('end', () => socket.end())
    }
    const { send, socket, until: untilText } = client(plane.port)
    send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(200_000)}`)
    await untilText(/early$/)
    upstream.serve = failing(0, end)
    assert.equal(await ask('GET'), '200 at last')
    assert.equal(upstream.connections - before, 2)
    socket.destroy()
  })
})

suite('times', () => {
  test('no connection within connect_timeout is 504, after the retries', async () => {
    // TEST-NET-1 (RFC 5737) leads nowhere, or is refused at once where there is no way at all.
    plane.adopt({
      services: [
        {
          name: 'up',
          host: '192.0.2.1',
          port: 81,
          retries: 1,
          ...fast,
          routes: [{ paths: ['/'] }],
        },
      ],
    })
    const status = await ask('POST', 'x')
    assert.ok([invalid, late].includes(status), status)
  })

  test('an upstream that does not take the body within write_timeout is 504', async () => {
    plane.adopt(configOf({}, streaming))
    upstream.serve = (socket) => void socket.pause()
    const { send, until: untilText } = client(plane.port)
    send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n${'x'.repeat(20_000_000)}`)
    await untilText(/^HTTP\/1\.1 504 /)
  })

  test('so is one that does not take a body that was waited for', async () => {
    upstream.serve = (socket) => void socket.pause()
    const { send, until: untilText } = client(plane.port)
    send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n${'x'.repeat(20_000_000)}`)
    await untilText(/^HTTP\/1\.1 504 /)
    assert.equal(plane.runtime.spools.spools, 0)
  })

  test('read_timeout is between two reads, not for the whole', async () => {
    upstream.serve = failing(1, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n')
      let left = 6
      const timer = setInterval(() => {
        socket.write('x')
        if (--left === 0) clearInterval(timer)
      }, 80)
    })
    const { send, until: untilText, socket } = client(plane.port)
    send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await untilText(/x{6}$/)
    socket.destroy()
  })

  test('a slow client does not use up the time of the upstream', async () => {
    upstream.serve = failing(1, (socket) =>
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n${'x'.repeat(30_000_000)}`),
    )
    const { send, socket, text } = client(plane.port)
    send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await pause(50)
    socket.pause()
    await pause(500)
    socket.resume()
    await until(
      () => text().length > 30_000_000,
      () => 'all of it',
    )
    socket.destroy()
  })

  test('a slow upload does not use up the time to answer', async () => {
    upstream.serve = failing(0, end)
    const { send, until: untilText, socket } = client(plane.port)
    send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100005\r\n\r\n${'x'.repeat(100_000)}`)
    for (let at = 0; at < 5; at++) {
      await pause(100)
      send('x')
    }
    await untilText(/at last$/)
    socket.destroy()
  })
})

test('a request goes to another target where one refuses, whatever its method', async () => {
  const dead = await startUpstream()
  dead.close()
  upstream.serve = failing(0, end)
  plane.adopt({
    upstreams: [
      { name: 'both', targets: [{ target: `127.0.0.1:${dead.port}` }, { target: `127.0.0.1:${upstream.port}` }] },
    ],
    services: [{ name: 'up', host: 'both', ...fast, retries: 1, routes: [{ paths: ['/'] }] }],
  })
  for (let at = 0; at < 10; at++) assert.equal(await ask('POST', 'x'), '200 at last')
  assert.equal(seen.length, 10)
})
