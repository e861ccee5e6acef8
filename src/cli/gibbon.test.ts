import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { version } from '../version.ts'

const gibbon = fileURLToPath(new URL('gibbon.ts', import.meta.url))
const newPrefix = (): string => mkdtempSync(join(tmpdir(), 'gibbon-cli-'))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function call(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [gibbon, ...args], { env: { ...plainEnvironment, ...env } }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

// None of the settings of whoever runs the tests.
const plainEnvironment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(KONG|GIBBON)_/.test(name)),
)

test('the version is printed for people and for programs', async () => {
  assert.match((await call(['version'])).stdout, /^gibbon \d+\.\d+\.\d+ \(speaks Kong 3\.10\.0, on Node\.js /)
  const { gibbon: own, kong } = JSON.parse((await call(['version', '--json'])).stdout) as Record<string, string>
  assert.deepEqual([own, kong], [version, '3.10.0'])
  assert.equal((await call(['--version'])).stdout, `${version}\n`)
})

test('a mistyped command is answered with what was meant, and exit status 2', async () => {
  const { code, stderr } = await call(['strat'])
  assert.equal(code, 2)
  assert.equal(stderr, 'gibbon: no command strat (did you mean start?)\nTry: gibbon --help\n')
})

test('a mistyped option is answered with what was meant', async () => {
  const { code, stderr } = await call(['stop', '--timeuot', '1'])
  assert.equal(code, 2)
  assert.equal(stderr, 'gibbon stop: no option --timeuot (did you mean --timeout?)\nTry: gibbon stop --help\n')
})

test('a command of Kong’s that is not needed is answered with what serves instead', async () => {
  assert.match((await call(['prepare'])).stderr, /^gibbon: no command prepare: not needed: /)
})

test('help lists every command with a line, and every option of one', async () => {
  const { stdout, code } = await call(['--help'])
  assert.equal(code, 0)
  for (const name of ['start', 'config', 'jwt sign', 'jwt explain', 'echo', 'demo'])
    assert.match(stdout, new RegExp(`^ {2}${name} {2,}[A-Z]`, 'm'))
  assert.match((await call(['jwt'])).stderr, /jwt sign/)
  assert.match((await call(['help', 'stop'])).stdout, /-t, --timeout SECONDS {2}how long to wait/)
})

test('the settings are printed as a file that says the same, with what is secret masked', async () => {
  const env = { KONG_LOG_LEVEL: 'warn', KONG_DECLARATIVE_CONFIG_STRING: '{"top":"s3cr3t"}' }
  const { stdout, stderr } = await call(['settings'], env)
  assert.match(stdout, /^# KONG_LOG_LEVEL; default: notice; this is from KONG_LOG_LEVEL\nlog_level = warn$/m)
  assert.match(stdout, /^# GIBBON_DRAIN_TIMEOUT\n#drain_timeout = 10s$/m)
  assert.doesNotMatch(stdout + stderr, /s3cr3t|\x1b\[/)
  const rows = JSON.parse((await call(['settings', '--json', 'log_level'], env)).stdout) as Record<string, unknown>[]
  assert.deepEqual(
    rows.map(({ name, value, from, default: usual }) => [name, value, from, usual]),
    [['log_level', 'warn', 'KONG_LOG_LEVEL', 'notice']],
  )
})

test('a wrong setting stops the start with its name, its value and what is allowed', async () => {
  const { code, stderr } = await call(['start'], { KONG_LOG_LEVEL: 'loud' })
  assert.equal(code, 2)
  assert.match(stderr, /^gibbon: log_level = "loud" \(KONG_LOG_LEVEL\): expected one of: debug, info, /)
})

test('no gateway is stopped, reloaded or healthy where none runs', async () => {
  const prefix = newPrefix()
  for (const command of ['stop', 'reload', 'health']) assert.equal((await call([command, '-p', prefix])).code, 3)
})

test('a gateway is started, asked, copied, reloaded and stopped', async () => {
  const prefix = newPrefix()
  const env = {
    ...plainEnvironment,
    KONG_PREFIX: prefix,
    KONG_PROXY_LISTEN: '127.0.0.1:0',
    KONG_ADMIN_LISTEN: '127.0.0.1:0',
    KONG_PROXY_ACCESS_LOG: 'off',
    KONG_NGINX_WORKER_PROCESSES: '1',
  }
  const gateway = spawn(process.execPath, [gibbon, 'start', '--json'], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  const exited = once(gateway, 'exit')
  const [line] = (await once(createInterface(gateway.stdout), 'line')) as [string]
  const ready = JSON.parse(line) as { pid: number; proxy: string[] }
  assert.equal(ready.pid, gateway.pid)
  assert.equal((await fetch(ready.proxy[0]!)).status, 404)

  const health = await call(['health', '--json'], env)
  assert.deepEqual(JSON.parse(health.stdout), { healthy: true, pid: gateway.pid, error: null })
  const second = await call(['start'], env)
  assert.equal(second.code, 1)
  assert.match(second.stderr, new RegExp(`in use by process ${gateway.pid}`))
  assert.doesNotMatch(second.stderr, / at /)

  const copy = join(prefix, 'copy.db')
  assert.equal((await call(['backup', copy], env)).code, 0)
  assert.equal(readFileSync(copy).subarray(0, 15).toString(), 'SQLite format 3')
  assert.match((await call(['backup', copy], env)).stderr, /is there already, and is left as it is/)

  assert.equal((await call(['reload'], env)).code, 0)
  assert.equal((await fetch(ready.proxy[0]!)).status, 404)
  assert.equal((await call(['stop'], env)).code, 0)
  assert.deepEqual(await exited, [0, null])
  assert.equal((await call(['health'], env)).code, 3)
  assert.ok(existsSync(copy))
})

test('the demo keeps its promises', async () => {
  const { code, stdout } = await call(['demo'])
  assert.equal(code, 0)
  for (const line of ['X-Consumer-Username: jsmith', 'X-Consumer-Custom-ID: example-id'])
    assert.ok(stdout.includes(`   ${line}\n`))
  assert.match(stdout, /All answers are the promised ones\.\n$/)
})
