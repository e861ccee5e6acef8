/** A TLS listener, as an independent scanner grades it. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { issue } from './certificates.ts'
import { startProcess } from './started.ts'

test("sslyze finds that TLS is spoken as Mozilla's intermediate profile has it", async (t) => {
  const sslyze = process.env['GIBBON_SSLYZE'] ?? 'sslyze'
  if (spawnSync(sslyze, ['--help']).error) return t.skip('sslyze is not there: its path goes in GIBBON_SSLYZE')
  const folder = mkdtempSync(join(tmpdir(), 'gibbon-grade-'))
  const write = (name: string, text: string): string => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return file
  }
  const authority = issue('an authority', { signs: true })
  const { cert, key } = issue('localhost', { by: authority })
  const gateway = await startProcess({
    database: 'off',
    proxy_listen: '127.0.0.1:0 ssl http2',
    ssl_cert: write('cert.pem', cert),
    ssl_cert_key: write('key.pem', key),
  })
  t.after(async () => {
    await gateway.stop()
    rmSync(folder, { recursive: true })
  })
  const { port } = new URL(gateway.proxy[0] ?? '')
  const trusted = `--certinfo_ca_file=${write('authority.pem', authority.cert)}`
  const asked = [trusted, '--mozilla_config=intermediate', `localhost:${port}`]
  const { stdout } = await promisify(execFile)(sslyze, asked).catch((failed: { stdout: string }) => failed)
  assert.match(stdout, /OK - Compliant/)
  assert.match(stdout, /accepted the following 3 cipher suites:[^]*TLS 1\.3 Cipher Suites/)
})
