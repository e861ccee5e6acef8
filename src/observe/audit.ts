/** The audit log's file: who changed what through the Admin API, a JSON object a line. */
import { type LogFile, openLogFile } from './log-file.ts'

/** Longer lines leave out the values: nobody is to hide a write by making it too long for the log. */
const LONGEST_LINE = 256 * 1024

export interface AuditEntry {
  /** Who, from where, by what request, and how it ended. */
  readonly [fact: string]: unknown
  readonly changes: readonly AuditedChange[]
}

export interface AuditedChange {
  readonly operation: 'insert' | 'update' | 'delete'
  readonly kind: string
  readonly id: string
  /** The entity, secrets masked; left out where it is not known or there was none. */
  readonly before?: unknown
  readonly after?: unknown
}

export interface AuditLog {
  write(entry: AuditEntry): void
  readonly file: LogFile
}

/** Opens it by a setting's value: a path, `/dev/stdout`, `/dev/stderr` or `off`. */
export function openAuditLog(
  path: string,
  { maxQueuedBytes, onTrouble }: { readonly maxQueuedBytes: number; readonly onTrouble: (message: string) => void },
): AuditLog {
  const file = openLogFile(path, {
    maxQueuedBytes,
    onTrouble,
    droppedLine: (count) => `${JSON.stringify({ time: new Date().toISOString(), dropped: count })}\n`,
  })
  return { file, write: (entry) => file.write(lineOf(entry)) }
}

function lineOf({ changes, ...facts }: AuditEntry): string {
  const time = new Date().toISOString()
  const line = `${JSON.stringify({ time, ...facts, changes })}\n`
  if (line.length <= LONGEST_LINE) return line
  const bare = changes.map(({ operation, kind, id }) => ({ operation, kind, id }))
  return `${JSON.stringify({ time, ...facts, values_left_out: true, changes: bare })}\n`
}
