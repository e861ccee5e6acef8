#!/usr/bin/env node
// What `gibbon` runs.
import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

cacheCompiledCode(process.env)
// `gibbon settings | head` closes the pipe early, which is no failure worth a stack trace.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => error.code !== 'EPIPE' && (process.exitCode = 1))
}
// Imported only now, so that it and all it imports come from the cache.
const { main } = await import('./commands.ts')
process.exitCode = await main(process.argv.slice(2), process)

// Not the default place in /tmp: compiled code is trusted, and whoever may write to a shared folder could plant it there.
// A variable rather than an argument, because threads take it from there.
function cacheCompiledCode(env: NodeJS.ProcessEnv): void {
  const folder = env['CACHE_DIRECTORY'] ?? env['XDG_CACHE_HOME'] ?? (homedir() && join(homedir(), '.cache'))
  if (!folder) return
  env['NODE_COMPILE_CACHE'] ??= join(folder, 'gibbon')
  enableCompileCache()
}
