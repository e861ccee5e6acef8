import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect, createServer } from 'node:tls'
import { makeCertificate, serverCertificate } from './self-signed.ts'

const newPrefix = (): string => mkdtempSync(join(tmpdir(), 'gibbon-ssl-'))
const withoutCertificate = (prefix: string) => ({ prefix, ssl_cert: [], ssl_cert_key: [] })

test('a TLS client that trusts the certificate made at the start is connected', async () => {
  const { cert, key } = serverCertificate(withoutCertificate(newPrefix()))
  const server = createServer({ cert, key }, (socket) => socket.end('hello')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    ca: cert,
    servername: 'localhost',
  })
  const [data] = (await once(client, 'data')) as [Buffer]
  assert.equal(client.authorized, true)
  assert.equal(data.toString(), 'hello')
  client.destroy()
  server.close()
})

test('the certificate names localhost, the loopback addresses and its own time', () => {
  const certificate = new X509Certificate(makeCertificate(['localhost', 'box.test'], Date.UTC(2026, 0, 2)).cert)
  assert.equal(certificate.subject, 'CN=localhost')
  assert.equal(certificate.checkHost('box.test'), 'box.test')
  assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1')
  assert.equal(certificate.checkIP('::1'), '::1')
  assert.equal(certificate.validFromDate.toISOString(), '2026-01-01T00:00:00.000Z')
  assert.equal(certificate.validToDate.toISOString(), '2028-04-06T00:00:00.000Z')
  assert.ok(certificate.verify(certificate.publicKey))
})

const openssl = spawnSync('openssl', ['version']).status === 0

test(
  'openssl reads the certificate and agrees that it is valid',
  { skip: !openssl && 'openssl is not installed' },
  () => {
    const prefix = newPrefix()
    serverCertificate(withoutCertificate(prefix))
    const file = join(prefix, 'ssl/gibbon-default.crt')
    const shown = spawnSync('openssl', ['x509', '-in', file, '-noout', '-text'], { encoding: 'utf8' })
    assert.match(shown.stdout, /X509v3 Subject Alternative Name:\s+DNS:localhost/)
    assert.match(shown.stdout, /X509v3 Key Usage: critical\s+Digital Signature/)
    const verified = spawnSync('openssl', ['verify', '-x509_strict', '-CAfile', file, file], { encoding: 'utf8' })
    assert.match(`${verified.stdout}${verified.stderr}`, /gibbon-default\.crt: OK/)
  },
)

test('the certificate is kept for the next start, its key for its owner alone', () => {
  const prefix = newPrefix()
  const first = serverCertificate(withoutCertificate(prefix))
  assert.deepEqual(serverCertificate(withoutCertificate(prefix)), first)
  assert.equal(statSync(join(prefix, 'ssl/gibbon-default.key')).mode & 0o777, 0o600)
})

test('a new one is made shortly before its time is over, or when the files are damaged', () => {
  const prefix = newPrefix()
  const first = serverCertificate(withoutCertificate(prefix))
  const later = serverCertificate(withoutCertificate(prefix), Date.now() + 800 * 86_400_000)
  assert.notEqual(later.cert, first.cert)
  writeFileSync(join(prefix, 'ssl/gibbon-default.crt'), later.cert.slice(0, 100))
  const third = serverCertificate(withoutCertificate(prefix))
  assert.notEqual(third.cert, later.cert)
  assert.equal(readFileSync(join(prefix, 'ssl/gibbon-default.crt'), 'utf8'), third.cert)
})

test('a certificate of the settings is taken from a file, as PEM or as base64', () => {
  const prefix = newPrefix()
  const { cert, key } = makeCertificate(['a.test'], Date.now())
  const file = join(prefix, 'my.crt')
  writeFileSync(file, cert)
  assert.deepEqual(serverCertificate({ prefix, ssl_cert: [file], ssl_cert_key: [key] }), { cert, key })
  const encoded = Buffer.from(key).toString('base64')
  assert.deepEqual(serverCertificate({ prefix, ssl_cert: [cert], ssl_cert_key: [encoded] }), { cert, key })
})

test('a key that is not that of the certificate, or no key at all, is refused without being shown', () => {
  const prefix = newPrefix()
  const { cert } = makeCertificate(['a.test'], Date.now())
  const other = makeCertificate(['b.test'], Date.now()).key
  const using = (key: string) => () => serverCertificate({ prefix, ssl_cert: [cert], ssl_cert_key: [key] })
  assert.throws(using(other), /the key is not that of the certificate/)
  assert.throws(using('no such thing'), { message: 'ssl_cert_key: neither a readable file nor PEM (ENOENT)' })
})
