/** `npm run check`: format, lint, types, unused code, then every test. Stops at the first that complains. */
import { spawnSync } from 'node:child_process'

const run = (...args: readonly string[]): readonly string[] => ['scripts/run.mjs', ...args]

const steps: readonly (readonly [name: string, args: readonly string[]])[] = [
  ['format', run('--bin', 'oxfmt', '--check', '.')],
  ['lint', run('--bin', 'oxlint', '--type-aware', '--deny-warnings')],
  ['types', run('--bin', 'tsc', '--project', '.')],
  ['unused code', run('--bin', 'knip')],
  ['tests', ['scripts/test.ts']],
]

for (const [name, args] of steps) {
  process.stdout.write(`check: ${name}\n`)
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' })
  if (status === 0) continue
  process.stderr.write(`check: ${name} failed\n`)
  process.exitCode = status ?? 1
  break
}
