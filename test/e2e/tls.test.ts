/** TLS as clients meet it: which certificate they are shown, what is spoken, and how sessions are resumed. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import { makeCertificate } from '../../src/config/self-signed.ts'
import { loadSettings } from '../../src/config/settings.ts'
import { startGateway, type Gateway } from '../../src/main.ts'

const folder = mkdtempSync(join(tmpdir(), 'gibbon-tls-'))
let gateway: Gateway
const upstream = createServer((request, response) => response.end(JSON.stringify(request.headers)))

process.env['GIBBON_TEST_CERTIFICATE'] = JSON.stringify(makeCertificate(['from.vault.test'], Date.now()))

function writePair(name: string, names: readonly string[]): void {
  const { cert, key } = makeCertificate(names, Date.now())
  writeFileSync(join(folder, `${name}.crt`), cert)
  writeFileSync(join(folder, `${name}.key`), key)
}

before(async () => {
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  writePair('default', ['first.default.test'])
  const loaded = loadSettings({
    env: {},
    overrides: {
      prefix: folder,
      proxy_listen:
        '127.0.0.1:0 ssl, 127.0.0.1:0 proxy_protocol, 127.0.0.1:0 ssl proxy_protocol, 127.0.0.1:0 ssl, 127.0.0.1:0',
      admin_listen: '127.0.0.1:0',
      nginx_worker_processes: '2',
      proxy_access_log: 'off',
      proxy_error_log: 'error.log',
      client_header_timeout: '2s',
      ssl_cert: join(folder, 'default.crt'),
      ssl_cert_key: join(folder, 'default.key'),
      real_ip_header: 'proxy_protocol',
      trusted_ips: '127.0.0.1',
    },
  })
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.errors.join())
  gateway = await startGateway(loaded.settings)
  const { port } = upstream.address() as net.AddressInfo
  await put('/services/up', { url: `http://127.0.0.1:${port}` })
  await put('/services/up/routes/all', { paths: ['/'] })
})

after(async () => {
  await gateway.stop()
  upstream.close()
  upstream.closeAllConnections()
})

async function put(path: string, body: object): Promise<{ id: string }> {
  const response = await fetch(`http://127.0.0.1:${gateway.adminPorts[0]}${path}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  assert.ok(response.ok, text)
  return JSON.parse(text) as { id: string }
}

const remove = (path: string): Promise<Response> =>
  fetch(`http://127.0.0.1:${gateway.adminPorts[0]}${path}`, { method: 'DELETE' })

let ids = 0
const newId = (): string => `5ce5e0d6-0000-4000-8000-${String(++ids).padStart(12, '0')}`

async function certificate(pair: object, ...snis: string[]): Promise<string> {
  const { id } = await put(`/certificates/${newId()}`, { ...pair, snis })
  return id
}

async function handshake(options: tls.ConnectionOptions, port = gateway.proxyPorts[0]!): Promise<tls.TLSSocket> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  await once(socket, 'secureConnect')
  return socket
}

/** The name in the certificate that a client is shown. */
async function shown(servername: string | undefined, options: tls.ConnectionOptions = {}): Promise<string> {
  const socket = await handshake({ ...(servername === undefined ? {} : { servername }), ...options })
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

const pairFor = (name: string) => makeCertificate([name], Date.now())

test('a client is shown the certificate of its server name, exact names before wildcards, else the default', async () => {
  await certificate(pairFor('exact'), 'www.shop.test')
  await certificate(pairFor('left'), '*.shop.test')
  await certificate(pairFor('right'), 'www.other.*')
  assert.equal(await shown('www.shop.test'), 'exact')
  assert.equal(await shown('WWW.SHOP.TEST'), 'exact')
  assert.equal(await shown('api.shop.test'), 'left')
  assert.equal(await shown('a.api.shop.test'), 'first.default.test')
  assert.equal(await shown('www.other.test'), 'right')
  assert.equal(await shown('elsewhere.test'), 'first.default.test')
  assert.equal(await shown(undefined), 'first.default.test')
  const everyone = await certificate(pairFor('everyone'), '*')
  assert.equal(await shown('elsewhere.test'), 'everyone')
  assert.equal(await shown(undefined), 'first.default.test')
  await remove('/snis/*')
  await remove(`/certificates/${everyone}`)
  assert.equal(await shown('elsewhere.test'), 'first.default.test')
})

test('a changed certificate is shown as soon as the change is answered, in every worker', async () => {
  const id = await certificate(pairFor('before'), 'changing.test')
  assert.equal(await shown('changing.test'), 'before')
  await put(`/certificates/${id}`, { ...pairFor('after'), snis: ['changing.test'] })
  const names = await Promise.all(Array.from({ length: 8 }, () => shown('changing.test')))
  assert.deepEqual(new Set(names), new Set(['after']))
})

test('a certificate may be kept in a variable; one that cannot be used leaves the default, and is told of', async () => {
  const reference = (field: string) => `{vault://env/gibbon-test-certificate/${field}}`
  await certificate({ cert: reference('cert'), key: reference('key') }, 'from.vault.test')
  assert.equal(await shown('from.vault.test'), 'from.vault.test')
  await certificate({ cert: '{vault://env/no-such}', key: '{vault://env/no-such}' }, 'lost.vault.test')
  assert.equal(await shown('lost.vault.test'), 'first.default.test')
})

test('of two certificates of different types a client is shown the one that it knows', (context) => {
  const made = spawnSync('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=rsa',
    '-days',
    '9',
    '-keyout',
    '-',
  ])
  if (made.error) return context.skip('openssl is not here')
  const pem = made.stdout.toString()
  const cert = /-----BEGIN CERTIFICATE-----[^]+?-----END CERTIFICATE-----\n/.exec(pem)?.[0]
  const key = /-----BEGIN PRIVATE KEY-----[^]+?-----END PRIVATE KEY-----\n/.exec(pem)?.[0]
  const { cert: cert_alt, key: key_alt } = pairFor('ec')
  return certificate({ cert, key, cert_alt, key_alt }, 'both.test').then(async () => {
    assert.equal(await shown('both.test', { sigalgs: 'RSA-PSS+SHA256:RSA+SHA256' }), 'rsa')
    assert.equal(await shown('both.test', { sigalgs: 'ECDSA+SHA256' }), 'ec')
  })
})

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a session of ${version} is resumed by whatever worker is met`, async () => {
    const only = { minVersion: version, maxVersion: version, servername: 'www.shop.test' } as const
    const first = await handshake(only)
    const session = once(first, 'session') as Promise<[Buffer]>
    first.write('GET / HTTP/1.1\r\nHost: www.shop.test\r\n\r\n')
    const [ticket] = version === 'TLSv1.3' ? await session : [first.getSession()!]
    first.destroy()
    const resumed = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const again = await handshake({ ...only, session: ticket })
        const isResumed = again.isSessionReused()
        again.destroy()
        return isResumed
      }),
    )
    assert.deepEqual(new Set(resumed), new Set([true]))
  })
}

test('old versions and weak ciphers are not spoken', async () => {
  for (const options of [
    { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' },
  ] as const)
    await assert.rejects(handshake(options), /alert|handshake|version/)
})

test('certificates are read again when the gateway is told to; wrong ones change nothing', async () => {
  assert.equal(await shown(undefined), 'first.default.test')
  writeFileSync(join(folder, 'default.crt'), 'no certificate')
  await gateway.reload()
  assert.equal(await shown(undefined), 'first.default.test')
  writePair('default', ['second.default.test'])
  await gateway.reload()
  // A worker is told by a message, which it may take a moment to read.
  for (let tries = 0; (await shown(undefined)) !== 'second.default.test'; tries++) assert.ok(tries < 100)
})

test('a route may ask for a server name', async () => {
  const route = await put('/services/up/routes/by-sni', { snis: ['only.test'], protocols: ['https'], paths: ['/sni'] })
  await put('/plugins/6b0f7d8e-0000-4000-8000-000000000001', { name: 'jwt', route: { id: route.id } })
  const status = async (servername: string) => {
    const socket = await handshake({ servername })
    socket.write('GET /sni HTTP/1.1\r\nHost: any.test\r\nConnection: close\r\n\r\n')
    const [head] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    return head.toString().slice(9, 12)
  }
  assert.equal(await status('only.test'), '401')
  assert.equal(await status('another.test'), '200')
})

/** What a socket is sent until it is closed. */
async function all(socket: net.Socket): Promise<string> {
  let text = ''
  socket.on('data', (bytes: Buffer) => (text += bytes.toString())).on('error', () => {})
  await once(socket, 'close')
  return text
}

const request = 'GET / HTTP/1.1\r\nHost: any.test\r\nConnection: close\r\n\r\n'
const version1 = 'PROXY TCP4 203.0.113.7 10.0.0.1 56789 443\r\n'
const version2 = Buffer.concat([
  Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex'),
  Buffer.from([203, 0, 113, 8, 10, 0, 0, 1, 0xdd, 0xd5, 0x01, 0xbb]),
])

test('behind a balancer that speaks the PROXY protocol, the client is whom it names', async () => {
  for (const [header, address] of [
    [Buffer.from(version1), '203.0.113.7'],
    [version2, '203.0.113.8'],
  ] as const) {
    const plain = net.connect(gateway.proxyPorts[1]!, '127.0.0.1')
    // In two pieces, so that the header has to be waited for.
    plain.write(header.subarray(0, 9))
    setTimeout(() => plain.write(Buffer.concat([header.subarray(9), Buffer.from(request)])), 20)
    const answer = await all(plain)
    assert.match(answer, new RegExp(`"x-real-ip":"${address.replaceAll('.', '\\.')}"`))

    const raw = net.connect(gateway.proxyPorts[2]!, '127.0.0.1')
    raw.write(header)
    const secure = tls.connect({ socket: raw, servername: 'www.shop.test', rejectUnauthorized: false })
    await once(secure, 'secureConnect')
    assert.equal(secure.getPeerCertificate().subject.CN, 'exact')
    secure.write(request)
    assert.match(await all(secure), new RegExp(`"x-real-ip":"${address.replaceAll('.', '\\.')}"`))
  }
})

test('a handshake in the same packet as the PROXY header is not lost', async () => {
  const recorder = net.createServer().listen(0, '127.0.0.1')
  await once(recorder, 'listening')
  tls.connect({ port: (recorder.address() as net.AddressInfo).port, host: '127.0.0.1' }).on('error', () => {})
  const [asked] = (await once(recorder, 'connection')) as [net.Socket]
  const [hello] = (await once(asked, 'data')) as [Buffer]
  asked.destroy()
  recorder.close()
  const raw = net.connect(gateway.proxyPorts[2]!, '127.0.0.1')
  raw.write(Buffer.concat([Buffer.from(version1), hello]))
  const [answer] = (await once(raw, 'data')) as [Buffer]
  // A handshake record (22) with a ServerHello (2).
  assert.deepEqual([answer[0], answer[5]], [22, 2])
  raw.destroy()
})

test('a connection without the PROXY header, with a wrong one, or with half of one for too long is closed unanswered', async () => {
  for (const port of gateway.proxyPorts.slice(1, 3)) {
    for (const bytes of [request, 'PROXY TCP4 1.2.3.4\r\n', version1.slice(0, 20)]) {
      const socket = net.connect(port, '127.0.0.1')
      socket.write(bytes)
      assert.equal(await all(socket), '', bytes)
    }
  }
})

test('where no PROXY header is due, one is a request that nobody understands', async () => {
  const socket = net.connect(gateway.proxyPorts[4]!, '127.0.0.1')
  socket.write(version1 + request)
  assert.match(await all(socket), /^HTTP\/1\.1 400 /)
})
