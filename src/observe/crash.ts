/** What a thread still does when an error that nobody caught ends it. */
import type { LogFile } from './log-file.ts'

/**
 * Calls `note` with the error and then writes at once what the logs still hold, so that a crash's last lines, which explain
 * it, are on the disk. Returns how to take this back.
 */
export function flushAtCrash(files: readonly LogFile[], note: (error: unknown) => void = () => undefined): () => void {
  const flush = (): void => files.forEach((file) => file.flushNow())
  const crash = (error: unknown): void => {
    note(error)
    flush()
  }
  process.on('uncaughtExceptionMonitor', crash)
  process.on('exit', flush)
  return () => {
    process.off('uncaughtExceptionMonitor', crash)
    process.off('exit', flush)
  }
}
