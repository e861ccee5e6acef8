/** What a running gateway takes over when it is told to read its settings again. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import tls from 'node:tls'
import { makeCertificate } from '../../src/config/self-signed.ts'
import { startProcess } from './started.ts'

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.fail(`not within 10 s: ${what}`)
}

test('SIGHUP takes over the settings that can change, names those that cannot, and nothing of a wrong file', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'gibbon-reload-')), 'gibbon.conf')
  writeFileSync(file, 'log_level = warn\n')
  const gateway = await startProcess({ log_format: 'json', proxy_error_log: 'error.log' }, ['-c', file])
  const level = async () =>
    (await fetch(`${gateway.admin[0]}/debug/node/log-level`)).json() as Promise<{ message: string }>
  const log = () => readFileSync(join(gateway.prefix, 'error.log'), 'utf8')
  assert.deepEqual(await level(), { message: 'log level: warn' })

  writeFileSync(
    file,
    'log_level = info\nkeepalive_requests = 5\nadmin_token = a-secret-that-nobody-is-to-read-in-a-log\nadmin_tokens = required\n',
  )
  gateway.child.kill('SIGHUP')
  await until(() => log().includes('hold from the next start on'), 'the warning')
  assert.match(log(), /settings that have changed hold from the next start on: [^"]*admin_token[^"]*keepalive_requests/)
  assert.doesNotMatch(log(), /a-secret/)
  assert.deepEqual(await level(), { message: 'log level: info' })

  writeFileSync(file, 'log_level = loud\n')
  gateway.child.kill('SIGHUP')
  await until(() => gateway.stderr().includes('log_level = "loud"'), 'the mistake')
  assert.deepEqual(await level(), { message: 'log level: info' })
  assert.equal(await gateway.stop(), 0)
})

test('SIGHUP reads the certificates of the Admin API and the Status API again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-reload-'))
  const files = { cert: join(folder, 'one.crt'), key: join(folder, 'one.key') }
  const write = (name: string) => {
    const { cert, key } = makeCertificate([name], Date.now())
    writeFileSync(files.cert, cert)
    writeFileSync(files.key, key)
  }
  write('before.test')
  const gateway = await startProcess({
    admin_listen: '127.0.0.1:0 ssl',
    admin_ssl_cert: files.cert,
    admin_ssl_cert_key: files.key,
    status_listen: '127.0.0.1:0 ssl',
    status_ssl_cert: files.cert,
    status_ssl_cert_key: files.key,
  })
  const shown = () =>
    Promise.all(
      [gateway.admin[0]!, gateway.status[0]!].map(async (url) => {
        const socket = tls.connect({ port: Number(new URL(url).port), host: '127.0.0.1', rejectUnauthorized: false })
        await once(socket, 'secureConnect')
        const { subject } = socket.getPeerCertificate()
        socket.destroy()
        return subject.CN
      }),
    )
  assert.deepEqual(await shown(), ['before.test', 'before.test'])
  write('after.test')
  gateway.child.kill('SIGHUP')
  await until(async () => (await shown()).every((name) => name === 'after.test'), 'the new certificate')
  writeFileSync(files.cert, 'no certificate')
  gateway.child.kill('SIGHUP')
  await until(() => gateway.stderr().includes('the certificates are not reloaded'), 'the mistake')
  assert.deepEqual(await shown(), ['after.test', 'after.test'])
  assert.equal(await gateway.stop(), 0)
})
