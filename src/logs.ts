/** The control side's logs: the gateway's own messages, the Admin API's, and a line for each request to it. */
import type { Settings } from './config/settings.ts'
import { flushAtCrash } from './observe/crash.ts'
import { openTarget } from './observe/log-target.ts'
import {
  adminLineMaker,
  type AnsweredRequest,
  createLog,
  droppedLineMaker,
  type Level,
  type Log,
  type LogFile,
  openLogFile,
} from './observe/log.ts'
import { createTroubles } from './observe/trouble.ts'

export interface Logs {
  /** The gateway's own messages (`proxy_error_log`). */
  readonly log: Log
  /** The Admin API's messages (`admin_error_log`). */
  readonly admin: Log
  /** Notes a request to the Admin API (`admin_access_log`). */
  readonly answered: (entry: AnsweredRequest) => void
  /** The same of the Status API (`status_error_log`, `status_access_log`). */
  readonly status: Log
  readonly statusAnswered: (entry: AnsweredRequest) => void
  /** Tells on standard error, once, that a log cannot be written. */
  readonly trouble: (message: string) => void
  /** Changes the least severe level that is written of all these logs. */
  setLevel(level: Level): void
  /** Lines dropped so far. */
  dropped(): number
  reopen(): void
  close(): Promise<void>
}

const logSettings = [
  'proxy_error_log',
  'proxy_access_log',
  'proxy_stream_error_log',
  'proxy_stream_access_log',
  'admin_error_log',
  'admin_access_log',
  'admin_audit_log',
  'status_error_log',
  'status_access_log',
] as const

/**
 * Opens the logs; throws where one cannot be opened. `atCrash` is called before the last lines are written when an error that
 * nobody caught ends the process.
 */
export function openLogs(settings: Settings, atCrash: () => void): Logs {
  for (const name of logSettings) tryOpening(name, settings[name])
  const { log_format: format, log_queue_bytes: maxQueuedBytes, log_level: level } = settings
  const troubles = createTroubles()
  const droppedLine = droppedLineMaker(format, false)
  const files = new Map<string, LogFile>()
  const open = (path: string): LogFile => {
    // Two logs in one place are one, so that their lines keep their order.
    const file = files.get(path) ?? openLogFile(path, { maxQueuedBytes, droppedLine, onTrouble: troubles.tell })
    files.set(path, file)
    return file
  }
  const log = createLog(open(settings.proxy_error_log), { level, format })
  const admin = createLog(open(settings.admin_error_log), { level, format })
  const status = createLog(open(settings.status_error_log), { level, format })
  const linesInto = (path: string) => {
    if (path === 'off') return () => {}
    const file = open(path)
    const line = adminLineMaker(format, file)
    return (entry: AnsweredRequest) => file.write(line(entry))
  }
  const answered = linesInto(settings.admin_access_log)
  const statusAnswered = linesInto(settings.status_access_log)
  const forget = flushAtCrash([...files.values()], (error) => {
    log.crit(`the gateway failed: ${error instanceof Error ? error.stack : String(error)}`)
    atCrash()
  })
  return {
    log,
    admin,
    answered,
    status,
    statusAnswered,
    trouble: troubles.tell,
    setLevel: (least) => [log, admin, status].forEach((each) => each.setLevel(least)),
    dropped: () => files.values().reduce((sum, file) => sum + file.dropped, 0),
    reopen: () => {
      troubles.forget()
      for (const file of files.values()) file.reopen()
    },
    close: async () => {
      await Promise.all(files.values().map((file) => file.close()))
      forget()
    },
  }
}

function tryOpening(name: string, path: string): void {
  if (path === 'off') return
  try {
    openTarget(path).close()
  } catch (error) {
    throw new Error(`cannot open the log ${path} (${name}): ${(error as Error).message}`, { cause: error })
  }
}
