/** Where messages end: what frames them is said once, by the connection alone, and nothing else can move it. */
import assert from 'node:assert/strict'
import { after, afterEach, before, suite, test } from 'node:test'
import { type AccessEntry, accessLineMaker, openLogFile } from '../../src/observe/log.ts'
import { type DataPlane, oneService, startDataPlane } from './data-plane.ts'
import { client, ok, onRequests, pause, request, startUpstream, type Received, type Upstream } from './sockets.ts'

let plane: DataPlane
let upstream: Upstream
/** What the test's plugins do with the next requests. */
let toUpstream: readonly (readonly [string, string])[] = []
let toClient: readonly (readonly [string, string])[] = []
let answer: { status: number; body: string; headers: Record<string, string> } | undefined
let received: Received | undefined

before(async () => {
  upstream = await startUpstream()
  plane = await startDataPlane({
    config: oneService(upstream.port),
    settings: { client_max_body_size: '200000' },
    plugins: [
      {
        access(kong) {
          for (const [name, value] of toUpstream) kong.service.request.set_header(name, value)
          return answer && kong.response.exit(answer.status, answer.body, answer.headers)
        },
        header_filter(kong) {
          for (const [name, value] of toClient) kong.response.set_header(name, value)
        },
      },
    ],
  })
})
after(() => {
  plane.close()
  upstream.close()
})
afterEach(async () => {
  toUpstream = toClient = []
  answer = received = undefined
  upstream.cut()
  await pause(20)
})

const linesOf = (head: string, name: string): string[] =>
  [...head.matchAll(new RegExp(`^${name}: (.*?)\\r$`, 'gim'))].map(([, value]) => value ?? '')

const answers = (text: string) =>
  void (upstream.serve = onRequests((request, socket) => {
    received = request
    socket.write(text, 'latin1')
  }))

/** Sends bytes, and gives all that comes until `pattern` is met. */
async function ask(bytes: string, pattern: RegExp): Promise<string> {
  const { send, socket, until, text } = client(plane.port)
  send(bytes)
  await until(pattern)
  await pause(10)
  socket.destroy()
  return text()
}

const frames: readonly (readonly [string, string])[] = [
  ['Connection', 'close'],
  ['Content-Length', '3'],
  ['content-length', '5'],
  ['Transfer-Encoding', 'chunked'],
  ['transfer-encoding', 'gzip'],
]

suite('a line that frames', () => {
  for (const [name, value] of frames) {
    test(`set on the request by a plugin is not sent: ${name}: ${value}`, async () => {
      toUpstream = [[name, value]]
      answers(ok('whole'))
      await ask('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody', /whole$/)
      const head = received?.head ?? ''
      assert.deepEqual([linesOf(head, 'content-length'), linesOf(head, 'transfer-encoding')], [['4'], []])
      assert.deepEqual(linesOf(head, 'connection'), ['keep-alive'])
    })

    test(`set on the response by a plugin is not sent: ${name}: ${value}`, async () => {
      toClient = [[name, value]]
      answers(ok('whole'))
      const text = await ask(request('/'), /whole$/)
      assert.deepEqual([linesOf(text, 'content-length'), linesOf(text, 'transfer-encoding')], [['5'], []])
      assert.deepEqual(linesOf(text, 'connection'), ['keep-alive'])
    })

    test(`in an answer of a plugin's is not sent: ${name}: ${value}`, async () => {
      answer = { status: 403, body: 'no', headers: { [name]: value } }
      const text = await ask(request('/') + request('/'), /no[^]*no$/)
      assert.deepEqual([linesOf(text, 'content-length'), linesOf(text, 'transfer-encoding')], [['2', '2'], []])
      assert.deepEqual(linesOf(text, 'connection'), ['keep-alive', 'keep-alive'])
    })
  }
})

test('no header value can become a line of its own', async () => {
  toUpstream = [['X-Sent', 'one\r\nX-Smuggled: 1\r\n\r\nGET /smuggled HTTP/1.1\r\n']]
  toClient = [['X-Given', 'one\r\nX-Split: 1\r\n\r\nHTTP/1.1 200 OK\r\n']]
  answers(ok('whole'))
  const text = await ask(request('/'), /whole$/)
  assert.deepEqual([linesOf(text, 'x-split'), linesOf(received?.head ?? '', 'x-smuggled')], [[], []])
  assert.deepEqual(linesOf(text, 'x-given'), ['oneX-Split: 1HTTP/1.1 200 OK'])
  answer = { status: 200, body: 'x', headers: { 'X-A': 'a\r\nX-B: b', 'X-C: c\r\nX-D': 'd' } }
  const own = await ask(request('/'), /x$/)
  assert.deepEqual([linesOf(own, 'x-a'), linesOf(own, 'x-b'), linesOf(own, 'x-d')], [['aX-B: b'], [], []])
})

suite('a response without content', () => {
  const bodiless: Readonly<Record<string, readonly [request: string, response: string, length: readonly string[]]>> = {
    'to HEAD says the length that GET would have': [
      'HEAD',
      'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
      ['1000'],
    ],
    'to HEAD may leave the length out': ['HEAD', 'HTTP/1.1 200 OK\r\n\r\n', []],
    'to HEAD may be said to be chunked': ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', []],
    '204 has no length, even where the upstream gives one': ['GET', 'HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n', []],
    '304 keeps the length of what was not sent': ['GET', 'HTTP/1.1 304 X\r\nContent-Length: 77\r\n\r\n', ['77']],
    '304 without a length has none': ['GET', 'HTTP/1.1 304 X\r\nETag: "a"\r\n\r\n', []],
  }
  for (const [what, [method, response, length]] of Object.entries(bodiless)) {
    test(what, async () => {
      let times = 0
      upstream.serve = onRequests((_, socket) => socket.write(times++ === 0 ? response : ok('next')))
      const text = await ask(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n${request('/')}`, /\r\n\r\nnext$/)
      const [first = ''] = text.split(/(?<=\r\n\r\n)/)
      assert.deepEqual([linesOf(first, 'content-length'), linesOf(first, 'transfer-encoding')], [length, []])
      assert.equal(text.match(/HTTP\/1\.1/g)?.length, 2)
    })
  }

  test('of a plugin: 204, 205 and 304 leave the connection in order', async () => {
    for (const status of [204, 304]) {
      answer = { status, body: 'ignored', headers: {} }
      const text = await ask(request('/') + request('/'), /\r\n\r\n[^]+\r\n\r\n$/)
      assert.doesNotMatch(text, /ignored/)
      assert.equal(text.match(/^HTTP\/1\.1 /gm)?.length, 2)
    }
  })
})

test('Date and X-Accel-* are the upstream’s', async () => {
  const lines = ['Date: Thu, 01 Jan 2026 00:00:00 GMT', 'X-Accel-Buffering: no', 'X-Accel-Redirect: /x']
  answers(`HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\nContent-Length: 5\r\n\r\nwhole`)
  const text = await ask(request('/'), /whole$/)
  for (const line of lines) assert.deepEqual(linesOf(text, line.split(': ')[0] ?? ''), [line.split(': ')[1]])
})

test('the access log has the path, and not the query', async () => {
  answers(ok('whole'))
  await ask(request('/logged?token=abc'), /whole$/)
  const line = accessLineMaker('json', openLogFile('off'))(plane.access.at(-1) as AccessEntry)
  assert.match(line, /\/logged"/)
  assert.doesNotMatch(line, /token|abc/)
})

suite('interim responses', () => {
  test('are passed on, without what belongs to the hop, and the final one follows', async () => {
    answers(
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 9\r\n\r\n' +
        `HTTP/1.1 102 Processing\r\n\r\n${ok('final')}`,
    )
    const text = await ask(request('/'), /final$/)
    assert.match(
      text,
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
    )
  })

  test('are not for clients of HTTP/1.0', async () => {
    answers(`HTTP/1.1 103 Early Hints\r\n\r\n${ok('final')}`)
    assert.match(await ask('GET / HTTP/1.0\r\nHost: a\r\n\r\n', /final$/), /^HTTP\/1\.1 200 /)
  })

  test('without end are a bad gateway', async () => {
    answers('HTTP/1.1 102 Processing\r\n\r\n'.repeat(100))
    assert.match(await ask(request('/'), /HTTP\/1\.1 502 /), /502/)
  })

  test('101 that nobody asked for is a bad gateway', async () => {
    answers('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n')
    assert.match(await ask(request('/'), /HTTP\/1\.1 \d/), /^HTTP\/1\.1 502 /)
  })
})

suite('trailers', () => {
  const passing = ['X-Checksum: abc', 'Grpc-Status: 0', 'Server-Timing: db;dur=1', 'ETag: "x"']
  const stopped = [
    'Content-Length: 5',
    'Transfer-Encoding: chunked',
    'Host: evil',
    'Connection: close',
    'Trailer: X',
    'TE: trailers',
    'Authorization: Basic x',
    'Cookie: a=b',
    'Set-Cookie: a=b',
    'X-Consumer-ID: admin',
    'x_consumer_username: admin',
    'X-Forwarded-For: 1.1.1.1',
    'X-Forwarded-Anything: 1',
    'X-Real-IP: 1.1.1.1',
    'X-Credential-Identifier: x',
    'Content-Type: text/html',
    'Content-Encoding: gzip',
    'Cache-Control: no-store',
    'Location: /x',
    'Via: x',
  ]
  const lines = [...passing, ...stopped].map((line) => `${line}\r\n`).join('')
  const kept = passing.map((line) => `${line}\r\n`).join('')

  test('of a request go on where its body is streamed, but for those that a trailer must not hold', async () => {
    answers(ok('got it'))
    const chunks = `4000\r\n${'x'.repeat(0x4000)}\r\n`.repeat(12)
    await ask(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n${lines}\r\n`, /got it$/)
    assert.equal(received?.body, 'x'.repeat(12 * 0x4000))
    assert.equal(received?.trailers, kept)
  })

  test('of a short request body are dropped, as it goes on with its length', async () => {
    answers(ok('got it'))
    await ask(
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n${lines}\r\n`,
      /got it$/,
    )
    assert.equal(received?.body, 'body')
    assert.deepEqual(linesOf(received?.head ?? '', 'content-length'), ['4'])
    assert.doesNotMatch(received?.head ?? '', /checksum|evil/i)
  })

  test('of a response go on likewise', async () => {
    answers(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n${lines}\r\n`)
    const text = await ask(request('/'), /\r\n0\r\n[^]*\r\n\r\n$/)
    assert.equal(text.slice(text.indexOf('\r\n0\r\n') + 5, -2), kept)
  })

  test('that are no field lines, or too many, end the message', async () => {
    for (const bad of ['no colon\r\n', ' folded: x\r\n', 'X-A: b\nX-C: d\r\n', 'X-Long: '.padEnd(9000, 'x') + '\r\n']) {
      const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
      assert.match(await ask(`${head}1\r\nx\r\n0\r\n${bad}\r\n`, /HTTP\/1\.1 \d/), /^HTTP\/1\.1 400 /)
    }
  })
})

suite('client_max_body_size', () => {
  const tooLarge = /^HTTP\/1\.1 413 [^]*Payload too large/

  test('refuses a length that is more at once, without reading on or asking the upstream', async () => {
    answers(ok('never'))
    const text = await ask('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200001\r\n\r\n', tooLarge)
    assert.deepEqual(linesOf(text, 'connection'), ['close'])
    assert.equal(received, undefined)
  })

  test('refuses it instead of asking for the body with 100', async () => {
    const text = await ask(
      'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 200001\r\n\r\n',
      tooLarge,
    )
    assert.doesNotMatch(text, /100 Continue/)
  })

  test('lets exactly as much pass, with a length and chunked', async () => {
    answers(ok('got it'))
    const body = 'x'.repeat(200_000)
    await ask(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${body}`, /got it$/)
    assert.equal(received?.body.length, 200_000)
    await ask(
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n${body}\r\n0\r\n\r\n`,
      /got it$/,
    )
    assert.equal(received?.body.length, 200_000)
  })

  test('refuses a chunked body as soon as it is more, and cuts the request at the upstream', async () => {
    plane.adopt(oneService(upstream.port, {}, { request_buffering: false }))
    let cut = false
    let bytes = 0
    upstream.serve = (socket) => {
      socket.on('data', (piece: Buffer) => (bytes += piece.length))
      socket.on('close', () => (cut = true)).on('end', () => socket.end())
    }
    const { send, until, closed } = client(plane.port)
    send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let at = 0; at < 60; at++) {
      send(`1000\r\n${'x'.repeat(0x1000)}\r\n`)
      await pause(1)
    }
    await until(tooLarge)
    await closed()
    await pause(20)
    assert.ok(cut && bytes < 202_000, `${bytes} bytes, ${cut ? 'cut' : 'not cut'}`)
    plane.adopt(oneService(upstream.port))
  })

  test('refuses one that is waited for before the upstream hears of it', async () => {
    const before = upstream.connections
    const { send, until } = client(plane.port)
    send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let at = 0; at < 60; at++) {
      send(`1000\r\n${'x'.repeat(0x1000)}\r\n`)
      await pause(1)
    }
    await until(tooLarge)
    assert.equal(upstream.connections, before)
    assert.equal(plane.runtime.spools.spools, 0)
  })

  test('refuses a chunked body within one read', async () => {
    await ask(
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n${'x'.repeat(300_000)}`,
      tooLarge,
    )
  })
})

suite('an answer that comes before the body of its request', () => {
  const inside = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
  const long = 150_000
  const bodies: Readonly<Record<string, readonly [framing: string, body: string, stays: boolean]>> = {
    'leaves the connection of use where the rest is short': [`Content-Length: ${inside.length}`, inside, true],
    'ends the connection where the rest is long': [`Content-Length: ${long}`, inside.padEnd(long), false],
    'ends the connection where nobody knows how long the rest is': [
      'Transfer-Encoding: chunked',
      `${inside.length.toString(16)}\r\n${inside}\r\n0\r\n\r\n`,
      false,
    ],
    'ends the connection where the body waits to be asked for': [
      `Content-Length: ${inside.length}\r\nExpect: 100-continue`,
      inside,
      false,
    ],
  }
  for (const [what, [framing, body, stays]] of Object.entries(bodies)) {
    test(what, async () => {
      let seen = ''
      upstream.serve = onRequests(({ head }, socket) => {
        seen += head
        socket.write(ok('next'))
      })
      answer = { status: 403, body: 'no', headers: {} }
      const { send, socket, text, until, closed } = client(plane.port)
      send(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`)
      await until(/\r\n\r\nno$/)
      answer = undefined
      assert.deepEqual(linesOf(text(), 'connection'), [stays ? 'keep-alive' : 'close'])
      send(body + request('/next'))
      if (stays) await until(/\r\n\r\nnext$/)
      else await closed()
      assert.deepEqual(
        [...text().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
        stays ? ['403', '200'] : ['403'],
      )
      assert.equal(seen.split(' ')[1], stays ? '/next' : undefined)
      socket.destroy()
    })
  }
})
