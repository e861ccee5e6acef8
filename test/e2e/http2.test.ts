/** HTTP/2 from clients: the same road as for HTTP/1.1, and what a connection of many streams brings with it. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http2 from 'node:http2'
import { after, afterEach, before, test } from 'node:test'
import { promisify } from 'node:util'
import {
  errorCode,
  flag,
  frameType,
  pingFrame,
  preface,
  resetFrame,
  settingsFrame,
  windowFrame,
} from '../../src/proxy/http2/frames.ts'
import { issue } from './certificates.ts'
import { type DataPlane, oneService, startDataPlane } from './data-plane.ts'
import { dataFrame, framesOf, requestFrames, wireClient } from './http2-wire.ts'
import {
  client,
  type Client,
  echoTargets,
  ok,
  onRequests,
  request,
  secureClient,
  startUpstream,
  until,
  type Upstream,
} from './sockets.ts'

let plain: DataPlane
let secure: DataPlane
let upstream: Upstream

const plugins = [
  {
    access: (kong: { request: { get_path(): string }; response: { exit(status: number, body: object): object } }) =>
      kong.request.get_path() === '/closed' ? kong.response.exit(401, { message: 'no' }) : undefined,
  },
] as Parameters<typeof startDataPlane>[0]['plugins']

before(async () => {
  upstream = await startUpstream()
  const config = oneService(upstream.port)
  plain = await startDataPlane({ config, http2: true, plugins: plugins ?? [] })
  secure = await startDataPlane({ config, http2: true, tls: issue('localhost') })
})
after(() => {
  plain.close()
  secure.close()
  upstream.close()
})
const sessions: http2.ClientHttp2Session[] = []
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy()
  upstream.cut()
  plain.access.length = 0
})

function connect(
  port: number,
  options: http2.SecureClientSessionOptions = {},
  scheme = 'http',
): http2.ClientHttp2Session {
  const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false, ...options })
  session.on('error', () => {})
  sessions.push(session)
  return session
}

interface Answer {
  readonly headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader
  readonly body: string
  readonly trailers: http2.IncomingHttpHeaders
  readonly interim: number[]
}

/** Sends a request and gathers all of its answer; rejects where the stream is reset. */
async function ask(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string | Buffer,
): Promise<Answer> {
  const stream = session.request(headers, { endStream: body === undefined })
  const interim: number[] = []
  let trailers: http2.IncomingHttpHeaders = {}
  stream.on('headers', (more) => interim.push(Number(more[':status'])))
  stream.on('trailers', (more) => (trailers = more))
  const head = once(stream, 'response') as Promise<[Answer['headers']]>
  if (body !== undefined) stream.end(body)
  const pieces: Buffer[] = []
  const [headersBack] = await head
  for await (const piece of stream) pieces.push(piece as Buffer)
  return { headers: headersBack, body: Buffer.concat(pieces).toString('latin1'), trailers, interim }
}

for (const [name, of] of [
  ['cleartext by prior knowledge', () => [plain, 'http'] as const],
  ['TLS by ALPN', () => [secure, 'https'] as const],
] as const) {
  test(`requests come over ${name}, and HTTP/1.1 beside them`, async () => {
    upstream.serve = onRequests(({ head, body }, socket) => socket.write(ok(`${head.split('\r\n')[0]} ${body}`)))
    const [plane, scheme] = of()
    const session = connect(plane.port, {}, scheme)
    const answers = await Promise.all([
      ask(session, { ':path': '/a?b=c' }),
      ask(session, { ':path': '/b', ':method': 'POST' }, 'hello'),
    ])
    assert.deepEqual(
      answers.map(({ headers, body }) => `${headers[':status']} ${body}`),
      ['200 GET /a?b=c HTTP/1.1 ', '200 POST /b HTTP/1.1 hello'],
    )
    assert.equal(upstream.connections > 0, true)
    const older = await fetchOld(plane.port, scheme)
    assert.match(older, /^HTTP\/1\.1 200 OK\r\n.*GET \/old HTTP\/1\.1/s)
  })
}

async function fetchOld(port: number, scheme: string): Promise<string> {
  const old = scheme === 'http' ? client(port) : secureClient(port, { ALPNProtocols: ['http/1.1'] })
  old.send(request('/old'))
  await old.until(/HTTP\/1\.1 $/)
  old.socket.destroy()
  return old.text()
}

test('a preface that comes byte by byte is one all the same', async () => {
  upstream.serve = echoTargets
  const slow = client(plain.port)
  for (const byte of preface + settingsFrame([]) + requestFrames(1, '/slowly')) {
    slow.send(byte)
    await new Promise(setImmediate)
  }
  await slow.until(/\/slowly$/)
  slow.socket.destroy()
})

test('the upstream sees a request of HTTP/1.1, with what the gateway adds', async () => {
  let seen = ''
  upstream.serve = onRequests(({ head }, socket) => {
    seen = head
    socket.write(ok(''))
  })
  await ask(connect(plain.port), {
    ':path': '/x',
    ':authority': 'api.test:8000',
    cookie: ['a=b', 'c=d'],
    te: 'trailers',
    'x-forwarded-for': '9.9.9.9',
    via: '1.1 other',
  })
  for (const line of [
    'GET /x HTTP/1.1',
    'X-Forwarded-Host: api.test',
    'X-Forwarded-For: 9.9.9.9, 127.0.0.1',
    'Via: 1.1 other, 2 gibbon/0.0.0',
    'TE: trailers',
    'cookie: a=b; c=d',
  ])
    assert.ok(seen.includes(`${line}\r\n`), `${line} in ${seen}`)
  assert.doesNotMatch(seen, /transfer-encoding|http2|^:/im)
})

test('an answer of the upstream loses what speaks of its connection, and keeps the rest', async () => {
  upstream.serve = onRequests((_, socket) => {
    socket.write(
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n' +
        'Trailer: X-Sum\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nX-Upper:  spaced \r\n\r\n' +
        '5\r\nhello\r\n0\r\nX-Sum: 5\r\nAuthorization: no\r\n\r\n',
    )
  })
  const { headers, body, trailers, interim } = await ask(connect(plain.port), { ':path': '/' })
  assert.deepEqual(interim, [103])
  assert.equal(body, 'hello')
  assert.equal(headers['x-upper'], 'spaced')
  assert.deepEqual(headers['set-cookie'], ['a=b', 'c=d'])
  assert.equal(headers['via'], '1.1 gibbon/0.0.0')
  for (const name of ['connection', 'x-hop', 'keep-alive', 'transfer-encoding', 'content-length'])
    assert.equal(headers[name], undefined, name)
  assert.equal(trailers['x-sum'], '5')
  assert.equal(trailers['authorization'], undefined)
})

test('answers without a body have none, and those of the gateway are as over HTTP/1.1', async () => {
  upstream.serve = onRequests(({ head }, socket) => {
    const status = head.startsWith('HEAD') ? '200 OK' : head.includes('/204') ? '204 No Content' : '304 Not Modified'
    socket.write(`HTTP/1.1 ${status}\r\n${status.startsWith('204') ? '' : 'Content-Length: 5\r\n'}\r\n`)
  })
  const session = connect(plain.port)
  const head = await ask(session, { ':path': '/', ':method': 'HEAD' })
  const none = await ask(session, { ':path': '/204' })
  const same = await ask(session, { ':path': '/304' })
  assert.deepEqual(
    [head, none, same].map(({ headers, body }) => [headers[':status'], headers['content-length'], body]),
    [
      [200, '5', ''],
      [204, undefined, ''],
      [304, '5', ''],
    ],
  )
  const closed = await ask(session, { ':path': '/closed' })
  assert.equal(closed.headers[':status'], 401)
  assert.equal(closed.body, '{"message":"no"}')
  assert.equal(closed.headers['content-length'], '16')
  assert.match(String(closed.headers['x-kong-request-id']), /^[0-9a-f]{32}$/)
  const trace = await ask(session, { ':path': '/', ':method': 'TRACE' })
  assert.equal(trace.headers[':status'], 405)
  assert.equal(plain.access.length, 5)
})

test('long bodies pass whole in both directions, in many streams at once', async () => {
  upstream.serve = (socket) => {
    let head = ''
    socket.on('data', (bytes: Buffer) => {
      if (head !== '') return void socket.write(bytes)
      head = bytes.toString('latin1')
      const end = head.indexOf('\r\n\r\n') + 4
      const length = /content-length: (\d+)/i.exec(head)?.[1] ?? ''
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`)
      socket.write(bytes.subarray(Buffer.byteLength(head.slice(0, end), 'latin1')))
    })
  }
  const session = connect(plain.port)
  const bodies = Array.from({ length: 8 }, () => randomBytes(700_000))
  const answers = await Promise.all(
    bodies.map((body) => ask(session, { ':path': '/', ':method': 'PUT', 'content-length': body.length }, body)),
  )
  const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  assert.deepEqual(
    answers.map(({ body }) => sum(Buffer.from(body, 'latin1'))),
    bodies.map(sum),
  )
})

test('hundreds of requests share one connection', async () => {
  upstream.serve = echoTargets
  const session = connect(plain.port)
  const bodies = await Promise.all(
    Array.from({ length: 300 }, async (_, at) => (await ask(session, { ':path': `/${at}` })).body),
  )
  assert.deepEqual(
    bodies,
    bodies.map((_, at) => `/${at}`),
  )
})

test('a client that opens no window holds only its own stream up, and the upstream with it', async () => {
  let sent = 0
  upstream.serve = (socket) => {
    socket.once('data', (bytes: Buffer) => {
      if (!bytes.toString().startsWith('GET /endless')) return void socket.write(ok('quick'))
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n')
      const piece = Buffer.alloc(65_536, 'x')
      const go = () => {
        while (socket.write(piece)) sent += piece.length
      }
      socket.on('drain', go)
      go()
    })
    socket.on('end', () => socket.destroy())
  }
  const wire = wireClient(plain.port)
  wire.send(requestFrames(1, '/endless'))
  await until(
    () =>
      wire.frames().reduce((sum, { type, payload }) => sum + (type === frameType.data ? payload.length : 0), 0) ===
      65_535,
    () => 'all that the window lets through',
  )
  // The upstream is not read on for nothing; what the kernels hold between them is not the gateway's.
  await until(
    () => sent > 0,
    () => 'the upstream to send',
  )
  wire.send(windowFrame(0, 100) + requestFrames(3, '/quick'))
  await wire.frame(({ stream, payload }) => stream === 3 && payload === 'quick', 'the other answer')
  const before = sent
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.ok(sent - before < 1_000_000)
  wire.send(windowFrame(1, 10))
  await wire.frame(({ stream, payload }) => stream === 1 && payload === 'x'.repeat(10), 'ten bytes more')
  wire.socket.destroy()
  await until(
    () => upstream.sockets.size <= 1,
    () => 'the upstream connection to be closed',
  )
})

test('a response that breaks off resets its stream, and no other', async () => {
  upstream.serve = onRequests(({ head }, socket) => {
    if (head.includes('/broken')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    else socket.write(ok('whole'))
  })
  const session = connect(plain.port)
  const broken = ask(session, { ':path': '/broken' })
  await assert.rejects(broken, /NGHTTP2_INTERNAL_ERROR/)
  assert.equal((await ask(session, { ':path': '/' })).body, 'whole')
})

test('a request that its client gives up is given up at the upstream, and logged as 499', async () => {
  let arrived = false
  upstream.serve = (socket) => void socket.once('data', () => (arrived = true)).on('end', () => socket.end())
  const stream = connect(plain.port).request({ ':path': '/given-up' })
  stream.on('error', () => {})
  await until(
    () => arrived,
    () => 'the request',
  )
  stream.close(http2.constants.NGHTTP2_CANCEL)
  await until(
    () => upstream.sockets.size === 0,
    () => 'the upstream connection to be closed',
  )
  await until(
    () => plain.access.some(({ status, path }) => status === 499 && path === '/given-up'),
    () => 'the line of the log',
  )
})

test('an answer may come before the request is complete; the rest is then not wanted', async () => {
  upstream.serve = echoTargets
  const wire = wireClient(plain.port)
  wire.send(requestFrames(1, '/closed', { open: true }) + dataFrame(1, 'some'))
  await wire.frame(({ type, payload }) => type === frameType.data && payload.includes('no'), 'the answer')
  const reset = await wire.frame(({ type }) => type === frameType.reset, 'RST_STREAM')
  assert.equal(reset.payload.charCodeAt(3), errorCode.none)
  // What was on its way does no harm.
  wire.send(dataFrame(1, 'more') + requestFrames(3, '/next'))
  await wire.frame(({ stream, payload }) => stream === 3 && payload === '/next', 'the next answer')
  wire.socket.destroy()
})

test('bodies beyond the bound are 413, heads beyond theirs 400, and both leave the connection of use', async () => {
  const small = await startDataPlane({
    config: oneService(upstream.port),
    http2: true,
    settings: { client_max_body_size: '10' },
  })
  upstream.serve = echoTargets
  const session = connect(small.port)
  const told = await ask(session, { ':path': '/', ':method': 'POST', 'content-length': 11 }, 'hello world')
  const untold = await ask(session, { ':path': '/', ':method': 'POST' }, 'hello world')
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`x-${at}`, 'y']))
  const long = await ask(session, { ':path': '/', 'x-long': 'y'.repeat(40_000) })
  const statuses = [told, untold, await ask(session, { ':path': '/', ...many }), long].map(
    ({ headers }) => headers[':status'],
  )
  assert.deepEqual(statuses, [413, 413, 400, 400])
  assert.equal((await ask(session, { ':path': '/still' })).body, '/still')
  small.close()
})

test('a body that is not as long as it was said is no request', async () => {
  let seen = ''
  upstream.serve = (socket) => void socket.on('data', (bytes: Buffer) => (seen += bytes.toString('latin1')))
  const fields = [['content-length', '5']] as const
  const wire = wireClient(plain.port)
  wire.send(requestFrames(1, '/', { open: true, fields }) + dataFrame(1, 'hello GET /smuggled'))
  wire.send(requestFrames(3, '/', { open: true, fields }) + dataFrame(3, 'four', flag.endStream))
  for (const stream of [1, 3]) {
    const reset = await wire.frame((one) => one.type === frameType.reset && one.stream === stream, 'RST_STREAM')
    assert.equal(reset.payload.charCodeAt(3), errorCode.protocol)
  }
  assert.doesNotMatch(seen, /smuggled/)
  wire.socket.destroy()
})

test('no more streams are open at once than allowed, nor more than there may be connections', async () => {
  const few = await startDataPlane({
    config: oneService(upstream.port),
    http2: true,
    settings: { http2_max_concurrent_streams: '3', max_connections: '6' },
  })
  upstream.serve = () => {}
  const refused = (wire: ReturnType<typeof wireClient>, stream: number) =>
    wire.frame(
      (one) =>
        one.type === frameType.reset && one.stream === stream && one.payload.charCodeAt(3) === errorCode.refusedStream,
      'REFUSED_STREAM',
    )
  const [one, other] = [wireClient(few.port), wireClient(few.port)]
  one.send([1, 3, 5, 7].map((stream) => requestFrames(stream, '/')).join(''))
  await refused(one, 7)
  // Two connections and three streams leave room for one.
  other.send([1, 3].map((stream) => requestFrames(stream, '/')).join(''))
  await refused(other, 3)
  assert.equal(few.runtime.openStreams, 4)
  one.socket.destroy()
  await until(
    () => few.runtime.openStreams === 1,
    () => 'the streams to be gone',
  )
  few.close()
})

test('a stream that was never open is not reset: what is wrong about it ends the connection', async () => {
  const wire = wireClient(plain.port)
  wire.send('\0\0\x05\x02\0\0\0\0\x03\0\0\0\x03\x10')
  await wire.goAway(errorCode.protocol)
  assert.ok(!wire.frames().some(({ type }) => type === frameType.reset))
})

const floods: Readonly<Record<string, (at: number) => string>> = {
  pings: () => pingFrame(0, '12345678'),
  settings: () => settingsFrame([[3, 100]]),
  'windows opened by a little': () => windowFrame(0, 1),
  'priorities of the old kind': () => '\0\0\x05\x02\0\0\0\0\x01\0\0\0\0\x10',
  'frames that nobody knows': () => '\0\0\x01\xfa\0\0\0\0\0x',
  'empty body frames': (at) => (at === 0 ? requestFrames(1, '/held', { open: true }) : dataFrame(1, '')),
  'streams that are given up at once': (at) =>
    requestFrames(2 * at + 1, '/held') + resetFrame(2 * at + 1, errorCode.cancel),
  'streams that break a rule': (at) => requestFrames(2 * at + 1, 'no-path'),
}

for (const [what, frames] of Object.entries(floods)) {
  test(`a flood of ${what} ends the connection`, async () => {
    upstream.serve = onRequests(({ head }, socket) => {
      if (!head.includes('/held')) socket.write(ok('served'))
    })
    const wire = wireClient(plain.port)
    for (let at = 0; at < 3000 && !wire.socket.destroyed; at++) {
      wire.send(frames(at))
      if (at % 100 === 0) await new Promise(setImmediate)
    }
    await wire.goAway(errorCode.enhanceYourCalm)
    await wire.closed()
    assert.equal((await ask(connect(plain.port), { ':path': '/' })).body, 'served')
  })
}

test('what a client may take its time for has an end', async () => {
  const short = await startDataPlane({
    config: oneService(upstream.port),
    http2: true,
    settings: {
      client_header_timeout: '100ms',
      client_body_timeout: '100ms',
      keepalive_timeout: '100ms',
      send_timeout: '100ms',
    },
  })
  upstream.serve = onRequests(({ head }, socket) => {
    if (head.includes('/long')) socket.write(ok('x'.repeat(100_000)))
  })
  const silent = client(short.port)
  const idle = wireClient(short.port)
  const slowHead = wireClient(short.port)
  const slowBody = wireClient(short.port)
  const slowReader = wireClient(short.port)
  slowHead.send(requestFrames(1, '/for-ever') + '\0\0\x01\x01\0\0\0\0\x03\x82')
  slowBody.send(requestFrames(1, '/', { open: true }))
  slowReader.send(requestFrames(1, '/long'))
  await silent.closed()
  await idle.goAway(errorCode.none)
  await idle.closed()
  await slowHead.goAway(errorCode.enhanceYourCalm)
  await slowBody.frame(({ payload }) => payload.includes('Request timeout'), '408')
  const reset = await slowReader.frame(({ type }) => type === frameType.reset, 'RST_STREAM')
  assert.equal(reset.payload.charCodeAt(3), errorCode.cancel)
  short.close()
})

test('a connection is ended after its time or its requests, and loses none', async () => {
  const short = await startDataPlane({
    config: oneService(upstream.port),
    http2: true,
    settings: { keepalive_requests: '50' },
  })
  upstream.serve = echoTargets
  let session = connect(short.port)
  let opened = 1
  const bodies: string[] = []
  for (let at = 0; at < 120; at++) {
    if (session.closed || session.destroyed) {
      session = connect(short.port)
      opened++
    }
    bodies.push((await ask(session, { ':path': `/${at}` })).body)
  }
  assert.deepEqual(
    bodies,
    bodies.map((_, at) => `/${at}`),
  )
  assert.ok(opened >= 3, String(opened))
  short.close()
})

test('a connection that has had its time is told so during a long request, which is finished, and where it is idle', async () => {
  let go: (() => void) | undefined
  upstream.serve = onRequests((_, socket) => (go = () => socket.write(ok('finished'))))
  const short = await startDataPlane({
    config: oneService(upstream.port),
    http2: true,
    settings: { http2_connection_time: '300ms' },
  })
  const [busy, idle] = [connect(short.port), connect(short.port)]
  const closed = [busy, idle].map((session) => once(session, 'close'))
  const goAways = [busy, idle].map((session) => once(session, 'goaway'))
  const answer = ask(busy, { ':path': '/' })
  await until(
    () => go !== undefined,
    () => 'the request',
  )
  await Promise.all([...goAways, closed[1]])
  go?.()
  assert.equal((await answer).body, 'finished')
  await closed[0]
  short.close()
})

test('a gateway that stops tells its clients, and finishes what is under way', async () => {
  let go: (() => void) | undefined
  upstream.serve = onRequests((_, socket) => (go = () => socket.write(ok('finished'))))
  const stopping = await startDataPlane({ config: oneService(upstream.port), http2: true })
  const busy = connect(stopping.port)
  const idle = connect(stopping.port)
  await once(idle, 'connect')
  const told = Promise.all([once(busy, 'goaway'), once(idle, 'goaway')])
  const answer = ask(busy, { ':path': '/' })
  await until(
    () => go !== undefined,
    () => 'the request',
  )
  const drained = stopping.listener.drain()
  await told
  await once(idle, 'close')
  go?.()
  assert.equal((await answer).body, 'finished')
  await drained
  stopping.close()
})

test('whoever has agreed on HTTP/2 with a gateway that stops is told, and may still ask', async () => {
  upstream.serve = echoTargets
  const stopping = await startDataPlane({ config: oneService(upstream.port), http2: true, tls: issue('localhost') })
  const [silent, late] = [0, 1].map(() => secureClient(stopping.port, { ALPNProtocols: ['h2'] })) as [Client, Client]
  await Promise.all([silent, late].map(({ socket }) => once(socket, 'secureConnect')))
  await until(
    () => stopping.runtime.stats.active === 2,
    () => 'both connections',
  )
  const drained = stopping.listener.drain()
  late.send(preface + settingsFrame([]) + requestFrames(1, '/late'))
  await late.until(/\/late/)
  await drained
  for (const { text } of [silent, late]) {
    const goAways = framesOf(text()).filter(({ type }) => type === frameType.goAway)
    assert.deepEqual(
      goAways.map(({ payload }) => payload.slice(0, 8)),
      ['\x7f\xff\xff\xff\0\0\0\0', `\0\0\0${text === late.text ? '\x01' : '\0'}\0\0\0\0`],
    )
  }
  stopping.close()
})

test('curl speaks HTTP/2 with it', async (t) => {
  const version = spawnSync('curl', ['--version'])
  if (version.error || !version.stdout.includes('HTTP2')) return t.skip('there is no curl with HTTP/2')
  upstream.serve = onRequests(({ body }, socket) => socket.write(ok(`got ${body.length}`)))
  const curl = (...args: readonly string[]) =>
    promisify(execFile)('curl', ['--silent', '--insecure', '--write-out', ' %{http_version}', ...args])
  const over = await Promise.all([
    curl('--http2-prior-knowledge', `http://127.0.0.1:${plain.port}/`, '--data-raw', 'x'.repeat(5000)),
    curl('--http2', `https://127.0.0.1:${secure.port}/`, '--data-raw', 'x'.repeat(5000)),
  ])
  assert.deepEqual(
    over.map(({ stdout }) => stdout),
    ['got 5000 2', 'got 5000 2'],
  )
})

// What h2spec expects and is not so, with the reason.
const exceptions: readonly string[] = [
  // On a plain port HTTP/1.1 is spoken, too: what is not HTTP/2 is answered 400 in its words, and then closed.
  'Sends invalid connection preface',
]

test('h2spec finds nothing wrong', async (t) => {
  const h2spec = process.env['GIBBON_H2SPEC'] ?? 'h2spec'
  if (spawnSync(h2spec, ['--version']).error) return t.skip('h2spec is not there: its path goes in GIBBON_H2SPEC')
  upstream.serve = onRequests((_, socket) => socket.write(ok('some bytes for windows of a few')))
  const run = (...args: readonly string[]) =>
    promisify(execFile)(h2spec, ['--host', '127.0.0.1', '--timeout', '60', ...args], { maxBuffer: 1 << 24 }).then(
      ({ stdout }) => stdout,
      ({ stdout }: { stdout: string }) => stdout,
    )
  const failures = (report: string) => {
    const [, failed = ''] = report.split('Failures:')
    return [...failed.matchAll(/× \d+: (.*)/g)]
      .map(([, name]) => name ?? '')
      .filter((name) => !exceptions.includes(name))
  }
  for (const report of [
    await run('--port', String(plain.port)),
    await run('--port', String(secure.port), '--tls', '--insecure'),
  ]) {
    assert.deepEqual(failures(report), [])
    assert.match(report.split('Finished')[1] ?? report.slice(-400), /145 tests, 14[45] passed/)
  }
})
