/** gRPC through the gateway: calls of every kind, by gRPC's own client and server. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import { after, before, test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { errorCode, flag, frameHead, frameType, goAwayFrame, settingsFrame } from '../../src/proxy/http2/frames.ts'
import { encodeField } from '../../src/proxy/http2/hpack.ts'
import { issue } from './certificates.ts'
import { type DataPlane, startDataPlane } from './data-plane.ts'
import { echoClient, startEchoServer, type EchoClient, type EchoServer } from './grpc-echo.ts'
import { requestFrames, wireClient } from './http2-wire.ts'
import { startProcess } from './process.ts'
import { client, pause, request, startUpstream, until } from './sockets.ts'

const authority = issue('Test CA', { signs: true })
const certificate = issue('localhost', { by: authority })

const grpcService = (port: number, protocol = 'grpc', routes: object[] = []) => ({
  services: [
    {
      name: 'echo',
      protocol,
      host: '127.0.0.1',
      port,
      routes: [{ name: 'echo', protocols: ['grpc', 'grpcs'], paths: ['/test.Echo'] }, ...routes],
    },
  ],
})

let server: EchoServer
let plane: DataPlane
let calls: EchoClient

before(async () => {
  server = await startEchoServer()
  plane = await startDataPlane({
    http2: true,
    config: grpcService(server.port, 'grpc', [{ name: 'tls-only', protocols: ['grpcs'], paths: ['/tls.Only'] }]),
    plugins: [
      {
        access: (kong) => {
          if (kong.request.get_header('x-stop') === 'exit') return kong.response.exit(401, { message: 'Unauthorized' })
          if (kong.request.get_header('x-stop') === 'error') return kong.response.error(403, 'not you')
          return undefined
        },
      },
    ],
  })
  calls = echoClient(plane.port)
})
after(() => {
  calls.close()
  plane.close()
  server.server.forceShutdown()
})

test('one message goes there, one comes back, with what is said before and behind them', async () => {
  const { message, code, head, trailers } = await calls.call('unary', 'hello', { 'x-ask': 'please' })
  assert.equal(code, status.OK)
  assert.equal(String(message), 'hello')
  assert.equal(head['x-head'], 'early')
  assert.equal(head['via'], '2 gibbon/0.0.0')
  assert.equal(trailers['x-trailer'], 'late')
  const seen = server.metadata()
  assert.equal(seen['x-ask'], 'please')
  assert.equal(seen['via'], '2 gibbon/0.0.0')
  assert.equal(seen['x-forwarded-for'], '127.0.0.1')
  assert.equal(seen['x-forwarded-path'], '/test.Echo/Unary')
})

test('a status of the application comes as it is', async () => {
  const { code, details, trailers } = await calls.call('fail', '')
  assert.equal(code, status.FAILED_PRECONDITION)
  assert.equal(details, 'not 100 % – yet')
  assert.equal(trailers['x-trailer'], 'late')
})

test('streams flow from the server, from the client, and both ways at once', async () => {
  let got = 0
  for await (const piece of calls.many(3000)) got += piece.length
  assert.equal(got, 3_000_000)
  assert.equal(await calls.gather(Array.from({ length: 300 }, () => Buffer.alloc(10_000))), '3000000')
  const talk = calls.talk()
  for (const word of ['one', 'two', 'three']) {
    talk.write(Buffer.from(word))
    const [answer] = (await once(talk, 'data')) as [Buffer]
    assert.equal(String(answer), word)
  }
  talk.end()
  const [end] = (await once(talk, 'status')) as [{ code: status; metadata: { get(name: string): unknown[] } }]
  assert.equal(end.code, status.OK)
  assert.deepEqual(end.metadata.get('x-trailer'), ['late'])
})

test('many calls share one connection to the upstream', async () => {
  const counted = await startUpstream()
  const real = http2.createServer()
  real.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.on('data', (bytes: Buffer) => stream.write(bytes)).on('end', () => stream.end())
  })
  counted.serve = (socket) => void real.emit('connection', socket)
  const shared = await startDataPlane({ http2: true, config: grpcService(counted.port) })
  const client = echoClient(shared.port)
  const outcomes = await Promise.all(Array.from({ length: 60 }, (_, at) => client.call('unary', `call ${at}`)))
  assert.deepEqual(
    outcomes.map(({ message }) => String(message)),
    outcomes.map((_, at) => `call ${at}`),
  )
  assert.equal(counted.connections, 1)
  client.close()
  shared.close()
  counted.close()
})

test('TLS on both sides, agreed on as h2', async () => {
  const secureServer = await startEchoServer(certificate)
  const secure = await startDataPlane({
    http2: true,
    tls: certificate,
    config: grpcService(secureServer.port, 'grpcs'),
  })
  const client = echoClient(secure.port, authority.cert)
  const { message, code } = await client.call('unary', 'secret')
  assert.equal(code, status.OK)
  assert.equal(String(message), 'secret')
  client.close()
  secure.close()
  secureServer.server.forceShutdown()
})

test('what the gateway itself says is a status of gRPC', async () => {
  const refused = await calls.call('unary', '', { 'x-stop': 'exit' })
  assert.deepEqual([refused.code, refused.details], [status.UNAUTHENTICATED, 'Unauthorized'])
  const forbidden = await calls.call('unary', '', { 'x-stop': 'error' })
  assert.deepEqual([forbidden.code, forbidden.details], [status.PERMISSION_DENIED, 'PermissionDenied'])

  const nowhere = await startDataPlane({ http2: true, config: grpcService(1) })
  const client = echoClient(nowhere.port)
  const down = await client.call('unary', '')
  assert.deepEqual(
    [down.code, down.details],
    [status.INTERNAL, 'An invalid response was received from the upstream server'],
  )
  client.close()
  nowhere.close()
})

/** Headers of the answer to a request by `node:http2`. */
async function headersOf(port: number, headers: http2.OutgoingHttpHeaders): Promise<http2.IncomingHttpHeaders> {
  const session = http2.connect(`http://127.0.0.1:${port}`)
  const stream = session.request(headers).resume()
  const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
  session.destroy()
  return answer
}

test('what does not fit a route of gRPC is told why', async () => {
  const call = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }
  const other = await headersOf(plane.port, { ':path': '/test.Echo/Unary' })
  assert.deepEqual([other[':status'], other['content-type']], [415, 'application/json; charset=utf-8'])
  const noTls = await headersOf(plane.port, { ...call, ':path': '/tls.Only/Unary' })
  assert.deepEqual(
    [noTls[':status'], noTls['grpc-status'], noTls['grpc-message']],
    [200, '1', 'gRPC request matched gRPCs route'],
  )
  const noRoute = await headersOf(plane.port, { ...call, ':path': '/no.Such/Thing' })
  assert.deepEqual(
    [noRoute[':status'], noRoute['grpc-status'], noRoute['grpc-message'], noRoute['content-type']],
    [404, '5', 'NotFound', 'application/grpc'],
  )
  const old = client(plane.port)
  old.send(request('/test.Echo/Unary', 'Content-Type: application/grpc'))
  await old.until(/Please use HTTP2 protocol/)
  assert.match(old.text(), /^HTTP\/1\.1 426 .*\r\nUpgrade: HTTP\/2\r\n/s)
  old.socket.destroy()
})

test('a call ends when its client says so, at the upstream, too', async () => {
  const { code } = await calls.call('never', '', {}, 200)
  assert.equal(code, status.DEADLINE_EXCEEDED)
  await until(
    () => server.cancelled() > 0,
    () => 'the call to be cancelled',
  )
})

test('a client that does not look at its own deadline is told', async () => {
  const wire = wireClient(plane.port)
  wire.send(
    requestFrames(1, '/test.Echo/Never', {
      open: true,
      fields: [
        ['content-type', 'application/grpc'],
        ['te', 'trailers'],
        ['grpc-timeout', '200m'],
      ],
    }) +
      frameHead(5, frameType.data, flag.endStream, 1) +
      '\0\0\0\0\0',
  )
  const answer = await wire.frame(({ type, stream }) => type === frameType.headers && stream === 1, 'the answer')
  assert.equal(answer.flags & flag.endStream, flag.endStream)
  assert.ok(answer.payload.includes('grpc-status\x014'))
  wire.socket.destroy()
})

test('a client may be silent for longer than client_body_timeout once its call is answered', async () => {
  const strict = await startDataPlane({
    http2: true,
    config: grpcService(server.port),
    settings: { client_body_timeout: '100ms', send_timeout: '100ms' },
  })
  const own = echoClient(strict.port)
  const talk = own.talk()
  for (const word of ['one', 'two']) {
    talk.write(Buffer.from(word))
    assert.equal(String((await once(talk, 'data'))[0]), word)
    await pause(400)
  }
  talk.end()
  assert.equal(((await once(talk, 'status')) as [{ code: number }])[0].code, status.OK)
  own.close()
  strict.close()
})

test('calls go on while a server leaves and another takes its place', async () => {
  const upstream = await startUpstream()
  let refusals = 0
  const reply = (stream: number) =>
    [
      [encodeField(':status', '200') + encodeField('content-type', 'application/grpc'), 0],
      [encodeField('grpc-status', '0'), flag.endStream],
    ]
      .map(
        ([block, end]) =>
          frameHead(String(block).length, frameType.headers, flag.endHeaders | Number(end), stream) + String(block),
      )
      .join('')
  upstream.serve = (socket) => {
    const isFirst = upstream.connections === 1
    socket.write(settingsFrame([]))
    let text = ''
    let answered = 0
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1')
      // Each call's message ends its stream.
      const ended = text.split('\x05\x00\x01\x00\x00\x00').length - 1
      for (; answered < ended; answered++) {
        const stream = 2 * answered + 1
        if (!isFirst || stream === 1) socket.write(reply(stream), 'latin1')
        else {
          refusals++
          socket.write(goAwayFrame(1, errorCode.none, ''), 'latin1')
        }
      }
    })
    socket.on('end', () => socket.end())
  }
  const leaving = await startDataPlane({ http2: true, config: grpcService(upstream.port) })
  const client = echoClient(leaving.port)
  for (let count = 0; count < 5; count++) {
    // The first try of the second call is on the connection that is just being given up.
    assert.equal((await client.call('unary', '')).code, status.OK)
  }
  assert.equal(refusals, 1)
  assert.equal(upstream.connections, 2)
  client.close()
  leaving.close()
  upstream.close()
})

test('a call goes to another target where one cannot be reached', async () => {
  const config = {
    upstreams: [{ name: 'echoes', targets: [{ target: '127.0.0.1:1' }, { target: `127.0.0.1:${server.port}` }] }],
    ...grpcService(80),
  }
  const [service] = config.services
  if (service) service.host = 'echoes'
  const balanced = await startDataPlane({ http2: true, config })
  const client = echoClient(balanced.port)
  for (let count = 0; count < 4; count++) {
    const { code, message } = await client.call('unary', `call ${count}`)
    assert.deepEqual([code, String(message)], [status.OK, `call ${count}`])
  }
  client.close()
  balanced.close()
})

const wrong: Readonly<Record<string, string>> = {
  'a head without a status': frames(frameType.headers, flag.endHeaders | flag.endStream, encodeField('x', 'y')),
  'a status that is none': frames(frameType.headers, flag.endHeaders | flag.endStream, encodeField(':status', '20')),
  'a line end in a head': frames(
    frameType.headers,
    flag.endHeaders,
    encodeField(':status', '200') + encodeField('x', 'a\r\nSet-Cookie: evil'),
  ),
  'a connection that is nominated': frames(
    frameType.headers,
    flag.endHeaders,
    encodeField(':status', '200') + encodeField('connection', 'close'),
  ),
  'a change of protocols': frames(frameType.headers, flag.endHeaders, encodeField(':status', '101')),
  'a body before the head': frames(frameType.data, flag.endStream, 'HTTP/1.1 200 OK\r\n\r\n'),
  'words of HTTP/1.1': 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
}

function frames(type: number, flags: number, payload: string): string {
  return settingsFrame([]) + frameHead(payload.length, type, flags, 1) + payload
}

for (const [what, answer] of Object.entries(wrong)) {
  test(`an upstream that answers with ${what} is not believed`, async () => {
    const upstream = await startUpstream()
    upstream.serve = (socket) => {
      socket.once('data', () => socket.write(answer, 'latin1'))
      socket.on('end', () => socket.end())
    }
    const wary = await startDataPlane({ http2: true, config: grpcService(upstream.port) })
    const headers = await headersOf(wary.port, {
      ':path': '/test.Echo/Unary',
      ':method': 'POST',
      'content-type': 'application/grpc',
    })
    assert.deepEqual([headers[':status'], headers['grpc-status'], headers['set-cookie']], [502, '13', undefined])
    wary.close()
    upstream.close()
  })
}

test('a body that is not as long as its head says never reaches a client of HTTP/1.1 as whole', async () => {
  const upstream = await startUpstream()
  const head = encodeField(':status', '200') + encodeField('content-length', '5')
  upstream.serve = (socket) => {
    socket.once('data', () =>
      socket.write(
        frames(frameType.headers, flag.endHeaders, head) +
          frameHead(24, frameType.data, flag.endStream, 1) +
          'helloHTTP/1.1 200 OK\r\n\r\n',
        'latin1',
      ),
    )
    socket.on('end', () => socket.end())
  }
  const config = grpcService(upstream.port)
  const [service] = config.services
  if (service) service.routes = [{ name: 'plain', protocols: ['http'], paths: ['/'] }]
  const wary = await startDataPlane({ http2: true, config })
  const old = client(wary.port)
  old.send(request('/'))
  await old.closed()
  assert.doesNotMatch(old.text(), /\r\n\r\nhelloHTTP/)
  wary.close()
  upstream.close()
})

test('calls are let through by a key, and refused without', async () => {
  const gateway = await startProcess({
    flags: 'http2',
    config: {
      ...grpcService(server.port),
      consumers: [{ username: 'ann', keyauth_credentials: [{ key: 'open-sesame' }] }],
      plugins: [{ name: 'key-auth' }],
    },
  })
  const client = echoClient(gateway.port)
  const without = await client.call('unary', 'hello')
  assert.deepEqual([without.code, without.details], [status.UNAUTHENTICATED, 'Unauthenticated'])
  const withKey = await client.call('unary', 'hello', { apikey: 'open-sesame' })
  assert.deepEqual([withKey.code, String(withKey.message)], [status.OK, 'hello'])
  assert.equal(server.metadata()['x-consumer-username'], 'ann')
  client.close()
  assert.equal(await gateway.stop(), 0)
})
