// Runs a script of this repository with a Node that is new enough, after installing what is missing.
// Written for any Node from 18 on, because it is what an older one starts:
//   node scripts/run.mjs FILE [ARG ...]          runs FILE
//   node scripts/run.mjs --bin NAME [ARG ...]    runs a development dependency's command
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, realpathSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const oldestMajor = 24

installWhatIsMissing()
const [first, ...rest] = process.argv.slice(2)
const args = first === '--bin' ? [binaryOf(rest[0]), ...rest.slice(1)] : [join(root, first), ...rest]
// Node's own code on large pages: a request then costs a few per cent less.
const flags = ['--disable-warning=ExperimentalWarning', '--use-largepages=silent']
const child = spawn(node(), [...flags, ...args], { stdio: 'inherit' })
// A terminal's Ctrl-C reaches the child by itself; a second one would cut its draining short.
process.on('SIGINT', () => {})
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => (signal ? process.kill(process.pid, signal) : process.exit(code ?? 1)))

// npm writes node_modules/.package-lock.json last, so that it being older than the lockfile, or absent, says
// that an install never ran, was interrupted, or was of another state of the repository.
function installWhatIsMissing() {
  const done = join(root, 'node_modules/.package-lock.json')
  const wanted = join(root, 'package-lock.json')
  if (existsSync(done) && statSync(done).mtimeMs >= statSync(wanted).mtimeMs) return
  process.stderr.write('gibbon: installing dependencies (once)\n')
  // Not `npm ci`, which refuses a lockfile without the optional builds for systems that a registry does not hold.
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']
  const npm = spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (npm.status === 0) return
  rmSync(done, { force: true })
  process.stderr.write(`gibbon: npm install failed (${npm.error?.message ?? `exit status ${npm.status}`})\n`)
  process.exit(1)
}

function node() {
  const own = join(root, 'node_modules/.bin/node')
  if (existsSync(own)) return own
  if (Number(process.versions.node.split('.')[0]) >= oldestMajor) return process.execPath
  process.stderr.write(
    `gibbon: needs Node.js ${oldestMajor} or newer; this is ${process.version}, and npm has no build for this machine\n`,
  )
  process.exit(1)
}

function binaryOf(name) {
  return realpathSync(join(root, 'node_modules/.bin', name))
}
