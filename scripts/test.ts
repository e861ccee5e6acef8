/** `npm test`: every test, or those in the files that are named. */
import { spawnSync } from 'node:child_process'

const given = process.argv.slice(2)
const files = given.length > 0 ? given : ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts']
const options = ['--disable-warning=ExperimentalWarning', '--test', '--test-timeout=300000', '--test-force-exit']
const { status } = spawnSync(process.execPath, [...options, ...files], { stdio: 'inherit' })
process.exitCode = status ?? 1
