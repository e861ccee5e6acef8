/** Streams of TLS: passed through unread, or ended here by the server name's certificate, and begun anew towards upstreams. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test, type TestContext } from 'node:test'
import tls from 'node:tls'
import { issue } from './certificates.ts'
import { client, secureClient, startUpstream, until, type Upstream } from './sockets.ts'
import { startStreamPlane, type StreamPlane } from './stream-plane.ts'

const authority = issue('Authority', { signs: true })
const own = issue('default.test', { by: authority })
const shop = issue('shop.test', { by: authority })
const inner = issue('inner.test', { by: authority })

const route = (name: string, protocols: readonly string[], snis: readonly string[], rest: object = {}) => ({
  name,
  protocols,
  snis,
  ...rest,
})
const service = (name: string, protocol: string, port: number, routes: readonly object[], rest: object = {}) => ({
  name,
  protocol,
  host: '127.0.0.1',
  port,
  routes,
  ...rest,
})
const stored = ({ cert, key }: { cert: string; key: string }, ...snis: string[]) => ({
  cert,
  key,
  snis: snis.map((name) => ({ name })),
})

async function planeWith(
  t: TestContext,
  config: object,
  options: Partial<Parameters<typeof startStreamPlane>[0]> = {},
): Promise<StreamPlane> {
  const plane = await startStreamPlane({ config, tls: own, ca: authority.cert, ...options })
  t.after(() => plane.close())
  return plane
}

async function upstreamThat(t: TestContext, serve: Upstream['serve'], secure?: tls.TlsOptions): Promise<Upstream> {
  const upstream = await startUpstream(secure)
  upstream.serve = serve
  t.after(() => upstream.close())
  return upstream
}

const echo: Upstream['serve'] = (socket) => void socket.pipe(socket)
const checking = (servername: string, rest: tls.ConnectionOptions = {}): tls.ConnectionOptions => ({
  servername,
  rejectUnauthorized: true,
  ca: authority.cert,
  ...rest,
})

/** The common name of the certificate that a client of this server name is shown. */
async function shownTo(port: number, servername: string): Promise<string> {
  const { socket, closed } = secureClient(port, { servername })
  await once(socket, 'secureConnect')
  const { subject } = (socket as tls.TLSSocket).getPeerCertificate()
  socket.end()
  await closed()
  return String(subject.CN)
}

test('tls_passthrough: the client checks the certificate of the upstream itself, in either version of TLS', async (t) => {
  const upstream = await upstreamThat(t, echo, { cert: inner.cert, key: inner.key })
  const plane = await planeWith(t, {
    services: [service('in', 'tcp', upstream.port, [route('in', ['tls_passthrough'], ['inner.test', '*.wild.test'])])],
  })
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const one = secureClient(plane.port, checking('inner.test', { minVersion: version, maxVersion: version }))
    one.send('through')
    await one.until(/^through$/)
    one.socket.end()
    await one.closed()
  }
  await until(
    () => plane.access.length === 2,
    () => 'both lines',
  )
  const [entry] = plane.access
  assert.deepEqual([entry?.protocol, entry?.serverName, entry?.status], ['tls_passthrough', 'inner.test', 200])
  assert.equal(await shownTo(plane.port, 'INNER.test'), 'inner.test')
  assert.equal(await shownTo(plane.port, 'a.wild.test'), 'inner.test')
  // The upstream's own certificate is not for this name, and the gateway has not hidden that.
  const wrong = secureClient(plane.port, checking('b.wild.test'))
  assert.match(
    String(await new Promise((resolve) => wrong.socket.once('error', resolve))),
    /ERR_TLS_CERT_ALTNAME_INVALID|altnames/,
  )
})

test('tls: it ends here with the certificate of the server name, and the upstream gets what was inside', async (t) => {
  const upstream = await upstreamThat(t, echo)
  const plane = await planeWith(t, {
    certificates: [stored(shop, 'shop.test')],
    services: [service('in', 'tcp', upstream.port, [route('in', ['tls'], ['shop.test', 'other.test'])])],
  })
  const one = secureClient(plane.port, checking('shop.test'))
  one.send('inside')
  await one.until(/^inside$/)
  one.socket.end()
  await one.closed()
  assert.equal(await shownTo(plane.port, 'other.test'), 'default.test')
  await until(
    () => plane.access.length === 2,
    () => 'both lines',
  )
  assert.deepEqual(
    [plane.access[0]?.protocol, plane.access[0]?.serverName, plane.access[0]?.received],
    ['tls', 'shop.test', 6],
  )
})

test('half an end inside of TLS is passed on, and the answer to it comes back', async (t) => {
  const upstream = await upstreamThat(
    t,
    (socket) => {
      let text = ''
      socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
      socket.on('end', () => socket.end(`got ${text}`))
    },
    { cert: inner.cert, key: inner.key },
  )
  const plane = await planeWith(t, {
    services: [service('in', 'tls', upstream.port, [route('in', ['tls'], ['shop.test'])])],
  })
  const one = secureClient(plane.port, { servername: 'shop.test', allowHalfOpen: true } as tls.ConnectionOptions)
  one.socket.end('a question')
  await one.until(/^got a question$/)
  await one.closed()
})

test('towards an upstream: its certificate is checked where tls_verify says so, and the name asked for is the host', async (t) => {
  const names: (string | false)[] = []
  const upstream = await upstreamThat(
    t,
    (socket) => {
      names.push((socket as tls.TLSSocket & { servername: string | false }).servername)
      socket.pipe(socket)
    },
    { cert: inner.cert, key: inner.key },
  )
  const other = issue('Another authority', { signs: true })
  const at = (rest: object, preserve_host = false) => ({
    ca_certificates: [
      { id: '5ce5e0d6-0000-4000-8000-000000000001', cert: authority.cert },
      { id: '5ce5e0d6-0000-4000-8000-000000000002', cert: other.cert },
    ],
    upstreams: [{ name: 'group', host_header: 'inner.test', targets: [{ target: `127.0.0.1:${upstream.port}` }] }],
    services: [
      service('in', 'tls', upstream.port, [route('in', ['tls'], ['shop.test'], { preserve_host })], {
        host: 'group',
        retries: 0,
        ...rest,
      }),
    ],
  })
  const plane = await planeWith(t, at({ tls_verify: true }), {})
  const one = secureClient(plane.port, { servername: 'shop.test' })
  one.send('x')
  await one.until(/^x$/)
  one.socket.destroy()

  plane.plane.adopt(at({ tls_verify: true, ca_certificates: ['5ce5e0d6-0000-4000-8000-000000000002'] }))
  const refused = secureClient(plane.port, { servername: 'shop.test' })
  await refused.closed()
  await until(
    () => plane.access.some(({ status }) => status === 502),
    () => 'the refusal',
  )
  plane.plane.adopt(at({ tls_verify: true, ca_certificates: ['5ce5e0d6-0000-4000-8000-000000000001'] }))
  const second = secureClient(plane.port, { servername: 'shop.test' })
  second.send('y')
  await second.until(/^y$/)
  second.socket.destroy()

  plane.plane.adopt(at({ tls_verify: false }, true))
  const third = secureClient(plane.port, { servername: 'shop.test' })
  third.send('z')
  await third.until(/^z$/)
  third.socket.destroy()
  assert.deepEqual(names, ['inner.test', 'inner.test', 'shop.test'])
})

test("a service's client certificate is presented", async (t) => {
  const upstream = await upstreamThat(
    t,
    (socket) => void socket.end(String((socket as tls.TLSSocket).getPeerCertificate().subject.CN)),
    { cert: inner.cert, key: inner.key, requestCert: true, rejectUnauthorized: true, ca: authority.cert },
  )
  const id = '5ce5e0d6-0000-4000-8000-000000000003'
  const plane = await planeWith(t, {
    certificates: [{ id, cert: shop.cert, key: shop.key }],
    services: [
      service('in', 'tls', upstream.port, [route('in', ['tls'], ['shop.test'])], { client_certificate: { id } }),
    ],
  })
  await secureClient(plane.port, { servername: 'shop.test' }).until(/^shop\.test$/)
})

test('a plain route is not met over TLS, nor one of TLS by a plain connection', async (t) => {
  const upstream = await upstreamThat(t, (socket) => void socket.end('met'))
  const config = (protocols: readonly string[]) => ({
    services: [service('in', 'tcp', upstream.port, [{ name: 'in', protocols, sources: [{ ip: '127.0.0.1' }] }])],
  })
  const secure = await planeWith(t, config(['tcp']))
  await secureClient(secure.port, { servername: 'shop.test' }).closed()
  const plain = await startStreamPlane({ config: config(['tls']) })
  t.after(() => plain.close())
  await client(plain.port).closed()
  assert.equal(upstream.connections, 0)
  for (const plane of [secure, plain]) plane.plane.adopt(config(['tcp', 'tls']))
  await secureClient(secure.port, { servername: 'shop.test' }).until(/^met$/)
  await client(plain.port).until(/^met$/)
})

test('what does not begin with a whole hello reaches nobody', async (t) => {
  const upstream = await upstreamThat(t, echo)
  const plane = await planeWith(
    t,
    { services: [service('in', 'tcp', upstream.port, [route('in', ['tls_passthrough'], ['inner.test'])])] },
    { settings: { client_header_timeout: '300ms' } },
  )
  for (const bytes of [
    'GET / HTTP/1.1\r\n\r\n',
    '\x16\x03\x01\x00\x04\x02\x00\x00\x00',
    '\x16\x03\x01\xff\xff',
    '\0',
  ]) {
    const one = client(plane.port)
    one.send(bytes)
    await one.closed()
  }
  await until(
    () => plane.access.length === 4,
    () => 'four lines',
  )
  assert.deepEqual(
    new Set(plane.access.map(({ status, reason }) => `${status} ${reason}`)),
    new Set(['400 no TLS where it was due']),
  )
  // Half a hello is waited for, but not for ever.
  const slow = client(plane.port)
  slow.send('\x16\x03\x01\x00\xf0\x01')
  await slow.closed()
  const unknown = secureClient(plane.port, { servername: 'unknown.test' })
  await unknown.closed()
  const nameless = secureClient(plane.port)
  await nameless.closed()
  await until(
    () => plane.access.length === 6,
    () => 'two more lines',
  )
  for (const { status } of plane.access.slice(4)) assert.equal(status, 500)
  assert.equal(upstream.connections, 0)
})

test('a handshake that is not finished leaves a line, too', async (t) => {
  const plane = await planeWith(t, { services: [service('in', 'tcp', 1, [route('in', ['tls'], ['shop.test'])])] })
  const one = secureClient(plane.port, {
    servername: 'shop.test',
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_CCM_SHA256',
  })
  await one.closed()
  await until(
    () => plane.access.length === 1,
    () => 'its line',
  )
  assert.deepEqual([plane.access[0]?.status, plane.access[0]?.reason], [400, 'the TLS handshake was not finished'])
  assert.equal(plane.plane.runtime.stats.active, 0)
})

test('a PROXY header before TLS names the client', async (t) => {
  const upstream = await upstreamThat(t, echo, { cert: inner.cert, key: inner.key })
  const plane = await planeWith(
    t,
    { services: [service('in', 'tcp', upstream.port, [route('in', ['tls_passthrough'], ['inner.test'])])] },
    { proxyProtocol: true, settings: { trusted_ips: '127.0.0.1' } },
  )
  const socket = net.connect({ port: plane.port, host: '127.0.0.1' })
  socket.write('PROXY TCP4 198.51.100.7 203.0.113.1 4711 443\r\n')
  const secure = tls.connect({ socket, ...checking('inner.test') })
  secure.write('x')
  assert.equal(String((await once(secure, 'data'))[0]), 'x')
  secure.end()
  await until(
    () => plane.access.length === 1,
    () => 'its line',
  )
  assert.equal(plane.access[0]?.client, '198.51.100.7')
})

test('many bytes pass through TLS that ends here and begins anew', async (t) => {
  const upstream = await upstreamThat(t, echo, { cert: inner.cert, key: inner.key })
  const plane = await planeWith(t, {
    services: [service('in', 'tls', upstream.port, [route('in', ['tls'], ['shop.test'])])],
  })
  const { socket } = secureClient(plane.port, { servername: 'shop.test' })
  const size = 2 * 1024 * 1024
  let got = 0
  socket.on('data', (bytes: Buffer) => (got += bytes.length))
  socket.write(Buffer.alloc(size, 7))
  await until(
    () => got === size,
    () => `all bytes, not ${got}`,
  )
  socket.destroy()
})
