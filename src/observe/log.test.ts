import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { Target } from './log-target.ts'
import { accessLineMaker, createLog, openLogFile, redactQuery } from './log.ts'
import { createTroubles } from './trouble.ts'

const folder = mkdtempSync(join(tmpdir(), 'gibbon-log-'))
const noon = (): number => Date.UTC(2026, 0, 2, 12, 0, 0, 34)
const run = promisify(execFile)

/** A target whose writes end when the test says so. */
function slowTarget(): { target: Target; written: string[]; answer: (code?: string) => void } {
  const written: string[] = []
  const pending: ((code?: string) => void)[] = []
  const target: Target = {
    isTerminal: false,
    pieceBytes: 4096,
    write: (buffer, done) => {
      pending.push((code) => {
        if (code) return done(Object.assign(new Error(code), { code }), 0)
        written.push(buffer.toString())
        done(null, buffer.length)
      })
    },
    writeNow: (buffer) => void written.push(buffer.toString()),
    close: () => undefined,
  }
  return { target, written, answer: (code) => pending.shift()?.(code) }
}

test('lines reach the file in order, and a folder that is missing is made', async () => {
  const path = join(folder, 'new/folder/access.log')
  const file = openLogFile(path)
  for (let index = 0; index < 5000; index++) file.write(`line ${index} with some text to fill it up\n`)
  await file.close()
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  assert.equal(lines.length, 5000)
  assert.equal(lines[4999], 'line 4999 with some text to fill it up')
})

test('a file that was moved aside is opened anew', async () => {
  const path = join(folder, 'rotated.log')
  const file = openLogFile(path)
  file.write('before\n')
  await file.flush()
  renameSync(path, `${path}.1`)
  file.reopen()
  file.write('after\n')
  await file.close()
  assert.equal(readFileSync(`${path}.1`, 'utf8'), 'before\n')
  assert.equal(readFileSync(path, 'utf8'), 'after\n')
})

test('what does not fit the queue is dropped, counted, and the count is logged', async () => {
  const { target, written, answer } = slowTarget()
  const file = openLogFile('x', {
    maxQueuedBytes: 100,
    open: () => target,
    droppedLine: (count) => `dropped ${count}\n`,
  })
  for (let index = 0; index < 30; index++) file.write('ten bytes\n')
  assert.equal(file.dropped, 20)
  const flushed = file.flush()
  answer()
  await flushed
  void file.flush()
  answer()
  assert.deepEqual(written, ['ten bytes\n'.repeat(10), 'dropped 20\n'])
})

test('a full disk is told once and loses no line that waits', async () => {
  const { target, written, answer } = slowTarget()
  const troubles: string[] = []
  const file = openLogFile('x', { open: () => target, onTrouble: (message) => void troubles.push(message) })
  file.write('kept\n')
  void file.flush()
  answer('ENOSPC')
  file.reopen()
  answer('ENOSPC')
  assert.deepEqual(troubles, ['cannot write the log x: ENOSPC', 'cannot write the log x: ENOSPC'])
  file.flushNow()
  assert.deepEqual(written, ['kept\n'])
})

test('a reader that has gone ends the writing, and what comes after is counted', () => {
  const { target, answer } = slowTarget()
  const file = openLogFile('x', { open: () => target })
  file.write('one\n')
  void file.flush()
  answer('EPIPE')
  file.write('two\n')
  assert.equal(file.dropped, 2)
})

test('writing to a pipe that nobody reads never blocks', async () => {
  const script = `
    const { openLogFile } = await import(${JSON.stringify(new URL('./log.ts', import.meta.url).href)})
    const file = openLogFile('/dev/stdout', { maxQueuedBytes: 200_000 })
    for (let index = 0; index < 5000; index++) file.write('x'.repeat(99) + '\\n')
    void file.flush()
    await new Promise((resolve) => setTimeout(resolve, 50))
    process.stderr.write(String(file.dropped))
    process.exit(0)`
  // `sleep` holds the pipe's reading end and reads nothing.
  const shell = `"${process.execPath}" --input-type=module -e "$SCRIPT" | sleep 5`
  const { stderr } = await run('/bin/sh', ['-c', shell], { env: { ...process.env, SCRIPT: script } })
  // The queue takes 2000 lines, the pipe some hundred. Had it waited until nobody holds the pipe, none would have been taken.
  assert.ok(Number(stderr) > 2000 && Number(stderr) <= 3000, stderr)
})

test('lines that several threads write into one pipe stay whole', async () => {
  const program = `
    import { openLogFile } from ${JSON.stringify(new URL('./log.ts', import.meta.url).href)}
    import { workerData } from 'node:worker_threads'
    const file = openLogFile('/dev/stdout')
    for (let index = 0; index < 3000; index++) file.write(String(workerData).repeat(120) + '\\n')
    await file.close()`
  const script = `
    import { Worker } from 'node:worker_threads'
    for (const name of ['a', 'b', 'c']) new Worker(new URL('data:text/javascript,' + encodeURIComponent(process.env.PROGRAM)), { workerData: name })`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, PROGRAM: program },
    maxBuffer: 8 * 2 ** 20,
  })
  const lines = stdout.trimEnd().split('\n')
  assert.equal(lines.length, 9000)
  assert.ok(lines.every((line) => /^(a{120}|b{120}|c{120})$/.test(line)))
})

test('a message is one JSON object with its fields, and one below the level is not written', async () => {
  const path = join(folder, 'json.log')
  const file = openLogFile(path)
  const log = createLog(file, { level: 'notice', format: 'auto', now: noon })
  log.info('quiet')
  log.warn('an upstream "failed"\n', { request_id: 'abc', port: 1 })
  await file.close()
  const [line] = readFileSync(path, 'utf8').trimEnd().split('\n')
  assert.deepEqual(JSON.parse(line!), {
    time: '2026-01-02T12:00:00.034Z',
    level: 'warn',
    message: 'an upstream "failed"\n',
    request_id: 'abc',
    port: 1,
  })
  assert.equal(log.isEnabled('info'), false)
  assert.equal(log.isEnabled('error'), true)
})

test('the level can be changed while running', async () => {
  const path = join(folder, 'level.log')
  const file = openLogFile(path)
  const log = createLog(file, { level: 'error', format: 'text', now: noon })
  log.notice('quiet')
  log.setLevel('debug')
  log.notice('told', { error: Object.assign(new Error('why'), { stack: 'Error: why' }) })
  await file.close()
  assert.equal(log.level(), 'debug')
  assert.equal(readFileSync(path, 'utf8'), '2026-01-02T12:00:00.034Z [notice] told error="Error: why"\n')
})

test('a message for people is one line that cannot steer their terminal', async () => {
  const path = join(folder, 'text.log')
  const file = openLogFile(path)
  createLog(file, { level: 'debug', format: 'text', now: noon }).error('bad\n\x1b[31m', { host: 'a b' })
  await file.close()
  assert.equal(readFileSync(path, 'utf8'), '2026-01-02T12:00:00.034Z [error] bad\\u000a\\u001b[31m host="a b"\n')
})

const entry = {
  startMs: noon(),
  requestId: 'abc',
  client: '127.0.0.1',
  method: 'GET',
  host: 'a.test',
  path: '/x"\\\x01',
  status: 200,
  bytes: 12,
  totalMs: 3,
  upstreamMs: 2,
  route: 'r',
  service: undefined,
  consumer: 'jöe',
  more: undefined,
}

test('a line of the access log is JSON whatever the client sent', () => {
  const line = accessLineMaker('json', openLogFile('off'))(entry)
  assert.deepEqual(JSON.parse(line), {
    time: '2026-01-02T12:00:00.034Z',
    request_id: 'abc',
    client: '127.0.0.1',
    method: 'GET',
    host: 'a.test',
    path: '/x"\\\x01',
    status: 200,
    bytes: 12,
    ms: 3,
    upstream_ms: 2,
    route: 'r',
    consumer: 'jöe',
  })
})

test('what plugins add to a line of the access log stays in its place, whatever it holds', () => {
  const claims = { sub: 'a"}\n\x9b\u2028', 'org.id': 7 }
  const more = new Map<string, unknown>([['claims', claims]])
  const json = accessLineMaker('json', openLogFile('off'))({ ...entry, more })
  assert.equal(json.indexOf('\n'), json.length - 1)
  assert.doesNotMatch(json, /\x9b/)
  assert.deepEqual((JSON.parse(json) as { claims: unknown }).claims, claims)
  const text = accessLineMaker('text', openLogFile('off'))({ ...entry, path: '/x', more })
  assert.match(text, /consumer=jöe claims=\{"sub":"a\\"\}\\n\\u009b\u2028","org\.id":7\} abc\n$/)
})

test('a line of the access log for people tells the same in words', () => {
  const line = accessLineMaker('text', openLogFile('off'))({ ...entry, path: '/x' })
  assert.equal(line, '2026-01-02T12:00:00.034Z 127.0.0.1 GET a.test/x 200 12B 3ms upstream=2ms consumer=jöe abc\n')
})

test('tokens in a query are not shown, however their name is written', () => {
  const names = new Set(['jwt'])
  assert.equal(redactQuery('/a?x=1&jwt=abc.def&y', names), '/a?x=1&jwt=***&y')
  assert.equal(redactQuery('/a?%6Awt=abc&JWT=d&jwt[]=e&jwt', names), '/a?%6Awt=***&JWT=***&jwt[]=***&jwt')
  assert.equal(redactQuery('/a?%zz=1', names), '/a?%zz=1')
  assert.equal(redactQuery('/jwt=abc', names), '/jwt=abc')
})

test('a log that cannot be opened tells why, drops its lines, and is found again when it is opened anew', async () => {
  const path = join(folder, 'blocked/error.log')
  writeFileSync(join(folder, 'blocked'), 'a file where a folder should be')
  const troubles: string[] = []
  const file = openLogFile(path, { onTrouble: (message) => troubles.push(message) })
  file.write('lost\n')
  assert.equal(file.dropped, 1)
  assert.match(troubles.join(), /^cannot open the log .*blocked\/error\.log: E/)
  rmSync(join(folder, 'blocked'))
  file.reopen()
  file.write('kept\n')
  await file.close()
  assert.match(readFileSync(path, 'utf8'), /^1 log lines were dropped\nkept\n$|^kept\n1 log lines were dropped\n$/)
})

test('the same trouble is told once, until the logs are opened anew', () => {
  const lines: string[] = []
  const troubles = createTroubles((line) => lines.push(line))
  for (const message of ['full', 'full', 'gone']) troubles.tell(message)
  troubles.forget()
  troubles.tell('full')
  assert.deepEqual(lines, ['gibbon: full\n', 'gibbon: gone\n', 'gibbon: full\n'])
})
