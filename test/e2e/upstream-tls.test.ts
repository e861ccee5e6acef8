/** Services over https: whom the gateway believes, what it shows of itself, and what it asks for. */
import assert from 'node:assert/strict'
import type net from 'node:net'
import { afterEach, beforeEach, suite, test } from 'node:test'
import type tls from 'node:tls'
import { issue, type Issued } from './certificates.ts'
import { type DataPlane, startDataPlane } from './data-plane.ts'
import { client, ok, onRequests, request, secureClient, startUpstream, type Upstream } from './sockets.ts'

const authority = issue('authority.test', { signs: true })
const between = issue('between.test', { by: authority, signs: true })
const deeper = issue('deeper.test', { by: between, signs: true })
const other = issue('other-authority.test', { signs: true })
const localhost = issue('localhost', { by: authority })
const underTwo = issue('localhost', { by: deeper })
const stranger = issue('stranger.test', { by: authority })
const gatewayItself = issue('gateway.test', { by: authority })

const chain = (...links: readonly Issued[]) => links.map(({ cert }) => cert).join('')
const authorityId = '00000000-0000-4000-8000-000000000001'
const otherId = '00000000-0000-4000-8000-000000000002'
const certificateId = '00000000-0000-4000-8000-000000000003'

const trusting = { tls_verify: true, ca_certificates: [authorityId] }

/** A gateway before one https service; gives the answer's first line and what the upstream got. */
async function ask(service: object, upstreamTls: tls.TlsOptions, route: object = {}, lines: readonly string[] = []) {
  const upstream = await startUpstream(upstreamTls)
  const plane = await startDataPlane({
    config: config(upstream.port, service, route),
    settings: { error_default_type: 'text/plain' },
  })
  let bytes = 0
  const seen: { head: string; name: string | false | null; client: string | undefined }[] = []
  upstream.serve = (socket) => {
    socket.on('data', (piece: Buffer) => (bytes += piece.length))
    onRequests(({ head }) => {
      const secure = socket as tls.TLSSocket
      seen.push({ head, name: secure.servername, client: secure.getPeerCertificate().subject?.CN?.toString() })
      socket.write(ok('hello'))
    })(socket)
  }
  try {
    const { send, socket, text, until } = client(plane.port)
    send(request('/', ...lines))
    await until(/\r\n\r\n[^]*(hello|request_id)/)
    socket.destroy()
    return { status: text().slice(9, 12), bytes, seen, log: plane.log.join('\n') }
  } finally {
    plane.close()
    upstream.close()
  }
}

const config = (port: number, service: object, route: object) => ({
  ca_certificates: [
    { id: authorityId, cert: authority.cert },
    { id: otherId, cert: other.cert },
  ],
  certificates: [{ id: certificateId, cert: gatewayItself.cert, key: gatewayItself.key }],
  services: [
    {
      name: 'up',
      protocol: 'https',
      host: 'localhost',
      port,
      retries: 0,
      ...service,
      routes: [
        {
          name: 'all',
          paths: ['/'],
          ...route,
        },
      ],
    },
  ],
})

suite('whom the gateway believes', () => {
  const cases: Readonly<Record<string, readonly [service: object, upstream: tls.TlsOptions, status: string]>> = {
    'anybody, where tls_verify is null': [{}, issue('whoever.test'), '200'],
    'anybody, where tls_verify is false': [{ tls_verify: false }, issue('whoever.test'), '200'],
    'its authority, where tls_verify is true': [trusting, localhost, '200'],
    'not a certificate of its own making': [{ ...trusting }, issue('localhost'), '502'],
    'not another authority': [{ tls_verify: true, ca_certificates: [otherId] }, localhost, '502'],
    'one of several authorities': [{ tls_verify: true, ca_certificates: [otherId, authorityId] }, localhost, '200'],
    'nobody the system does not know, where no authority is named': [{ tls_verify: true }, localhost, '502'],
    'not the certificate of another name': [trusting, stranger, '502'],
    'a chain as long as tls_verify_depth': [
      { ...trusting, tls_verify_depth: 2 },
      { key: underTwo.key, cert: chain(underTwo, deeper, between) },
      '200',
    ],
    'not a longer one': [
      { ...trusting, tls_verify_depth: 1 },
      { key: underTwo.key, cert: chain(underTwo, deeper, between) },
      '502',
    ],
    'not one with a link missing': [trusting, { key: underTwo.key, cert: chain(underTwo, deeper) }, '502'],
  }
  for (const [what, [service, upstream, status]] of Object.entries(cases)) {
    test(what, async () => {
      const found = await ask(service, upstream)
      assert.equal(found.status, status)
      if (status === '200') return
      assert.equal(found.bytes, 0, 'nothing of the request may reach who is not believed')
      assert.match(found.log, /no TLS with 127\.0\.0\.1:\d+ \(localhost\): \S+/)
    })
  }
})

test('the handshake asks for the name of the service, or of the client where the route preserves it', async () => {
  const { seen } = await ask({}, localhost)
  assert.deepEqual(
    [seen[0]?.name, /\r\nHost: (\S+)/.exec(seen[0]?.head ?? '')?.[1]?.replace(/\d+$/, '')],
    ['localhost', 'localhost:'],
  )
  const preserved = await ask({}, localhost, { preserve_host: true })
  assert.deepEqual(
    [preserved.seen[0]?.name, /\r\nHost: (\S+)/.exec(preserved.seen[0]?.head ?? '')?.[1]],
    ['a.test', 'a.test'],
  )
  assert.equal((await ask({ host: '127.0.0.1' }, localhost)).seen[0]?.name, false)
})

test('where the name of the client is preserved, the certificate must be for it', async () => {
  const service = { ...trusting, host: '127.0.0.1' }
  assert.equal((await ask(service, stranger, { preserve_host: true })).status, '502')
  assert.equal((await ask(service, issue('a.test', { by: authority }), { preserve_host: true })).status, '200')
})

test('a service that asks for a certificate is shown client_certificate', async () => {
  const asking = { ...localhost, requestCert: true, rejectUnauthorized: true, ca: authority.cert }
  const shown = await ask({ client_certificate: { id: certificateId } }, asking)
  assert.deepEqual([shown.status, shown.seen[0]?.client], ['200', 'gateway.test'])
  assert.equal((await ask({}, asking)).status, '502')
})

suite('connections over TLS', () => {
  let upstream: Upstream
  let plane: DataPlane
  let resumed: boolean[]

  beforeEach(async () => {
    resumed = []
    upstream = await startUpstream(localhost)
    upstream.serve = (socket) => {
      resumed.push((socket as tls.TLSSocket).isSessionReused())
      onRequests(({ head }, socket) => {
        socket.write(
          head.includes('/close') ? `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx` : ok('x'),
        )
      })(socket)
    }
    plane = await startDataPlane({ config: config(upstream.port, trusting, { preserve_host: true }) })
  })
  afterEach(() => {
    plane.close()
    upstream.close()
  })

  async function askOn(path: string, host: string): Promise<void> {
    const { send, socket, until } = client(plane.port)
    send(request(path).replace('a.test', host))
    await until(/\r\n\r\n(x|[^]*request_id)/)
    socket.destroy()
  }

  test('are kept and used again, and a new one resumes the session', async () => {
    await askOn('/', 'localhost')
    await askOn('/', 'localhost')
    await askOn('/close', 'localhost')
    await askOn('/', 'localhost')
    assert.deepEqual(resumed, [false, true])
  })

  test('for one name never carry requests for another', async () => {
    plane.adopt(config(upstream.port, {}, { preserve_host: true }))
    await askOn('/', 'localhost')
    await askOn('/', 'else.test')
    assert.equal(upstream.connections, 2)
  })

  test('waiting for names that clients made up are bounded', async () => {
    plane.adopt(config(upstream.port, {}, { preserve_host: true }))
    for (let at = 0; at < 200; at++) await askOn('/', `made-up-${at}.test`)
    assert.equal(upstream.connections, 200)
    const open = [...upstream.sockets].filter((socket: net.Socket) => !socket.readableEnded && !socket.destroyed)
    assert.ok(open.length <= 130, `${open.length} connections`)
  })
})

test('a request over TLS on both sides is proxied whole, and large', async () => {
  const upstream = await startUpstream(localhost)
  const plane = await startDataPlane({ config: config(upstream.port, trusting, {}), tls: localhost })
  upstream.serve = onRequests(({ body }, socket) => socket.write(ok(body)))
  const { send, socket, text, until } = secureClient(plane.port)
  const body = 'abcdefghij'.repeat(100_000)
  send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  await until(/j{1}$/)
  while (text().length < body.length) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.ok(text().endsWith(`\r\n\r\n${body}`))
  socket.destroy()
  plane.close()
  upstream.close()
})
