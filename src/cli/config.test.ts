import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { after, test } from 'node:test'
import { lockPrefix } from '../store/lock.ts'
import { command } from './config.ts'
import { run } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'gibbon-config-'))
after(() => rmSync(folder, { recursive: true }))

const howTo = new URL('../config/testdata/jwt-how-to.yaml', import.meta.url).pathname

async function gibbon(...argv: string[]) {
  let stdout = ''
  let stderr = ''
  const sink = (take: (text: string) => void) =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        take(chunk.toString())
        done()
      },
    })
  const io = { stdout: sink((text) => (stdout += text)), stderr: sink((text) => (stderr += text)), env: {} }
  const status = await run(command, argv, io)
  return { status, stdout, stderr }
}

function fileOf(name: string, text: string): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

test('a good file is valid, and says how much it holds', async () => {
  assert.deepEqual(await gibbon('validate', howTo), { status: 0, stdout: `${howTo}: valid, 6 entities\n`, stderr: '' })
})

test('every mistake is a line with file, line and column', async () => {
  const file = fileOf(
    'bad.yaml',
    '_format_version: "3.0"\nservices:\n- name: a\n- name: b\n  host: x\n  "p\\e[2J": 1\n',
  )
  const { status, stdout } = await gibbon('validate', file, howTo)
  assert.equal(status, 1)
  assert.deepEqual(stdout.split('\n'), [
    `${file}:3:3: services[0].host: required field missing`,
    `${file}:6:3: services[1].p\\u001b[2J: unknown field`,
    `${file}: 2 mistakes`,
    `${howTo}: valid, 6 entities`,
    '',
  ])
})

test('with --json the mistakes are for programs', async () => {
  const file = fileOf('bad.json', '{"_format_version": "3.0",\n"x": []}')
  const { status, stdout } = await gibbon('validate', '--json', file)
  assert.equal(status, 1)
  assert.deepEqual(JSON.parse(stdout), [
    { file, valid: false, entities: 0, mistakes: [{ path: ['x'], message: 'unknown field', line: 2, column: 1 }] },
  ])
})

test('a file that is not there is a mistake of its own', async () => {
  const { status, stdout } = await gibbon('validate', join(folder, 'nope.yaml'))
  assert.equal(status, 1)
  assert.match(stdout, /nope\.yaml:1:1: ENOENT/)
})

test('what is imported is exported again, and importing it twice changes nothing', async () => {
  const prefix = join(folder, 'prefix')
  const imported = await gibbon('import', howTo, '--prefix', prefix)
  assert.deepEqual(imported, { status: 0, stdout: `gibbon: imported 6 entities from ${howTo}\n`, stderr: '' })
  const first = await gibbon('export', '--prefix', prefix, '--with-secrets')
  assert.match(first.stdout, /^_format_version: "3\.0"\n_transform: false\nconsumers:\n- id: /)
  await gibbon('import', howTo, '--prefix', prefix)
  assert.equal((await gibbon('export', '--prefix', prefix, '--with-secrets')).stdout, first.stdout)

  const file = join(folder, 'exported.yaml')
  assert.equal((await gibbon('export', '-p', prefix, '--with-secrets', '-o', file)).status, 0)
  assert.equal(readFileSync(file, 'utf8'), first.stdout)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const other = join(folder, 'other')
  assert.equal((await gibbon('import', file, '-p', other)).status, 0)
  const again = await gibbon('export', '-p', other, '--with-secrets', '--json')
  const data = JSON.parse(again.stdout) as { jwt_secrets: { secret: string }[] }
  assert.ok(data.jwt_secrets.some(({ secret }) => secret === 'C50k0bcahDhLNhLKSUBSR1OMiFGzNZ7X'))
})

test('an export has no secret unless it is asked for, and one without secrets is not read again', async () => {
  const prefix = join(folder, 'masked')
  assert.equal((await gibbon('import', howTo, '-p', prefix)).status, 0)
  const { stdout } = await gibbon('export', '-p', prefix)
  assert.doesNotMatch(stdout, /C50k0bcahDhLNhLKSUBSR1OMiFGzNZ7X/)
  assert.match(stdout, /secret: "\*{6}"/)
  const file = fileOf('masked.yaml', stdout)
  const imported = await gibbon('import', file, '-p', join(folder, 'elsewhere'))
  assert.equal(imported.status, 1)
  assert.match(imported.stderr, /jwt_secrets\[0\].*'secret' was left out of the export: write it here, or export with/)
})

test('a prefix in use is left alone', async () => {
  const prefix = join(folder, 'used')
  const lock = lockPrefix(prefix)
  const { status, stderr } = await gibbon('import', howTo, '-p', prefix)
  lock.release()
  assert.equal(status, 1)
  assert.match(stderr, new RegExp(`a gateway runs on ${prefix} \\(process ${process.pid}\\): name its Admin API`))
})

test('of a file with mistakes nothing is imported', async () => {
  const file = fileOf('half.yaml', '_format_version: "3.0"\nconsumers:\n- username: a\n- {}\n')
  const prefix = join(folder, 'half')
  const { status, stderr } = await gibbon('import', file, '-p', prefix)
  assert.equal(status, 1)
  assert.match(stderr, /half\.yaml:4:3: consumers\[1\]: at least one of .*\n.* has 1 mistake; nothing was imported/)
  assert.equal((await gibbon('export', '-p', prefix)).stdout, '_format_version: "3.0"\n_transform: false\n')
})

test('a mistyped word is met with the nearest one', async () => {
  const { status, stderr } = await gibbon('valdate', howTo)
  assert.equal(status, 2)
  assert.match(stderr, /no valdate \(did you mean validate\?\)/)
})
