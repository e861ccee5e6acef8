import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const folder = mkdtempSync(join(tmpdir(), 'gibbon-packed-'))
const { KONG_PREFIX: _, ...inherited } = process.env
// A user's `node` is the one on the path: here the one that runs this test.
const env = {
  ...inherited,
  PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}`,
  HOME: folder,
  NO_COLOR: '1',
}
const run = promisify(execFile)

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string
  dependencies: Record<string, string>
}

// Its dependencies are packed as well, so that the installation asks no registry.
before(async () => {
  const into = ['--pack-destination', folder, '--loglevel=error']
  await run('npm', ['pack', root, ...into], { cwd: root, env })
  await run('npm', ['pack', '--ignore-scripts', ...into, ...(await dependencies())], { cwd: root, env })
  const archives = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', ...archives.map((name) => `./${name}`)], {
    cwd: folder,
    env,
  })
})

/** The folders of all packages that the gateway needs to run, and of those that they need. */
async function dependencies(): Promise<readonly string[]> {
  const { stdout } = await run('npm', ['ls', '--omit=dev', '--all', '--parseable'], { cwd: root, env })
  return stdout.split('\n').filter((path) => path.includes('node_modules'))
}

test('the package holds what runs, and neither sources nor tests', () => {
  const files = readdirSync(join(folder, 'node_modules/gibbon-gateway'), { recursive: true, encoding: 'utf8' })
  assert.ok(files.includes(join('dist', 'cli', 'gibbon.js')))
  assert.deepEqual(
    files.filter((file) => /\.test\.|testdata|(?<!\.d)\.ts$/.test(file)),
    [],
  )
})

test('the installed command tells its version', async () => {
  const { stdout } = await run('npx', ['--offline', 'gibbon', 'version'], { cwd: folder, env })
  assert.match(stdout, new RegExp(`^gibbon ${manifest.version.replaceAll('.', '\\.')} `))
})

test('the installed gateway starts, answers, and stops when asked', async () => {
  const settings = {
    ...env,
    KONG_PREFIX: join(folder, 'prefix'),
    KONG_PROXY_LISTEN: '127.0.0.1:0, 127.0.0.1:0 ssl',
    KONG_ADMIN_LISTEN: '127.0.0.1:0',
    KONG_PROXY_ACCESS_LOG: 'logs/access.log',
  }
  const gibbon = join(folder, 'node_modules/.bin/gibbon')
  const gateway = spawn(gibbon, ['start', '--json'], {
    cwd: folder,
    env: settings,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(gateway, 'exit')
  const [line] = (await Promise.race([once(createInterface(gateway.stdout), 'line'), exited])) as [string | number]
  const { proxy, admin } = JSON.parse(String(line)) as { proxy: string[]; admin: string[] }
  assert.equal((await fetch(`${proxy[0]}/nowhere`)).status, 404)
  assert.equal((await fetch(`${admin[0]}/status`)).status, 200)
  const health = await run(gibbon, ['health', '--json'], { cwd: folder, env: settings })
  assert.equal((JSON.parse(health.stdout) as { healthy: boolean }).healthy, true)
  await run(gibbon, ['stop'], { cwd: folder, env: settings })
  assert.deepEqual(await exited, [0, null])
})

test('the installed demo keeps its promises', async () => {
  const { stdout } = await run(join(folder, 'node_modules/.bin/gibbon'), ['demo'], { cwd: folder, env })
  assert.match(stdout, /All answers are the promised ones\.\n$/)
})
